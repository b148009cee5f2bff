//! From the messages of a file to an [`Architecture`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use petgraph::Direction;

use crate::onnx::{
    Model, OnnxError,
    messages::{GraphProto, NodeProto, TensorProto},
};

use super::{
    Architecture, Attribute, Constant, DType, Edge, Fact, Node, NodeIndex, Operand, Origin,
    Parameter, ParameterId, Tensor, convert,
};

/// Values of tensors up to this many elements are kept with the parameter.
const SMALL: usize = 4096;

/// A file that is ONNX but not a graph this tool can make sense of.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The default operator set is not imported.
    #[error("{file}: opset_import does not name the default domain; the operators have no version")]
    NoOpset {
        /// The file.
        file: String,
    },
    /// A value with two definitions.
    #[error("{file}: value '{value}' is defined twice")]
    Duplicate {
        /// The file.
        file: String,
        /// The value.
        value: String,
    },
    /// A node that, through others, reads its own result.
    #[error("{file}: {node} is on a cycle")]
    Cycle {
        /// The file.
        file: String,
        /// The node.
        node: String,
    },
    /// A node without an operator type or without outputs.
    #[error("{file}: node #{position}: field '{field}' is missing")]
    Node {
        /// The file.
        file: String,
        /// Position in the file.
        position: usize,
        /// The field.
        field: &'static str,
    },
    /// A graph output that nothing computes.
    #[error("{file}: graph output '{value}' is not computed by any node")]
    Output {
        /// The file.
        file: String,
        /// The value.
        value: String,
    },
    /// A `--dim` that matches nothing.
    #[error("{file}: no dimension is named '{name}'; the file has {known}")]
    UnusedDim {
        /// The file.
        file: String,
        /// The name given.
        name: String,
        /// Names there are.
        known: String,
    },
}

/// Sizes for symbolic dimensions.
#[derive(Clone, Debug, Default)]
pub struct DimBindings {
    sizes: BTreeMap<String, usize>,
    used: BTreeSet<String>,
    seen: BTreeSet<String>,
}

impl DimBindings {
    /// Binds names to sizes.
    pub fn new(sizes: impl IntoIterator<Item = (String, usize)>) -> Self {
        Self { sizes: sizes.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn bound(&mut self, symbol: &str) -> Option<usize> {
        self.seen.insert(symbol.to_owned());
        let size = self.sizes.get(symbol).copied()?;
        self.used.insert(symbol.to_owned());
        Some(size)
    }
}

impl Architecture {
    /// Reads the graph of a model; unbound dimensions are 1, with a notice.
    pub fn from_model(model: &Model) -> Result<Self, ReadError> {
        Self::from_model_with(model, DimBindings::default())
    }

    /// Reads the graph of a model with sizes for its symbolic dimensions.
    pub fn from_model_with(model: &Model, dims: DimBindings) -> Result<Self, ReadError> {
        let empty = GraphProto::default();
        let graph = model.proto().graph.as_ref().unwrap_or(&empty);
        let mut reader = Reader {
            model,
            graph,
            dims,
            architecture: Self { name: graph.name.clone().unwrap_or_default(), ..Self::default() },
            operands: HashMap::new(),
        };
        reader.declarations()?;
        reader.nodes()?;
        reader.connect()?;
        reader.finish()
    }

    /// The value a parameter has in the file, widened to `f32`; `None` where the file has none.
    pub fn value_in(&self, model: &Model, id: ParameterId) -> Result<Option<Tensor>, OnnxError> {
        let graph = model.proto().graph.as_ref();
        let parameter = &self.parameters[id.0];
        let tensor = match parameter.origin {
            Origin::Initializer(index) => graph.and_then(|graph| graph.initializer.get(index)),
            Origin::Constant(position) => {
                graph.and_then(|graph| graph.node.get(position)).and_then(value_attribute)
            }
            Origin::ConstantOfShape(position) => {
                let node = graph.and_then(|graph| graph.node.get(position));
                let fill = match node.and_then(value_attribute) {
                    Some(tensor) => match convert::constant(model, tensor)? {
                        Constant::Float(tensor) => tensor.data.first().copied().unwrap_or(0.0),
                        Constant::Int { .. } => 0.0,
                    },
                    None => 0.0,
                };
                return Ok(parameter.shape.clone().map(|shape| Tensor::full(shape, fill)));
            }
            Origin::GraphInput(_) | Origin::Undefined => None,
        };
        match tensor.map(|tensor| convert::constant(model, tensor)).transpose()? {
            Some(Constant::Float(tensor)) => Ok(Some(tensor)),
            _ => Ok(parameter.value.clone()),
        }
    }

    /// Whether the file holds trained-looking values for a parameter: a constant fill
    /// (`ConstantOfShape`) stands for a weight that was stripped.
    pub fn holds_value(&self, id: ParameterId) -> bool {
        matches!(self.parameters[id.0].origin, Origin::Initializer(_) | Origin::Constant(_))
    }
}

struct Reader<'a> {
    model: &'a Model,
    graph: &'a GraphProto,
    dims: DimBindings,
    architecture: Architecture,
    /// What each value name stands for.
    operands: HashMap<&'a str, Operand>,
}

impl<'a> Reader<'a> {
    fn file(&self) -> String {
        self.model.name().to_owned()
    }

