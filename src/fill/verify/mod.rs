//! Checking a filled network against the report that was written with it, and making it again to
//! compare bit for bit.

mod check;
mod recorded;
mod regenerate;
mod verification;

pub use check::Check;
pub use recorded::{RecordedReport, RecordedTensor};
pub use regenerate::{RegenerateOptions, regenerate};
pub use verification::{Verification, verify};
