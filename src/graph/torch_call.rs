//! The call of a PyTorch function that a node is part of.

/// A call of a PyTorch function, as the dynamo exporter notes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TorchCall {
    /// What its result is called: `conv2d_1`.
    pub result: String,
    /// How many calls take the result.
    pub users: usize,
    /// The function: `conv2d`.
    pub function: String,
    /// Values that it is called with, in order.
    pub arguments: Vec<String>,
    /// Those of them that are tensors of the module, by their names in the state dict.
    pub tensors: Vec<String>,
}
