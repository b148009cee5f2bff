//! What to expect of a prediction before anyone trusts it. A [`Descriptor`] says what a graph is like: the mean
//! of its node tokens and its sizes. An [`OutlookTable`], measured once for a predictor and kept beside its
//! other files, knows where training graphs lie, and how accurate predicted weights of held-out graphs
//! were. Of one graph it says the [`Outlook`]: how far it is from training, in which sizes it lies beyond, and
//! what graphs like it achieved.

mod descriptor;
mod expectation;
mod quantity;
mod space;
mod table;

pub use descriptor::Descriptor;
pub use expectation::{Beyond, Expected, Outlook};
pub use quantity::{Quantities, Quantity};
pub use space::TokenSpace;
pub(super) use table::FILE;
pub use table::{HeldOutPlace, OutlookTable};
