//! Audits: whether a network is a copy of another one, and what predicted networks and the images that a
//! predictor carries give away of the images it learned from.

mod auc;
mod copies;
mod error;
mod membership;
mod page;

pub use auc::Auc;
pub use copies::{CopyAudit, CopyReport, Nearest, Rate};
pub use error::AuditError;
pub use membership::{Membership, MembershipAudit, MembershipReport, Recovery};