    fn define(&mut self, name: &'a str, operand: Operand) -> Result<(), ReadError> {
        match self.operands.insert(name, operand) {
            None => Ok(()),
            Some(_) => Err(ReadError::Duplicate { file: self.file(), value: name.to_owned() }),
        }
    }

    fn parameter(&mut self, parameter: Parameter) -> Operand {
        self.architecture.parameters.push(parameter);
        Operand::Parameter(ParameterId(self.architecture.parameters.len() - 1))
    }

    fn constant(&mut self, name: &str, value: Constant) -> Operand {
        self.architecture.constants.push((name.to_owned(), value));
        Operand::Constant(self.architecture.constants.len() - 1)
    }

    /// A tensor of the file: integers and single numbers are constants, other floats parameters.
    fn tensor(
        &mut self,
        name: &str,
        tensor: &TensorProto,
        origin: Origin,
    ) -> Result<Operand, ReadError> {
        let dtype = DType::from_onnx(tensor.data_type.unwrap_or(0));
        if matches!(dtype, DType::Other(_)) {
            let shape = tensor.dims.iter().map(|&extent| extent.max(0) as usize).collect();
            return Ok(self.parameter(Parameter {
                name: name.to_owned(),
                dtype,
                shape: Some(shape),
                origin,
                slots: Vec::new(),
                value: None,
            }));
        }
        let count = tensor.dims.iter().fold(1i64, |count, &extent| count.saturating_mul(extent));
        let small = (0..=SMALL as i64).contains(&count);
        if !dtype.is_float() {
            // Large integer tensors are quantised weights: nothing to fold, nothing to predict.
            if !small {
                let shape = tensor.dims.iter().map(|&extent| extent.max(0) as usize).collect();
                return Ok(self.parameter(Parameter {
                    name: name.to_owned(),
                    dtype,
                    shape: Some(shape),
                    origin,
                    slots: Vec::new(),
                    value: None,
                }));
            }
            let value = convert::constant(self.model, tensor)?;
            return Ok(self.constant(name, value));
        }
        let shape = crate::onnx::shape(tensor).map_err(|problem| OnnxError::Tensor {
            file: self.file(),
            tensor: name.to_owned(),
            problem,
        })?;
        let value = if small { Some(convert::constant(self.model, tensor)?) } else { None };
        match value {
            Some(value) if count == 1 => Ok(self.constant(name, value)),
            value => {
                let value = value.and_then(|value| match value {
                    Constant::Float(tensor) => Some(tensor),
                    Constant::Int { .. } => None,
                });
                Ok(self.parameter(Parameter {
                    name: name.to_owned(),
                    dtype,
                    shape: Some(shape),
                    origin,
                    slots: Vec::new(),
                    value,
                }))
            }
        }
    }

