//! Names of what files say of themselves.

/// What comes before the names of metadata in ONNX files.
const PREFIX: &str = "weightsmith.";

/// The full name of an entry of the metadata.
pub(super) fn metadata_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}
