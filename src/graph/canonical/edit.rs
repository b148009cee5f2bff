//! Changing an architecture: who reads what, and a graph without what nobody reads any more.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use petgraph::stable_graph::StableDiGraph;

use super::super::{
    Architecture, Attribute, Constant, Edge, Fact, Form, Node, NodeIndex, Operand, Origin,
    Parameter, ParameterId, Storage, StorageMap, without,
};
use super::{CANONICAL_DOMAIN, permutation};

/// An architecture that is being rewritten. Edges are of no use until [`Editor::finish`] draws them anew.
pub(super) struct Editor<'a> {
    pub architecture: &'a mut Architecture,
    /// Inputs that read a value, by node and slot.
    pub(super) readers: HashMap<Operand, Vec<(NodeIndex, usize)>>,
    /// Nodes that a rewrite may have left without readers.
    loose: Vec<NodeIndex>,
    /// Parameters that leave the graph.
    gone: HashSet<ParameterId>,
    /// Parameters that leave it if nothing reads them.
    forgotten: Vec<ParameterId>,
    changed: bool,
}

impl<'a> Editor<'a> {
    pub fn new(architecture: &'a mut Architecture) -> Self {
        let mut readers: HashMap<Operand, Vec<(NodeIndex, usize)>> = HashMap::new();
        for &node in &architecture.order {
            for (input, &operand) in architecture.dag[node].inputs.iter().enumerate() {
                if operand != Operand::Absent {
                    readers.entry(operand).or_default().push((node, input));
                }
            }
        }
        let (loose, gone, forgotten) = (Vec::new(), HashSet::new(), Vec::new());
        Self { architecture, readers, loose, gone, forgotten, changed: false }
    }

    /// Turns a node into another operator, which makes the same value as its first output.
    pub fn become_operator(
        &mut self,
        index: NodeIndex,
        op_type: &str,
        attributes: &[(&str, Attribute)],
        inputs: &[Operand],
    ) {
        self.set_inputs(index, inputs);
        let node = &mut self.architecture.dag[index];
        node.domain.clear();
        node.op_type = op_type.to_owned();
        let attribute = |(name, value): &(&str, Attribute)| ((*name).to_owned(), value.clone());
        node.attributes.0 = attributes.iter().map(attribute).collect();
        node.outputs.truncate(1);
    }

    /// Marks a node as an operator that ONNX does not have.
    pub fn set_own_domain(&mut self, index: NodeIndex) {
        self.architecture.dag[index].domain = CANONICAL_DOMAIN.to_owned();
        self.changed = true;
    }

    /// Sets the opset that gives a node its meaning, for one that became an operator of a newer one.
    pub fn set_opset(&mut self, index: NodeIndex, opset: i64) {
        self.architecture.dag[index].opset = opset;
    }

    /// Changes an attribute of a node, if it is another one so far.
    pub fn set_attribute(&mut self, index: NodeIndex, name: &str, value: Attribute) {
        let attributes = &mut self.architecture.dag[index].attributes.0;
        if attributes.get(name) != Some(&value) {
            attributes.insert(name.to_owned(), value);
            self.changed = true;
        }
    }

    /// Takes an attribute from a node.
    pub fn remove_attribute(&mut self, index: NodeIndex, name: &str) {
        self.changed |= self.architecture.dag[index].attributes.0.remove(name).is_some();
    }

    /// Lets a node read other values.
    pub fn set_inputs(&mut self, index: NodeIndex, inputs: &[Operand]) {
        let before = std::mem::replace(&mut self.architecture.dag[index].inputs, inputs.to_vec());
        for operand in before {
            if let Some(readers) = self.readers.get_mut(&operand) {
                readers.retain(|(reader, _)| *reader != index);
            }
            self.loosen(operand);
        }
        for (slot, &operand) in inputs.iter().enumerate() {
            if operand != Operand::Absent {
                self.readers.entry(operand).or_default().push((index, slot));
            }
        }
        self.changed = true;
    }

    /// Lets a node read another value in one of its inputs, which may be the one behind its last.
    pub fn set_input(&mut self, index: NodeIndex, slot: usize, operand: Operand) {
        let mut inputs = self.node(index).inputs.clone();
        if inputs.len() <= slot {
            inputs.resize(slot + 1, Operand::Absent);
        }
        inputs[slot] = operand;
        self.set_inputs(index, &inputs);
    }

    /// Puts one value in the place of another, wherever that is read or returned.
    pub fn replace(&mut self, from: Operand, to: Operand) {
        for (node, input) in self.readers(from).to_vec() {
            self.set_input(node, input, to);
        }
        self.return_instead(from, to);
    }

