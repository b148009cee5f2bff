//! A filled network together with its report.

use std::io::Write;

use crate::{
    graph::Weights,
    onnx::{
        safetensors::Entry,
        splice::{self, Changes},
    },
    predictor::Outlook,
};

use super::{FillError, FilledNetwork, Provenance, Report, baked::BakedNormalisation};

/// A filled network and its report.
#[derive(Debug)]
pub struct ReportedNetwork<'a> {
    filled: FilledNetwork<'a>,
    report: Report,
    baked: Option<BakedNormalisation>,
}

impl<'a> ReportedNetwork<'a> {
    pub(super) fn new(
        filled: FilledNetwork<'a>,
        mut provenance: Provenance,
        classes: Option<Vec<String>>,
        outlook: Option<Outlook>,
    ) -> Result<Self, FillError> {
        let network = filled.network;
        let bake = |it| BakedNormalisation::of(network, it);
        let baked = provenance.baked.as_ref().map(bake).transpose()?;
        if let Some(support) = &mut provenance.support {
            support.fitted.clone_from(&filled.fitted);
        }
        let report = Report::of(&filled, provenance, classes, outlook)?;
        Ok(Self { filled, report, baked })
    }

    /// What was done to every parameter.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The weights; see [`FilledNetwork::weights`].
    pub fn weights(&self) -> &Weights {
        self.filled.weights()
    }

    /// The PyTorch state dict; values are made when they are asked for.
    pub fn state_dict(&self) -> Vec<Entry<'_>> {
        self.filled.state_dict()
    }

    /// The ONNX file with its weights.
    ///
    /// # Errors
    ///
    /// The model takes more than the 2 GiB of a protobuf message, or data in another file cannot be read.
    pub fn onnx_bytes(&self) -> Result<Vec<u8>, FillError> {
        let mut bytes = Vec::new();
        self.write_onnx(&mut bytes).map_err(FillError::Model)?;
        Ok(bytes)
    }

    /// Writes the ONNX file with its weights; see [`splice::write`].
    pub fn write_onnx(&self, out: &mut dyn Write) -> std::io::Result<()> {
        splice::write(&self.filled.network.model, &self.changes(), out)
    }

    /// What to splice into the file: weights, and where they come from.
    pub(super) fn changes(&self) -> Changes<'_> {
        let mut changes = Changes { metadata: self.report.metadata(), ..self.filled.fills() };
        if let Some(baked) = &self.baked {
            baked.add_to(&mut changes);
        }
        changes
    }
}
