//! A filled network beside its report.

use std::path::Path;

use crate::{
    FileError,
    graph::DimBindings,
    onnx::{self, Model, sha256},
};

use super::{
    super::{
        FillError, Network, TOOL,
        classes::{CLASSES, spelled},
        file_name,
        metadata::metadata_name,
        stored::StoredTensor,
    },
    Check, RecordedReport, RecordedTensor,
};

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// What was compared with the report.
    pub checks: Vec<Check>,
    /// What the user should know besides.
    pub notes: Vec<String>,
}

impl Verification {
    /// Whether everything is as the report says.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

/// Compares a filled network with its report: its bytes, the state dict beside it, what it says of its
/// origin, and every tensor. The file may have another name than when it was written.
///
/// # Errors
///
/// The file cannot be read. Whatever else is wrong with it is a check that does not hold.
pub fn verify(file: &Path, report: &RecordedReport) -> Result<Verification, FillError> {
    let bytes = std::fs::read(file).map_err(FileError::at(file))?;
    let what = file_name(file);
    let whole = match report.file(".onnx") {
        Some(recorded) => Check::equal(what, &sha256(&bytes), &recorded.sha256),
        None => Check::failed(what, "the report names no ONNX file"),
    };
    let mut checks = vec![whole];
    let mut notes = Vec::new();
    if let Some(recorded) = report.file(".safetensors") {
        match std::fs::read(file.with_file_name(&recorded.name)) {
            Ok(bytes) => {
                checks.push(Check::equal(&recorded.name, &sha256(&bytes), &recorded.sha256));
            }
            Err(_) => notes.push(format!("{} is not beside the file", recorded.name)),
        }
    }
    let model = Model::from_bytes(&file.display().to_string(), bytes.into());
    match model.map_err(FillError::from).and_then(|it| Network::of(it, DimBindings::default())) {
        Ok(network) => {
            checks.extend(metadata(&network.model, report));
            checks.extend(tensors(&network, &report.tensors));
        }
        Err(error) => checks.push(Check::failed("the network", error.to_string())),
    }
    if report.provenance.tool != TOOL {
        notes.push(format!("written by {}, this is {TOOL}", report.provenance.tool));
    }
    Ok(Verification { checks, notes })
}

/// What the file says of its origin.
fn metadata(model: &Model, report: &RecordedReport) -> impl Iterator<Item = Check> {
    let recorded = report.provenance.always_in_metadata().into_iter();
    let classes = report.classes.as_ref().map(|names| (CLASSES, spelled(names)));
    let recorded = recorded.chain(report.provenance.sometimes_in_metadata()).chain(classes);
    recorded.map(|(name, recorded)| {
        let found = model.metadata(&metadata_name(name)).unwrap_or_default();
        Check::equal(format!("metadata '{name}'"), found, &recorded)
    })
}

/// Every tensor; those that are as recorded are one check.
fn tensors(network: &Network, recorded: &[RecordedTensor]) -> Vec<Check> {
    let checks = recorded.iter().filter_map(|recorded| {
        Some(tensor(network, &recorded.initializer, recorded.sha256.as_deref()?))
    });
    let (equal, mut checks): (Vec<Check>, Vec<Check>) = checks.partition(|check| check.holds);
    if !equal.is_empty() {
        checks.push(Check::passed(format!("{} tensors", equal.len())));
    }
    checks
}

fn tensor(network: &Network, name: &str, recorded: &str) -> Check {
    let what = format!("tensor '{name}'");
    let stored = network.tensors();
    let Some(StoredTensor { tensor, .. }) = stored.iter().find(|own| own.tensor.name == name)
    else {
        return Check::failed(what, "is not in the file");
    };
    match tensor.value_in(&network.model) {
        Ok(Some(value)) => {
            let bytes = onnx::encode(&value.data, tensor.dtype.to_onnx());
            Check::equal(what, &sha256(&bytes.unwrap_or_default()), recorded)
        }
        Ok(None) => Check::failed(what, "has no value"),
        Err(error) => Check::failed(what, error.to_string()),
    }
}
