//! Fine-tuning a filled network on a data set.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    condition::{FineTuned, FineTuning, Fitting, TuningRun, check_classes},
    data::Split,
    evaluate::calibration_images,
    graph::{Architecture, ParameterId},
    observer::{Observer, Silent},
    predictor::{CalibrationSource, InputConfig, Prediction, ValueSource},
    zoo::Relation,
};

use super::{
    FillError, Filled, FilledNetwork, Network, NetworkImages, Provenance, ReportedNetwork,
    TuningRecord, filled::once_each, records::Lineage,
};

/// How a network is fine-tuned.
#[derive(Clone, Debug)]
pub struct FineTuneOptions {
    /// The data set, by path: training images are trained on, validation images choose the epoch.
    pub data: PathBuf,
    /// How.
    pub tuning: FineTuning,
    /// Seed of everything random.
    pub seed: u64,
    /// Where the run is saved after every epoch, and goes on from if it is there.
    pub checkpoint: Option<PathBuf>,
    /// Watches the steps.
    pub observer: Arc<dyn Observer>,
}

impl FineTuneOptions {
    /// As usual, watched by nobody and saved nowhere.
    pub fn new(data: PathBuf) -> Self {
        let tuning = FineTuning::default();
        Self { data, tuning, seed: 0, checkpoint: None, observer: Arc::new(Silent) }
    }
}

/// Trains a network from the weights in its file. `usual` says how images are normalised where the file
/// does not.
///
/// # Errors
///
/// A parameter has no value, the data cannot be read or do not fit, or the network cannot be run.
pub fn finetune<'a>(
    network: &'a Network,
    usual: &InputConfig,
    options: &FineTuneOptions,
) -> Result<Filled<'a>, FillError> {
    network.class_count()?;
    let input = network.input_config(usual);
    let open = |split| NetworkImages::open(&options.data, split, network);
    let train = open(Split::Train)?;
    let validation = open(Split::Val)?.data;
    let Network { architecture, registry, .. } = network;
    check_classes(architecture, &train.data)?;
    let mut prediction = stored(network)?;
    let images = calibration_images(architecture, &train.data, &input)?;
    let fitting = Fitting { architecture, registry, input: &input, images: &images };
    let run = TuningRun {
        tuning: options.tuning,
        seed: options.seed,
        checkpoint: options.checkpoint.as_deref(),
        observer: &options.observer,
    };
    let run = run.finetune(&fitting, &mut prediction, &train.data, Some(&validation))?;
    trained(network, prediction, &fitting, train, run, options.seed, Relation::Finetune)
}

/// A network whose weights were trained from those of its file.
pub(super) fn trained<'a>(
    network: &'a Network,
    prediction: Prediction,
    fitting: &Fitting,
    train: NetworkImages,
    run: FineTuned,
    seed: u64,
    relation: Relation,
) -> Result<Filled<'a>, FillError> {
    let NetworkImages { data, notices } = train;
    let weights = match relation {
        Relation::Adapter => "adapted from the weights of the input",
        _ => "trained from the weights of the input",
    };
    let base_model = Some(network.sha256());
    let record = TuningRecord { data_hash: data.hash, base_model, relation: Some(relation), run };
    let provenance = Provenance {
        finetuned: Some(record),
        ..Provenance::of_file(network, fitting.input, seed, weights)
    };
    let lineage = Lineage::of_parent(&provenance);
    let source = CalibrationSource::Support;
    let mut filled = FilledNetwork::of(network, prediction, fitting.images, source)?;
    filled.notices.extend(once_each(notices.into_iter()));
    let reported = ReportedNetwork::new(filled, provenance, Some(data.classes), None)?;
    Ok(Filled { network, networks: vec![reported], ensemble: false, lineage })
}

/// The values of a file, of which all are trained that are known to be weights.
pub(super) fn stored(network: &Network) -> Result<Prediction, FillError> {
    let weights = network.stored_weights()?;
    let mut prediction = Prediction::from_elsewhere(&network.architecture, weights);
    for (index, label) in prediction.labels.iter_mut().enumerate() {
        *label = label_of(&network.architecture, ParameterId(index));
    }
    Ok(prediction)
}

fn label_of(architecture: &Architecture, id: ParameterId) -> ValueSource {
    let parameter = &architecture.parameters[id.0];
    match parameter.role() {
        Some(role) if role.is_statistic() => ValueSource::Calibrated,
        Some(_) if parameter.is_free() => ValueSource::Trained,
        _ => ValueSource::Kept,
    }
}

/// Where a run that writes into a folder is saved.
pub fn checkpoint_path(network: &Network, folder: &Path) -> PathBuf {
    let stem = super::outputs::stem(Path::new(network.model.name()));
    folder.join(format!("{stem}.checkpoint"))
}
