//! Names of what files say of themselves.

/// What comes before the names of metadata in ONNX files.
const PREFIX: &str = "weightsmith.";

/// How a network was merged.
pub(super) const MERGED: &str = "merged";
/// SHA-256 of the files that a network was made of, separated by spaces.
pub(super) const PARENTS: &str = "parents";
/// What it is to them.
pub(super) const RELATION: &str = "base_model_relation";

/// The full name of an entry of the metadata.
pub(super) fn metadata_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}
