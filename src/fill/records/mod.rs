//! What goes with weights that are handed on: a bill of materials (`bom.json`, CycloneDX 1.6) for programs and a
//! model card (`README.md`, as the Hub of Hugging Face reads it) for people. Both say what the weights descend from,
//! on which data under which terms, and what is known of their accuracy.

mod accuracy;
mod bom;
mod card;
mod lineage;
mod own;
mod written;

pub(super) use bom::bom;
pub(super) use card::card;
pub(super) use lineage::Lineage;
pub(super) use own::is_own_card;
pub(super) use written::{Written, WrittenNetwork};
