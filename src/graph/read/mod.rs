//! From the messages of a file to an [`Architecture`]: tensors become parameters or constants,
//! nodes become nodes of the DAG, names become edges.

mod branches;
mod convert;
mod dims;
mod error;
mod inline;
mod order;
mod sequences;
mod tensors;
mod twins;
mod value;
mod weights;

use std::collections::{HashMap, HashSet};

use crate::onnx::{
    Model, captured, find,
    messages::{GraphProto, NodeProto},
    names,
};

use super::{
    Architecture, Constant, DType, Edge, Fact, Node, OpenDim, Operand, Origin, Parameter, TorchCall,
};
pub use dims::DimBindings;
pub use error::ReadError;
use inline::{Call, Opsets, inline};
use weights::Readers;

/// Where PyTorch's exporter notes the modules that a node is part of.
const SCOPES: &str = "pkg.torch.onnx.name_scopes";
/// Where its optimiser notes what it did to a node.
const REWRITTEN_BY: &str = "pkg.onnxscript.rewriter.rule_name";
/// Values of a data input at most; more would be a mistake or an attack.
const LARGEST_INPUT: usize = 1 << 31;

impl Architecture {
    /// Reads the graph of a model; unbound dimensions are 1, with a notice.
    pub fn from_model(model: &Model) -> Result<Self, ReadError> {
        Self::from_model_with(model, DimBindings::default())
    }

    /// Reads the graph of a model with sizes for its symbolic dimensions.
    pub fn from_model_with(model: &Model, dims: DimBindings) -> Result<Self, ReadError> {
        let graph = model.graph();
        let calls = inline(model)?;
        let mut reader = Reader {
            model,
            graph,
            calls: &calls,
            readers: Readers::new(graph, calls.iter().map(|call| &*call.proto)),
            dims,
            architecture: Self {
                name: graph.name.clone().unwrap_or_default(),
                module_tensors: model.module_tensors().into_iter().map(str::to_owned).collect(),
                ..Self::default()
            },
            placeholders: captured::placeholders(graph),
            operands: HashMap::new(),
            unwritten: 0,
            read: Vec::new(),
        };
        reader.initializers()?;
        reader.inputs()?;
        reader.declared()?;
        reader.nodes()?;
        reader.connect();
        reader.outputs()?;
        reader.twins()?;
        reader.sequences();
        reader.sort()?;
        Ok(reader.architecture)
    }
}

/// Path of the module that a node is part of, where the exporter says so.
fn module_path(node: &NodeProto) -> Option<String> {
    let name = node.name.as_deref().unwrap_or_default();
    names::module_path(name, find(&node.metadata_props, SCOPES))
}

