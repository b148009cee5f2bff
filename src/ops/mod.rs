//! The operator table. Everything about an operator (opset history, shape rule, parameter slots,
//! node features, execution, fast kernel) lives in that operator's own file; vocabulary, support
//! matrix and documentation derive from [`registry`].

mod operator;

pub use operator::{Features, OpError, Operator, SlotRule};