    /// Initializers, graph inputs and declared values.
    fn declarations(&mut self) -> Result<(), ReadError> {
        let graph = self.graph;
        for (index, tensor) in graph.initializer.iter().enumerate() {
            let name = tensor.name.as_deref().unwrap_or_default();
            let operand = self.tensor(name, tensor, Origin::Initializer(index))?;
            self.define(name, operand)?;
        }
        let learned = learned_inputs(graph);
        let mut seen = HashSet::new();
        for (index, input) in graph.input.iter().enumerate() {
            let name = input.name.as_deref().unwrap_or_default();
            if !seen.insert(name) {
                return Err(ReadError::Duplicate { file: self.file(), value: name.to_owned() });
            }
            if self.operands.contains_key(name) {
                continue;
            }
            let (fact, defaulted) = convert::fact(input, &mut self.dims);
            let is_float = fact.dtype.is_none_or(DType::is_float);
            let operand = if learned.contains(name) && is_float && defaulted.is_empty() {
                self.parameter(Parameter {
                    name: name.to_owned(),
                    dtype: fact.dtype.unwrap_or(DType::F32),
                    shape: fact.shape,
                    origin: Origin::GraphInput(index),
                    slots: Vec::new(),
                    value: None,
                })
            } else {
                for symbol in defaulted {
                    let notice =
                        format!("input '{name}': {symbol} is taken as 1; set it with --dim");
                    self.architecture.notices.push(notice);
                }
                self.architecture.inputs.push(fact);
                Operand::Input(self.architecture.inputs.len() - 1)
            };
            self.define(name, operand)?;
        }
        for value in graph.value_info.iter().chain(&graph.output) {
            let (fact, _) = convert::fact(value, &mut self.dims);
            self.architecture.declared.insert(fact.name.clone(), fact);
        }
        let unused = self.dims.sizes.keys().find(|name| !self.dims.used.contains(*name));
        if let Some(name) = unused {
            let known: Vec<String> =
                self.dims.seen.iter().map(|name| format!("'{name}'")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(ReadError::UnusedDim { file: self.file(), name: name.clone(), known });
        }
        Ok(())
    }

    /// Nodes of the DAG; `Constant` nodes and stripped weights become constants and parameters.
    fn nodes(&mut self) -> Result<(), ReadError> {
        let graph = self.graph;
        let mut opsets: HashMap<String, i64> = self.model.opsets().into_iter().collect();
        if opsets.is_empty() && self.model.ir_version() < 3 {
            opsets.insert(String::new(), 1);
        }
        for (position, proto) in graph.node.iter().enumerate() {
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
            if domain.is_empty() && self.as_tensor(position, proto, op_type)? {
                continue;
            }
            let node = Node {
                name: proto.name.clone().unwrap_or_default(),
                domain: domain.to_owned(),
                op_type: op_type.to_owned(),
                opset,
                attributes: convert::attributes(self.model, &proto.attribute)?,
                inputs: Vec::new(),
                outputs: proto
                    .output
                    .iter()
                    .map(|name| Fact { name: name.clone(), ..Fact::default() })
                    .collect(),
                position,
            };
            let index = self.architecture.dag.add_node(node);
            for (slot, name) in proto.output.iter().enumerate() {
                if !name.is_empty() {
                    self.define(name, Operand::Node { node: index, slot })?;
                }
            }
        }
        Ok(())
    }

    /// Turns a node that only holds a tensor into one; says whether it did.
    fn as_tensor(
        &mut self,
        position: usize,
        proto: &'a NodeProto,
        op_type: &str,
    ) -> Result<bool, ReadError> {
        let Some(name) = proto.output.first().map(String::as_str) else { return Ok(false) };
        match op_type {
            "Constant" => {
                if let Some(tensor) = value_attribute(proto) {
                    let operand = self.tensor(name, tensor, Origin::Constant(position))?;
                    self.define(name, operand)?;
                    return Ok(true);
                }
                let attributes = convert::attributes(self.model, &proto.attribute)?;
                let float =
                    |shape: Vec<usize>, data: Vec<f32>| Constant::Float(Tensor { shape, data });
                let value = match attributes.0.iter().next() {
                    Some((name, Attribute::Float(value))) if name == "value_float" => {
                        float(vec![], vec![*value])
                    }
                    Some((name, Attribute::Floats(values))) if name == "value_floats" => {
                        float(vec![values.len()], values.clone())
                    }
                    Some((name, Attribute::Int(value))) if name == "value_int" => {
                        Constant::Int { shape: vec![], data: vec![*value] }
                    }
                    Some((name, Attribute::Ints(values))) if name == "value_ints" => {
                        Constant::Int { shape: vec![values.len()], data: values.clone() }
                    }
                    _ => return Ok(false),
                };
                let operand = self.constant(name, value);
                self.define(name, operand)?;
                Ok(true)
            }
            "ConstantOfShape" => {
                let target = proto.input.first().and_then(|name| self.operands.get(name.as_str()));
                let Some(&Operand::Constant(target)) = target else { return Ok(false) };
                let Some(extents) = self.architecture.constants[target].1.ints() else {
                    return Ok(false);
                };
                let dtype = value_attribute(proto)
                    .map_or(DType::F32, |tensor| DType::from_onnx(tensor.data_type.unwrap_or(1)));
                let shape: Option<Vec<usize>> =
                    extents.iter().map(|&extent| usize::try_from(extent).ok()).collect();
                let count = shape.as_ref().and_then(|shape| {
                    shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent))
                });
                let (Some(shape), Some(count)) = (shape, count) else { return Ok(false) };
                if !dtype.is_float() || count <= 1 {
                    return Ok(false);
                }
                let operand = self.parameter(Parameter {
                    name: name.to_owned(),
                    dtype,
                    shape: Some(shape),
                    origin: Origin::ConstantOfShape(position),
                    slots: Vec::new(),
                    value: None,
                });
                self.define(name, operand)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Inputs of every node, edges, and parameters that are named but defined nowhere.
    fn connect(&mut self) -> Result<(), ReadError> {
        let graph = self.graph;
        for index in self.architecture.dag.node_indices().collect::<Vec<_>>() {
            let position = self.architecture.dag[index].position;
            let mut inputs = Vec::new();
            for (destination_slot, name) in graph.node[position].input.iter().enumerate() {
                let operand = match self.operands.get(name.as_str()) {
                    _ if name.is_empty() => Operand::Absent,
                    Some(&operand) => operand,
                    None => {
                        let operand = self.parameter(Parameter {
                            name: name.clone(),
                            dtype: DType::F32,
                            shape: None,
                            origin: Origin::Undefined,
                            slots: Vec::new(),
                            value: None,
                        });
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
        for output in &graph.output {
            let name = output.name.as_deref().unwrap_or_default();
            match self.operands.get(name) {
                Some(&operand) => self.architecture.outputs.push((name.to_owned(), operand)),
                None => {
                    return Err(ReadError::Output { file: self.file(), value: name.to_owned() });
                }
            }
        }
        Ok(())
    }

    /// Topological order (Kahn's algorithm, the earliest node in the file first).
    fn finish(mut self) -> Result<Architecture, ReadError> {
        let dag = &self.architecture.dag;
        let mut waiting: HashMap<NodeIndex, usize> = dag
            .node_indices()
            .map(|node| (node, dag.edges_directed(node, Direction::Incoming).count()))
            .collect();
        let mut ready: BTreeSet<NodeIndex> =
            waiting.iter().filter(|(_, count)| **count == 0).map(|(&node, _)| node).collect();
        let mut order = Vec::with_capacity(dag.node_count());
        while let Some(node) = ready.pop_first() {
            order.push(node);
            // Parallel edges are counted on both sides.
            for next in dag.neighbors(node) {
                if let Some(count) = waiting.get_mut(&next) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(next);
                    }
                }
            }
        }
        if order.len() < dag.node_count() {
            let stuck = dag.node_indices().find(|node| waiting[node] > 0).unwrap_or_default();
            let node = self.architecture.describe(stuck);
            return Err(ReadError::Cycle { file: self.file(), node });
        }
        if !order.is_sorted() {
            self.architecture
                .notices
                .push("nodes are not in topological order; the file's order is kept".to_owned());
        }
        self.architecture.order = order;
        Ok(self.architecture)
    }
}

fn value_attribute(node: &NodeProto) -> Option<&TensorProto> {
    let value = node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some("value"));
    value.and_then(|attribute| attribute.t.as_ref())
}

/// Graph inputs that are weights listed without values: never the first operand of a node, or
/// named as in a state dict.
fn learned_inputs(graph: &GraphProto) -> HashSet<&str> {
    const SUFFIXES: [&str; 6] =
        [".weight", ".bias", ".running_mean", ".running_var", ".gamma", ".beta"];
    let mut first = HashSet::new();
    let mut used = HashSet::new();
    for node in &graph.node {
        first.extend(node.input.first().map(String::as_str));
        used.extend(node.input.iter().map(String::as_str));
    }
    graph
        .input
        .iter()
        .filter_map(|input| input.name.as_deref())
        .filter(|name| used.contains(name))
        .filter(|name| {
            !first.contains(name) || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        })
        .collect()
}
