//! What was written, as bill and card need it.

use super::{
    super::{FileHash, Report},
    lineage::Lineage,
};

/// All files of a filled network but those that describe them.
pub(in super::super) struct Written<'a> {
    /// Name of the network.
    pub stem: &'a str,
    /// Channels, height and width of its images, if it reads any.
    pub image: Option<[usize; 3]>,
    /// Its samples, at least one.
    pub networks: Vec<WrittenNetwork<'a>>,
    /// All samples as one.
    pub ensemble: Option<FileHash>,
    /// What the weights descend from.
    pub lineage: &'a Lineage,
}

/// One sample.
pub(in super::super) struct WrittenNetwork<'a> {
    /// What was done to every parameter.
    pub report: &'a Report,
    /// ONNX file, state dict and report.
    pub files: [FileHash; 3],
}

impl Written<'_> {
    /// The report on the first sample.
    pub fn report(&self) -> &Report {
        self.networks[0].report
    }

    /// Every file, and what it is.
    pub fn files(&self) -> impl Iterator<Item = (&FileHash, &'static str)> {
        let kinds = ["network with its weights", "the weights under PyTorch's names", "report"];
        let files = self.networks.iter().flat_map(move |it| it.files.iter().zip(kinds));
        files.chain(self.ensemble.iter().map(|file| (file, "all samples as one network")))
    }
}