    /// Adds a node of the default domain beside another one, of whose module it becomes a part; its
    /// output, of which only the shape is known.
    pub fn insert(
        &mut self,
        beside: NodeIndex,
        op_type: &str,
        attributes: &[(&str, Attribute)],
        inputs: &[Operand],
        shape: Option<Vec<usize>>,
    ) -> Operand {
        let Node { name, opset, position, module, inlined, outputs, .. } =
            self.node(beside).clone();
        let first = outputs.into_iter().next().unwrap_or_default();
        let count = self.architecture.dag.node_count();
        let output = Fact { name: format!("{}/{op_type}_{count}", first.name), shape, ..first };
        let attribute = |(name, value): &(&str, Attribute)| ((*name).to_owned(), value.clone());
        let node = Node {
            name,
            op_type: op_type.to_owned(),
            opset,
            outputs: vec![Fact { value: None, ..output }],
            attributes: super::super::Attributes(attributes.iter().map(attribute).collect()),
            position,
            module,
            inlined,
            ..Node::default()
        };
        let index = self.architecture.dag.add_node(node);
        self.set_inputs(index, inputs);
        Operand::Node { node: index, slot: 0 }
    }

    /// As [`Editor::insert`], behind a node: whoever reads the node's first output reads the new one's.
    pub fn insert_behind(
        &mut self,
        node: NodeIndex,
        op_type: &str,
        attributes: &[(&str, Attribute)],
        inputs: &[Operand],
        shape: Vec<usize>,
    ) -> NodeIndex {
        let output = Operand::Node { node, slot: 0 };
        let readers = self.readers(output).to_vec();
        let new = self.insert(node, op_type, attributes, inputs, Some(shape));
        for (reader, slot) in readers {
            self.set_input(reader, slot, new);
        }
        for (_, returned) in &mut self.architecture.outputs {
            if *returned == output {
                *returned = new;
            }
        }
        match new {
            Operand::Node { node, .. } => node,
            _ => node,
        }
    }

    /// Says which module a node is part of.
    pub fn set_module(&mut self, node: NodeIndex, module: Option<String>) {
        self.architecture.dag[node].module = module;
    }

    /// Forgets what the exporter did to a node, once it is undone.
    pub fn clear_rules(&mut self, node: NodeIndex) {
        self.architecture.dag[node].rules.clear();
    }

    /// Reads a node as one of a later opset, if it is not one already.
    pub fn raise_opset(&mut self, node: NodeIndex, opset: i64) {
        let own = &mut self.architecture.dag[node].opset;
        *own = opset.max(*own);
    }

    /// Gives a node one more output, of which only the shape is known.
    pub fn add_output(&mut self, index: NodeIndex, shape: Vec<usize>) {
        let outputs = &mut self.architecture.dag[index].outputs;
        let first = outputs.first().cloned().unwrap_or_default();
        let name = format!("{}_{}", first.name, outputs.len());
        outputs.push(Fact { name, shape: Some(shape), value: None, ..first });
    }

    /// A value that is known now.
    pub fn constant(&mut self, value: Constant) -> Operand {
        self.architecture.constants.push((String::new(), value));
        Operand::Constant(self.architecture.constants.len() - 1)
    }

    /// A list of integers that is known now.
    pub fn int_list(&mut self, data: Vec<i64>) -> Operand {
        self.constant(Constant::Int { shape: vec![data.len()], data })
    }

    /// The extents of a shape, as a target.
    pub fn extents(&mut self, shape: &[usize]) -> Operand {
        self.int_list(shape.iter().map(|&extent| extent as i64).collect())
    }

    /// Adds parameters that follow from others, which leave the graph: nothing may read them when the
    /// rewriting is over. Of the tensors of a file in `from`, [`StorageMap`] makes `parameters`.
    pub fn compose(
        &mut self,
        from: &[ParameterId],
        further: Vec<Parameter>,
        parameters: Vec<Parameter>,
        storage: impl FnOnce(Vec<ParameterId>, Vec<Parameter>) -> Storage,
    ) -> Vec<Operand> {
        let first = self.architecture.parameters.len();
        let ids: Vec<ParameterId> = (first..first + parameters.len()).map(ParameterId).collect();
        let mut tensors: Vec<Parameter> =
            from.iter().map(|id| self.architecture.parameters[id.0].clone()).collect();
        tensors.extend(further);
        self.gone.extend(from);
        let storage_index = self.architecture.storages.len();
        let composed = parameters.into_iter().enumerate().map(|(place, parameter)| Parameter {
            origin: Origin::Composed { storage: storage_index, place },
            value: None,
            wiring: Default::default(),
            ..parameter
        });
        self.architecture.parameters.extend(composed);
        self.architecture.storages.push(storage(ids.clone(), tensors));
        self.changed = true;
        ids.into_iter().map(Operand::Parameter).collect()
    }

    /// As [`Editor::compose`], for one parameter that follows from one tensor.
    pub fn compose_one(
        &mut self,
        from: ParameterId,
        parameter: Parameter,
        map: impl StorageMap + 'static,
        in_state_dict: Form,
    ) -> Operand {
        let map = Arc::new(map);
        let storage = |parameters, tensors| Storage { parameters, tensors, map, in_state_dict };
        self.compose(&[from], Vec::new(), vec![parameter], storage)[0]
    }

    /// Takes a parameter out, unless something reads it when the rewriting is over.
    pub fn forget(&mut self, id: ParameterId) {
        self.forgotten.push(id);
    }

