//! A graph as it is built, before it is written.

/// One attribute of a node.
#[derive(Clone, Debug)]
pub(super) enum Attribute {
    Int(i64),
    Float(f32),
    String(&'static str),
    Ints(Vec<i64>),
}

/// One operator.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub name: String,
    pub op_type: &'static str,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// A tensor to be learned, listed as a graph input.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
}

/// What [`super::encode::model`] writes. The input is `input`, the output `logits`.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub name: String,
    pub input: Vec<usize>,
    pub classes: usize,
    pub nodes: Vec<Node>,
    pub parameters: Vec<Parameter>,
}
