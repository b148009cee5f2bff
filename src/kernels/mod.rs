//! Plain CPU kernels with hand-written gradients: the fast path of training on a CPU. They know
//! nothing of graphs; `execute::Program` strings them together. The plain reference they are
//! tested against is the burn execution of the same operator.

mod step;

pub use step::{Activation, Step};
