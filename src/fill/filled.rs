//! Filling a network, and what comes of it.

use std::{io::Write, sync::Arc};

use crate::{
    condition::Support,
    data::Split,
    onnx::{ensemble, safetensors::Entry, splice::Changes},
    predictor::{Predictor, Watermark},
};

use super::{
    Drawn, FillError, FillOptions, FilledNetwork, Network, NetworkImages, Provenance, Report,
    ReportedNetwork, baked::refuse_baked, classes::OutputClasses, options::MeasuredOn,
    records::Lineage,
};

/// A network with the weights that were written for it: one set of them, or several samples.
#[derive(Debug)]
pub struct Filled<'a> {
    pub(super) network: &'a Network,
    /// At least one.
    pub(super) networks: Vec<ReportedNetwork<'a>>,
    /// Whether they are written as one, too.
    pub(super) ensemble: bool,
    /// What the weights descend from.
    pub(super) lineage: Lineage,
}

/// Writes the weights of a network: predicts them, fits them to labelled images if there are any, measures
/// the statistics of batch normalisations, and chooses among samples.
///
/// ```
/// use burn::tensor::Device;
/// use weightsmith::{
///     fill::{FillOptions, Network, fill},
///     predictor::bundled,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/architectures/named/plain-cnn.onnx");
/// let network = Network::open(file)?;
/// let predictor = bundled("cifar10", &Device::flex())?;
/// let filled = fill(&network, &predictor, &FillOptions::default())?;
/// assert_eq!(filled.report().parameters.skipped, 0);
/// assert!(filled.state_dict().iter().any(|tensor| tensor.name().ends_with("weight")));
///
/// let folder = tempfile::tempdir()?;
/// let files = filled.write(folder.path())?;
/// assert_eq!(files[0], folder.path().join("plain-cnn.onnx"));
/// assert_eq!(std::fs::read(&files[0])?, filled.onnx_bytes()?);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// The graph does not fit the predictor or the data, the predictor cannot draw as it is asked to, or a
/// data set cannot be read. Parameters that cannot be written are no error; the report names them.
pub fn fill<'a>(
    network: &'a Network,
    predictor: &Predictor,
    options: &FillOptions,
) -> Result<Filled<'a>, FillError> {
    refuse_baked(network)?;
    let sampling = options.sampling(predictor);
    let support = options.support.as_ref();
    if support.is_some() {
        network.class_count()?;
    }
    let labelled = |path| NetworkImages::open(path, Split::Train, network);
    let labelled = support.map(|support| labelled(&support.data)).transpose()?;
    let MeasuredOn { images, source, data: calibration } =
        options.calibration.images(network, predictor, labelled.as_ref())?;
    let [support_data, calibration_data] =
        [&labelled, &calibration].map(|images| images.as_ref().map(|images| &images.data));
    let classes = OutputClasses::of(network, predictor, support_data, calibration_data);
    let support = support.zip(support_data).map(|(support, data)| Support {
        observer: Arc::clone(&options.observer),
        ..Support::of(predictor, data, support.steering)
    });
    let support = support.as_ref();
    let samples = FilledNetwork::sample(
        network,
        predictor,
        &images,
        source,
        &sampling,
        support,
        options.watermark.as_ref(),
    )?;
    let data = options.agreement_data();
    let chosen = options.selection.choose(samples, predictor, &images, data)?;
    let device = options.device_name(predictor);
    let watermark = options.watermark.as_ref().map(Watermark::id);
    let provenance = Provenance::of(network, predictor, options.seed, device, support);
    let provenance = Provenance { watermark, ..provenance };
    let provenance = if options.bake_normalisation { provenance.baked() } else { provenance };
    let outlook = predictor.outlook(&network.architecture, &network.registry)?;
    let denoises = predictor.config.network.diffusion.is_some();
    let images = [labelled, calibration].into_iter().flatten().flat_map(|images| images.notices);
    let notices = once_each(images.chain(classes.notice));
    let report = |(sample, mut filled): (usize, FilledNetwork<'a>)| {
        filled.notices.extend(notices.clone());
        let drawn = denoises.then_some(Drawn { sampling, sample });
        let provenance = Provenance { drawn, ..provenance.clone() };
        ReportedNetwork::new(filled, provenance, classes.names.clone(), outlook.clone())
    };
    let networks: Vec<ReportedNetwork> =
        chosen.into_iter().map(report).collect::<Result<_, _>>()?;
    match networks.is_empty() {
        true => Err(FillError::NothingDrawn),
        false => {
            let lineage = Lineage::of(predictor);
            Ok(Filled { network, networks, ensemble: options.ensemble, lineage })
        }
    }
}

/// What is said, none of it twice.
pub(super) fn once_each(notices: impl Iterator<Item = String>) -> Vec<String> {
    notices.fold(Vec::new(), |mut said, notice| {
        if !said.contains(&notice) {
            said.push(notice);
        }
        said
    })
}

impl<'a> Filled<'a> {
    /// All networks that are kept, in the order of their samples; at least one.
    pub fn networks(&self) -> &[ReportedNetwork<'a>] {
        &self.networks
    }

    /// The report on the first network.
    pub fn report(&self) -> &Report {
        self.networks[0].report()
    }

    /// The PyTorch state dict of the first network; values are made when they are asked for.
    pub fn state_dict(&self) -> Vec<Entry<'_>> {
        self.networks[0].state_dict()
    }

    /// The ONNX file of the first network; see [`ReportedNetwork::onnx_bytes`].
    pub fn onnx_bytes(&self) -> Result<Vec<u8>, FillError> {
        self.networks[0].onnx_bytes()
    }

    /// Writes all networks as one ONNX file, whose outputs are the means of theirs; see
    /// [`ensemble::write`].
    pub fn write_ensemble(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let members: Vec<Changes> = self.networks.iter().map(ReportedNetwork::changes).collect();
        ensemble::write(&self.network.model, &members, out)
    }
}
