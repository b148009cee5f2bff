//! Labels to learn a ranking from: graphs of many generated spaces, each trained for a few epochs from He
//! initialisation. No table of anybody else is read. A [`LabelFile`] keeps the learning curves; it only grows,
//! and a run goes on where another ended.

mod error;
mod file;
mod label;
mod pools;
mod run;
mod spaces;

pub use error::LabelError;
pub use file::{LabelFile, labels_of};
pub use label::{Label, LabelSetting};
pub use pools::{LabelledPool, labelled_pools};
pub use run::Labelling;
pub use spaces::ranking_spaces;