    /// Lets the graph return another value.
    pub fn set_output(&mut self, place: usize, operand: Operand) {
        let (_, output) = &mut self.architecture.outputs[place];
        let before = std::mem::replace(output, operand);
        self.loosen(before);
        self.changed = true;
    }

    /// Adds a parameter beside those that are there.
    pub fn add_parameter(&mut self, parameter: Parameter) -> Operand {
        self.architecture.parameters.push(parameter);
        self.changed = true;
        Operand::Parameter(ParameterId(self.architecture.parameters.len() - 1))
    }

    /// Lets the graph return another value in the place of one.
    pub fn return_instead(&mut self, from: Operand, to: Operand) {
        for (_, output) in &mut self.architecture.outputs {
            if *output == from {
                *output = to;
            }
        }
        self.loosen(from);
        self.changed = true;
    }

    /// Notes that the axes of a node's result come in another order now.
    pub fn permute_output(&mut self, output: Operand, order: &[usize]) {
        let Operand::Node { node, slot } = output else { return };
        let architecture = &mut *self.architecture;
        let Some(fact) = architecture.dag[node].outputs.get_mut(slot) else { return };
        let declared = architecture.declared.get_mut(&fact.name);
        for shape in [Some(&mut *fact), declared].into_iter().flatten().map(|it| &mut it.shape) {
            *shape = shape.take().filter(|shape| shape.len() == order.len());
            *shape = shape.take().map(|shape| permutation::take(order, &shape));
        }
        // What was known of its values is so in the order of before.
        architecture.dag[node].outputs[slot].value = None;
        self.changed = true;
    }

    /// Reads an input of the graph with its axes in another order than the file does.
    pub fn permute_input(&mut self, index: usize, order: &[usize]) {
        let input = &mut self.architecture.inputs[index];
        input.shape = input.shape.take().map(|shape| permutation::take(order, &shape));
        let notice = format!(
            "input '{}' has its channels last in the file; they are listed and judged with channels first",
            input.name
        );
        self.notice(notice);
        self.changed = true;
    }

    /// Says something to the user, once.
    pub fn notice(&mut self, notice: String) {
        if !self.architecture.notices.contains(&notice) {
            self.architecture.notices.push(notice);
        }
    }

    /// Leaves a node out that nothing reads.
    pub fn leave_out(&mut self, node: NodeIndex) {
        self.loose.push(node);
        self.changed = true;
    }

    /// Notes that something changed which this does not see.
    pub fn touch(&mut self) {
        self.changed = true;
    }

    fn loosen(&mut self, operand: Operand) {
        if let Operand::Node { node, .. } = operand {
            self.loose.push(node);
        }
    }

    /// Leaves out what rewrites left without a reader, draws edges anew, and sorts nodes and parameters.
    /// Says whether anything but the order changed.
    pub fn finish(mut self) -> bool {
        if !self.changed {
            super::order::sort(self.architecture);
            return false;
        }
        let dead = self.dead();
        for id in std::mem::take(&mut self.forgotten) {
            let operand = Operand::Parameter(id);
            if self.readers(operand).is_empty() && !self.is_returned(operand) {
                self.gone.insert(id);
            }
        }
        let architecture = self.architecture;
        let mut dag = StableDiGraph::new();
        let mut moved: HashMap<NodeIndex, NodeIndex> = HashMap::new();
        let nodes: Vec<NodeIndex> = architecture.dag.node_indices().collect();
        for &index in nodes.iter().filter(|index| !dead.contains(index)) {
            moved.insert(index, dag.add_node(std::mem::take(&mut architecture.dag[index])));
        }
        let change = |operand: &mut Operand| {
            if let Operand::Node { node, .. } = operand {
                *node = moved.get(node).copied().unwrap_or(*node);
            }
        };
        for index in dag.node_indices().collect::<Vec<_>>() {
            dag[index].inputs.iter_mut().for_each(change);
            for (destination_slot, operand) in dag[index].inputs.clone().into_iter().enumerate() {
                if let Operand::Node { node, slot } = operand {
                    dag.add_edge(node, index, Edge { source_slot: slot, destination_slot });
                }
            }
        }
        architecture.outputs.iter_mut().for_each(|(_, output)| change(output));
        architecture.dag = dag;
        let count = architecture.parameters.len();
        architecture.renumber_parameters(&without(count, |id| self.gone.contains(&id)));
        super::order::sort(architecture);
        true
    }

    /// Nodes that lost all readers, and those that only they read.
    fn dead(&mut self) -> HashSet<NodeIndex> {
        let mut dead = HashSet::new();
        while let Some(node) = self.loose.pop() {
            if !self.is_dead(node) || !dead.insert(node) {
                continue;
            }
            for operand in self.node(node).inputs.clone() {
                if let Some(readers) = self.readers.get_mut(&operand) {
                    readers.retain(|(reader, _)| *reader != node);
                }
                self.loosen(operand);
            }
        }
        dead
    }
}
