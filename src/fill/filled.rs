//! A network with the weights that were written for it: its report, its files, its state dict.

use std::{borrow::Cow, io, path::Path, sync::Arc};

use rayon::prelude::*;
use safetensors::Dtype;

use crate::{
    data::{Augmentation, Batcher, Dataset, Split},
    evaluate::{consensus, judge, logits, mean_of},
    execute::{Images, NormStatistics, Runner, Scratch},
    graph::{Architecture, DType, Origin, Parameter, ParameterId, Role, Weights},
    onnx::{
        self, OnnxError,
        safetensors::Entry,
        sha256,
        splice::{Changes, Fill},
    },
    ops::Registry,
    predictor::{
        CalibrationImages, CalibrationSource, Filled, InputConfig, Prediction, Predictor,
        PredictorError, Sampling, Support, calibrate,
    },
};

use super::{
    Failure, Network,
    report::{Counts, FileHash, Provenance, Report, SCHEMA, Statistics, TensorReport},
};

/// Unlabelled images that statistics are measured on.
const CALIBRATION_IMAGES: usize = 256;
/// Labelled images that samples are chosen by.
const VALIDATION_IMAGES: usize = 500;
/// Images that samples are to agree on.
const UNLABELLED_IMAGES: usize = 1000;

/// Normalised images of a data set, without their labels.
pub fn unlabelled(path: &Path, predictor: &Predictor) -> Result<CalibrationImages, Failure> {
    let input = &predictor.config.input;
    let data = images_of(path, Split::Train, predictor)?;
    let batcher = Batcher::new(&data, &input.mean, &input.std, input.size, Augmentation::None)?;
    let (data, labels) = batcher.range(0..CALIBRATION_IMAGES.min(data.len()));
    Ok(CalibrationImages { shape: [labels.len(), input.channels(), input.size, input.size], data })
}

/// The labelled images of a data set that weights may be steered towards: those for training.
pub fn support_set(path: &Path, predictor: &Predictor) -> Result<Dataset, Failure> {
    images_of(path, Split::Train, predictor)
}

/// The images of a data set that samples may be chosen by: those held out for validation.
pub fn validation_set(path: &Path, predictor: &Predictor) -> Result<Dataset, Failure> {
    images_of(path, Split::Val, predictor)
}

/// A part of a data set, with the channels that a predictor wants.
fn images_of(path: &Path, split: Split, predictor: &Predictor) -> Result<Dataset, Failure> {
    Ok(Dataset::open(path, split)?.with_channels(predictor.config.input.channels())?)
}

/// The weights of a network and how they came about.
pub struct FilledNetwork {
    prediction: Prediction,
    calibration: CalibrationSource,
    /// What the user is to know.
    pub notices: Vec<String>,
}

/// The means of the weights of several networks of one architecture.
pub fn mean_weights(networks: &[&Weights]) -> Weights {
    let Some(first) = networks.first() else { return Weights::default() };
    first.map(|id, _| {
        let values: Vec<&[f32]> = networks.iter().filter_map(|weights| weights.get(id)).collect();
        mean_of(&values)
    })
}

/// Images whose labels nobody looks at.
pub enum Unlabelled<'a> {
    /// Those that the predictor learned.
    Learned(&'a CalibrationImages),
    /// The first of a data set, made ready as a predictor wants them.
    Data(&'a Dataset, &'a InputConfig),
}