struct Reader<'a> {
    model: &'a Model,
    graph: &'a GraphProto,
    /// The nodes, those of functions in place of their calls.
    calls: &'a [Call<'a>],
    readers: Readers<'a>,
    dims: DimBindings,
    architecture: Architecture,
    /// Tensors of the PyTorch module by their names in its calls.
    placeholders: HashMap<&'a str, &'a str>,
    /// What each value name stands for.
    operands: HashMap<&'a str, Operand>,
    /// Values of parameters that the file declares without holding them.
    unwritten: usize,
    /// Which of the calls each node of the DAG is.
    read: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn file(&self) -> String {
        self.model.name().to_owned()
    }

    fn define(&mut self, name: &'a str, operand: Operand) -> Result<(), ReadError> {
        match self.operands.insert(name, operand) {
            None => Ok(()),
            Some(_) => Err(self.duplicate(name)),
        }
    }

    fn duplicate(&self, name: &str) -> ReadError {
        ReadError::Duplicate { file: self.file(), value: name.to_owned() }
    }

    fn wrong_shape(&self, name: &str, problem: String) -> ReadError {
        ReadError::Shape { file: self.file(), value: name.to_owned(), problem }
    }

    fn constant(&mut self, name: &str, value: Constant) -> Operand {
        self.architecture.constants.push((name.to_owned(), value));
        Operand::Constant(self.architecture.constants.len() - 1)
    }

    /// Graph inputs: data, or weights without values.
    fn inputs(&mut self) -> Result<(), ReadError> {
        let graph = self.graph;
        let learned = self.readers.inputs(graph);
        let guessed = self.readers.guessed(graph, &learned);
        let mut seen = HashSet::new();
        // Where images come in batches of any size, what has one size only is no image.
        let mut batched = false;
        for (index, input) in graph.input.iter().enumerate() {
            let name = input.name.as_deref().unwrap_or_default();
            if !seen.insert(name) {
                return Err(self.duplicate(name));
            }
            if self.operands.contains_key(name) {
                continue;
            }
            let (fact, open) = convert::fact(input, &mut self.dims)
                .map_err(|problem| self.wrong_shape(name, problem))?;
            let is_float = fact.dtype.is_none_or(DType::is_float);
            let guess = guessed.contains(name);
            let listed = learned.contains(name) || guess || batched;
            let operand = if listed && is_float && open.is_empty() {
                if guess {
                    self.architecture.notices.push(format!(
                        "input '{name}' is taken as a weight: others are listed, and no layer takes it as data"
                    ));
                }
                self.parameter(Parameter {
                    name: name.to_owned(),
                    dtype: fact.dtype.unwrap_or(DType::F32),
                    shape: fact.shape,
                    origin: Origin::GraphInput(index),
                    ..Parameter::default()
                })?
            } else {
                batched |= convert::has_open_dimension(input);
                self.data_input(fact, open)?
            };
            self.define(name, operand)?;
        }
        Ok(())
    }

    fn data_input(&mut self, fact: Fact, open: Vec<OpenDim>) -> Result<Operand, ReadError> {
        let count = fact.shape.as_ref().map_or(0, |shape| shape.iter().product());
        if count > LARGEST_INPUT {
            let shape = fact.shape.unwrap_or_default();
            return Err(self.wrong_shape(&fact.name, format!("shape {shape:?} is too large")));
        }
        self.architecture.notices.extend(open.iter().map(OpenDim::notice));
        self.architecture.open_dims.extend(open);
        self.architecture.inputs.push(fact);
        Ok(Operand::Input(self.architecture.inputs.len() - 1))
    }

    /// Facts about values that the file states, and the end of the dimensions.
    fn declared(&mut self) -> Result<(), ReadError> {
        let graph = self.graph;
        for value in graph.value_info.iter().chain(&graph.output) {
            let name = value.name.as_deref().unwrap_or_default();
            let (fact, _) = convert::fact(value, &mut self.dims)
                .map_err(|problem| self.wrong_shape(name, problem))?;
            self.architecture.declared.insert(name.to_owned(), fact);
        }
        match self.dims.unused() {
            Some((name, known)) => Err(ReadError::UnusedDim { file: self.file(), name, known }),
            None => Ok(()),
        }
    }

    /// Nodes of the DAG; `Constant` nodes and stripped weights become constants and parameters.
    fn nodes(&mut self) -> Result<(), ReadError> {
        let mut opsets: Opsets = self.model.opsets().into_iter().collect();
        if opsets.is_empty() && self.model.ir_version() < 3 {
            opsets.insert(String::new(), 1);
        }
        for (number, call) in self.calls.iter().enumerate() {
            let Call { proto, position, .. } = call;
            let (proto, position): (&'a NodeProto, usize) = (proto, *position);
            let opsets = call.opsets.as_deref().unwrap_or(&opsets);
            let missing = |field| ReadError::Node { file: self.file(), position, field };
            let op_type = proto.op_type.as_deref().filter(|op| !op.is_empty());
            let op_type = op_type.ok_or_else(|| missing("op_type"))?;
            if proto.output.is_empty() {
                return Err(missing("output"));
            }
            let domain = match proto.domain.as_deref() {
                None | Some("ai.onnx") => "",
                Some(domain) => domain,
            };
            let opset = match opsets.get(domain) {
                Some(&opset) => opset,
                None if domain.is_empty() => return Err(ReadError::NoOpset { file: self.file() }),
                None => 1,
            };
            if domain.is_empty() && self.tensor_node(call, op_type)? {
                continue;
            }
            let node = Node {
                name: proto.name.clone().unwrap_or_default(),
                domain: domain.to_owned(),
                op_type: op_type.to_owned(),
                opset,
                attributes: convert::attributes(self.model, proto)?,
                inputs: Vec::new(),
                outputs: proto
                    .output
                    .iter()
                    .map(|name| Fact { name: name.clone(), ..Fact::default() })
                    .collect(),
                position,
                module: module_path(proto),
                inlined: call.opsets.is_some(),
                conditional: call.conditional,
                rules: find(&proto.metadata_props, REWRITTEN_BY).unwrap_or_default().to_owned(),
                call: self.call(proto),
            };
            let index = self.architecture.dag.add_node(node);
            self.read.push(number);
            for (slot, name) in proto.output.iter().enumerate() {
                if !name.is_empty() {
                    self.define(name, Operand::Node { node: index, slot })?;
                }
            }
        }
        Ok(())
    }

    /// The call of a PyTorch function that a node is part of.
    fn call(&self, node: &NodeProto) -> Option<TorchCall> {
        let captured::Call { result, users, function, arguments } = captured::call(node)?;
        let tensors = arguments.iter().filter_map(|argument| self.placeholders.get(argument));
        Some(TorchCall {
            result: result.to_owned(),
            users,
            function: function.to_owned(),
            tensors: tensors.map(|&name| name.to_owned()).collect(),
            arguments: arguments.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Inputs of every node, edges, and parameters that are named but defined nowhere.
    fn connect(&mut self) {
        let calls = self.calls;
        for index in self.architecture.dag.node_indices().collect::<Vec<_>>() {
            let proto = &calls[self.read[index.index()]].proto;
            let mut inputs = Vec::new();
            for (destination_slot, name) in proto.input.iter().enumerate() {
                let operand = match self.operands.get(name.as_str()) {
                    _ if name.is_empty() => Operand::Absent,
                    Some(&operand) => operand,
                    None => {
                        let operand = self.undefined(name);
                        self.operands.insert(name, operand);
                        operand
                    }
                };
                if let Operand::Node { node, slot } = operand {
                    let edge = Edge { source_slot: slot, destination_slot };
                    self.architecture.dag.add_edge(node, index, edge);
                }
                inputs.push(operand);
            }
            self.architecture.dag[index].inputs = inputs;
        }
    }

    fn outputs(&mut self) -> Result<(), ReadError> {
        for output in &self.graph.output {
            let name = output.name.as_deref().unwrap_or_default();
            let Some(&operand) = self.operands.get(name) else {
                return Err(ReadError::Output { file: self.file(), value: name.to_owned() });
            };
            self.architecture.outputs.push((name.to_owned(), operand));
        }
        Ok(())
    }
}