/// Which of several networks of one architecture agrees most with the others on images; see
/// [`consensus`].
pub fn agreeing(
    architecture: &Architecture,
    registry: &Arc<Registry>,
    networks: &[&Weights],
    images: &Unlabelled,
) -> Result<usize, Failure> {
    let (logits, count): (Vec<Vec<f32>>, usize) = match images {
        Unlabelled::Learned(images) => {
            let runner = Runner::new(architecture, registry);
            let [batch, channels, height, width] = images.shape;
            let view = Images { batch, channels, height, width, data: &images.data };
            let of = |weights: &&Weights| {
                runner.logits(weights, view, &NormStatistics::Running, &mut Scratch::default())
            };
            (networks.iter().map(of).collect::<Result<_, _>>()?, batch)
        }
        Unlabelled::Data(data, input) => {
            let of = |weights: &&Weights| {
                Ok(logits(architecture, registry, weights, data, input, UNLABELLED_IMAGES)?.0)
            };
            let logits = networks.iter().map(of).collect::<Result<_, Failure>>()?;
            (logits, data.len().min(UNLABELLED_IMAGES))
        }
    };
    let members: Vec<&[f32]> = logits.iter().map(Vec::as_slice).collect();
    let classes = members.first().map_or(0, |logits| logits.len() / count.max(1));
    consensus(&members, classes).ok_or_else(|| "no sample gives finite logits".into())
}

/// Weights with batch-normalisation statistics measured on images.
pub fn recalibrated(
    architecture: &Architecture,
    registry: &Arc<Registry>,
    weights: Weights,
    images: &CalibrationImages,
) -> Result<Weights, PredictorError> {
    let mut prediction = Prediction::from_elsewhere(architecture, weights);
    calibrate(architecture, registry, &mut prediction, images)?;
    Ok(prediction.weights)
}

impl FilledNetwork {
    /// Predicts, steers towards a support set if there is one, and calibrates, once for every sample.
    pub fn sample(
        network: &Network,
        predictor: &Predictor,
        images: &CalibrationImages,
        source: CalibrationSource,
        sampling: &Sampling,
        support: Option<&Support>,
    ) -> Result<Vec<Self>, Failure> {
        let architecture = &network.architecture;
        let mut samples = predictor.sample(
            architecture,
            &network.registry,
            |id| architecture.holds_value(id),
            sampling,
        )?;
        let mut kept = Vec::new();
        if let Some(support) = support {
            let stream = [sampling.seed, sampling.first as u64];
            kept =
                predictor.steer(architecture, &network.registry, &mut samples, support, stream)?;
        }
        let finish = |prediction| Self::of(network, prediction, images, source);
        let mut filled: Vec<Self> =
            samples.into_par_iter().map(finish).collect::<Result<_, PredictorError>>()?;
        let wanted = support.map_or(0, |support| support.steering.steps);
        for (filled, kept) in filled.iter_mut().zip(kept).filter(|(_, kept)| *kept < wanted) {
            let notice = format!(
                "{kept} of {wanted} support steps were kept; the others did harm and were taken back"
            );
            filled.notices.push(notice);
        }
        Ok(filled)
    }

    /// Calibrates a prediction.
    pub fn of(
        network: &Network,
        mut prediction: Prediction,
        images: &CalibrationImages,
        source: CalibrationSource,
    ) -> Result<Self, PredictorError> {
        let problem = calibrate(&network.architecture, &network.registry, &mut prediction, images)?;
        let measured = prediction.labels.contains(&Filled::Calibrated);
        let calibration = if measured { source } else { CalibrationSource::None };
        let notices = problem.map(|problem| {
            format!("batch-normalisation statistics keep their defaults: {problem}")
        });
        Ok(Self { prediction, calibration, notices: notices.into_iter().collect() })
    }

    /// One network whose weights are the means of those of all samples.
    pub fn average(
        network: &Network,
        mut samples: Vec<Self>,
        images: &CalibrationImages,
    ) -> Result<Self, Failure> {
        let weights: Vec<&Weights> =
            samples.iter().map(|sample| &sample.prediction.weights).collect();
        let mean = mean_weights(&weights);
        let Self { prediction, calibration, .. } = samples.swap_remove(0);
        let prediction = Prediction { weights: mean, ..prediction };
        Ok(Self::of(network, prediction, images, calibration)?)
    }

    /// See [`agreeing`].
    pub fn consensus(
        network: &Network,
        samples: &[Self],
        images: &Unlabelled,
    ) -> Result<usize, Failure> {
        let weights: Vec<&Weights> =
            samples.iter().map(|sample| &sample.prediction.weights).collect();
        agreeing(&network.architecture, &network.registry, &weights, images)
    }

    /// The sample that gets most of the validation images of a data set right.
    pub fn most_accurate(
        network: &Network,
        samples: &[Self],
        predictor: &Predictor,
        data: &Path,
    ) -> Result<usize, Failure> {
        let input = &predictor.config.input;
        let data = validation_set(data, predictor)?;
        let mut best = (0, -1.0);
        for (index, sample) in samples.iter().enumerate() {
            let weights = &sample.prediction.weights;
            let scores = judge(
                &network.architecture,
                &network.registry,
                weights,
                &data,
                input,
                VALIDATION_IMAGES,
            )?;
            if scores.top1 > best.1 {
                best = (index, scores.top1);
            }
        }
        Ok(best.0)
    }

    /// The report; the files are to be added.
    pub fn report(&self, network: &Network, provenance: Provenance) -> Result<Report, Failure> {
        let tensor = |(index, parameter): (usize, &Parameter)| -> Result<_, OnnxError> {
            let bytes = onnx::encode(&self.values(network, index)?, parameter.dtype.to_onnx());
            let written = self.prediction.weights.get(ParameterId(index));
            Ok(TensorReport {
                initializer: parameter.name.clone(),
                state_dict: written.map(|_| network.names[index].clone()),
                shape: parameter.shape.clone(),
                role: parameter.role(),
                uses: parameter.slots.len(),
                label: self.prediction.labels[index].clone(),
                statistics: written.and_then(Statistics::of),
                sha256: bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| sha256(&bytes)),
            })
        };
        let parameters = network.architecture.parameters.iter().enumerate();
        let tensors = parameters.map(tensor).collect::<Result<_, _>>()?;
        Ok(Report {
            schema: SCHEMA,
            provenance,
            input: FileHash {
                name: file_name(Path::new(network.model.name())),
                sha256: sha256(network.model.bytes()),
            },
            files: Vec::new(),
            calibration: self.calibration,
            notices: self.notices.clone(),
            stand_ins: self.prediction.stand_ins.clone(),
            unsupported: network.unsupported(),
            parameters: Counts::of(&network.architecture, &self.prediction),
            tensors,
        })
    }

    /// What to splice into the file.
    pub fn changes<'a>(&'a self, network: &'a Network, report: &Report) -> Changes<'a> {
        let provenance = &report.provenance;
        let counts = &report.parameters;
        let metadata = [
            ("weightsmith.tool", provenance.tool.clone()),
            ("weightsmith.weights", provenance.weights.clone()),
            ("weightsmith.predictor", provenance.predictor.clone()),
            ("weightsmith.predictor_hash", provenance.predictor_hash.clone()),
            ("weightsmith.seed", provenance.seed.to_string()),
            ("weightsmith.device", provenance.device.clone()),
            (
                "weightsmith.parameters",
                format!(
                    "predicted {}, kept {}, default {}, calibrated {}, skipped {}",
                    counts.predicted,
                    counts.kept,
                    counts.default,
                    counts.calibrated,
                    counts.skipped
                ),
            ),
        ];
        let drawn = provenance.drawn.map(|drawn| ("weightsmith.drawn", drawn.to_string()));
        let steered = provenance.steered.as_ref();
        let steered = steered.map(|steered| ("weightsmith.steered", steered.to_string()));
        let metadata = metadata.into_iter().chain(drawn).chain(steered);
        Changes {
            metadata: metadata.map(|(key, value)| (key.to_owned(), value)).collect(),
            ..self.fills(network)
        }
    }

    /// The tensors to splice into the file.
    pub fn fills<'a>(&'a self, network: &'a Network) -> Changes<'a> {
        fills(network, &self.prediction.weights)
    }

    /// The PyTorch state dict; values are made when they are written.
    pub fn state_dict<'a>(&'a self, network: &'a Network) -> Vec<Entry<'a>> {
        let mut entries = Vec::new();
        for (index, parameter) in network.architecture.parameters.iter().enumerate() {
            let written = self.prediction.weights.get(ParameterId(index)).is_some()
                || self.prediction.labels[index] == Filled::Kept;
            let Some(mut shape) = parameter.shape.clone().filter(|_| written) else { continue };
            let dtype = match parameter.dtype {
                DType::F32 => Dtype::F32,
                DType::F64 => Dtype::F64,
                DType::F16 => Dtype::F16,
                DType::BF16 => Dtype::BF16,
                _ => continue,
            };
            if network.transposed(index) {
                shape.reverse();
            }
            let name = &network.names[index];
            if parameter.role() == Some(Role::RunningMean)
                && let Some(module) = name.strip_suffix(".running_mean")
            {
                let counter = format!("{module}.num_batches_tracked");
                entries.push(Entry::new(counter, Dtype::I64, vec![], vec![0; 8]));
            }
            let bytes = move || self.stored(network, index).map_err(io::Error::other);
            entries.push(Entry::later(name.clone(), dtype, shape, bytes));
        }
        for saved in network.model.saved_buffers() {
            let dtype = match DType::from_onnx(saved.data_type) {
                DType::F32 => Dtype::F32,
                DType::I64 => Dtype::I64,
                DType::I32 => Dtype::I32,
                DType::Bool => Dtype::BOOL,
                _ => continue,
            };
            if !entries.iter().any(|entry| entry.name() == saved.name) {
                entries.push(Entry::new(saved.name, dtype, saved.shape, saved.bytes));
            }
        }
        entries
    }

    /// The values of a parameter: the new ones, or those that the file keeps; empty where there are
    /// none.
    fn values(&self, network: &Network, index: usize) -> Result<Cow<'_, [f32]>, OnnxError> {
        let id = ParameterId(index);
        match self.prediction.weights.get(id) {
            None => {
                let kept = network.architecture.value_in(&network.model, id)?;
                Ok(Cow::Owned(kept.map(|kept| kept.data).unwrap_or_default()))
            }
            Some(values) => Ok(Cow::Borrowed(values)),
        }
    }

    /// A parameter as PyTorch stores it.
    fn stored(&self, network: &Network, index: usize) -> Result<Vec<u8>, OnnxError> {
        let parameter = &network.architecture.parameters[index];
        let mut values = self.values(network, index)?;
        if let Some(&[rows, columns]) = parameter.shape.as_deref()
            && network.transposed(index)
        {
            values = Cow::Owned(transpose(&values, rows, columns));
        }
        Ok(onnx::encode(&values, parameter.dtype.to_onnx()).unwrap_or_default())
    }
}

/// The transpose of a rows × columns matrix.
pub fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}

/// Weights as what to splice into the file. Tensors that stay and whose data is in another
/// file come along, since the result may stand in another folder.
pub fn fills<'a>(network: &'a Network, weights: &'a Weights) -> Changes<'a> {
    let mut changes = Changes {
        list_as_inputs: network.model.ir_version() < 4,
        inline_external: true,
        ..Changes::default()
    };
    for (id, values) in weights.tensors() {
        let parameter = &network.architecture.parameters[id.0];
        let Some(shape) = parameter.shape.as_deref() else { continue };
        if !parameter.dtype.is_float() {
            continue;
        }
        if let Origin::Constant(position) | Origin::ConstantOfShape(position) = parameter.origin {
            changes.dropped_nodes.insert(position);
        }
        let data_type = parameter.dtype.to_onnx();
        changes.fills.push(Fill { name: &parameter.name, data_type, shape, values });
    }
    changes
}

/// The name of a file without its folder.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
