//! What people do to networks.

use std::{error::Error, path::Path, sync::Arc};

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use weightsmith::{
    condition::{FineTuning, Fitting, Optimiser, TuningRun},
    data::{Dataset, Split},
    evaluate::calibration_images,
    fill::{Network, fills},
    graph::{DimBindings, ParameterId, Role, Weights},
    observer::{Observer, Silent},
    onnx::{Model, splice},
    predictor::{InputConfig, Prediction, Predictor},
    zoo::Groups,
};

/// Steps of training and of fine-tuning.
pub const STEPS: usize = 200;
/// Images of each.
const BATCH: usize = 32;

/// Something that is done to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Nothing,
    FineTuning,
    Rounding,
    Pruning,
    Reordering,
    Rescaling,
    AllButTraining,
}

impl Change {
    pub const ALL: [Self; 7] = [
        Self::Nothing,
        Self::FineTuning,
        Self::Rounding,
        Self::Pruning,
        Self::Reordering,
        Self::Rescaling,
        Self::AllButTraining,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "as it is",
            Self::FineTuning => "200 steps of fine-tuning",
            Self::Rounding => "rounded to 8 bits",
            Self::Pruning => "30 % pruned",
            Self::Reordering => "channels reordered",
            Self::Rescaling => "channels rescaled, up to four times",
            Self::AllButTraining => "pruned, rounded, reordered and rescaled",
        }
    }

    /// The network after it.
    pub fn of(self, network: &Network, course: &Course) -> Result<Network, Box<dyn Error>> {
        let weights = network.stored_weights()?;
        let mut random = ChaCha8Rng::seed_from_u64(network.architecture.fingerprint());
        let changed = match self {
            Self::Nothing => weights,
            Self::FineTuning => course.train(network, weights, STEPS)?,
            Self::Rounding => layers(network, &weights, |values, _| round(values)),
            Self::Pruning => layers(network, &weights, |values, _| prune(values)),
            Self::Reordering => reorder(network, &weights, &mut random)?,
            Self::Rescaling => {
                layers(network, &weights, |values, shape| rescale(values, shape, &mut random))
            }
            Self::AllButTraining => {
                let reordered = reorder(network, &weights, &mut random)?;
                layers(network, &reordered, |values, shape| {
                    prune(values);
                    round(values);
                    rescale(values, shape, &mut random);
                })
            }
        };
        with(network, &changed)
    }
}

/// Ordinary training on some images.
pub struct Course {
    data: Dataset,
    input: InputConfig,
}

impl Course {
    /// On the first training images of a data set, as a predictor reads them.
    pub fn on(data: &Path, predictor: &Predictor) -> Result<Self, Box<dyn Error>> {
        let data = Dataset::open(data, Split::Train)?;
        let data = data.filtered(|_, index| index < STEPS * BATCH);
        Ok(Self { data, input: predictor.config.input.clone() })
    }

    /// Weights after some steps.
    pub fn train(
        &self,
        network: &Network,
        weights: Weights,
        steps: usize,
    ) -> Result<Weights, Box<dyn Error>> {
        let Network { architecture, registry, .. } = network;
        let images = self.data.len().min(steps * BATCH);
        let data = self.data.clone().filtered(|_, index| index < images);
        let data = data.with_channels(network.image_shape()?[0])?;
        let epochs = (steps * BATCH).div_ceil(images.max(1));
        let tuning = FineTuning { epochs, batch: BATCH, ..FineTuning::ordinary(Optimiser::AdamW) };
        let images = calibration_images(architecture, &data, &self.input)?;
        let fitting = Fitting { architecture, registry, input: &self.input, images: &images };
        let mut prediction = Prediction::from_elsewhere(architecture, weights);
        prediction.train_on();
        let silent: Arc<dyn Observer> = Arc::new(Silent);
        let run = TuningRun { tuning, seed: 0, checkpoint: None, observer: &silent };
        run.finetune(&fitting, &mut prediction, &data, None)?;
        Ok(prediction.weights)
    }
}

/// A network with weights in its file.
pub fn with(network: &Network, weights: &Weights) -> Result<Network, Box<dyn Error>> {
    let mut bytes = Vec::new();
    splice::write(&network.model, &fills(network, weights), &mut bytes)?;
    Ok(Network::of(Model::from_bytes(network.model.name(), bytes.into())?, DimBindings::default())?)
}

/// Weights with those of layers changed.
fn layers(
    network: &Network,
    weights: &Weights,
    mut change: impl FnMut(&mut [f32], &[usize]),
) -> Weights {
    weights.map(|ParameterId(index), values| {
        let parameter = &network.architecture.parameters[index];
        let mut values = values.to_vec();
        if parameter.role() == Some(Role::Weight)
            && let Some(shape @ [_, _, ..]) = parameter.shape.as_deref()
        {
            change(&mut values, shape);
        }
        values
    })
}

/// With the channels of every layer in an order of their own.
pub fn reorder(
    network: &Network,
    weights: &Weights,
    random: &mut impl Rng,
) -> Result<Weights, Box<dyn Error>> {
    let groups = Groups::of(&network.architecture, &network.registry);
    let permutations = groups.sizes().iter().map(|&size| {
        let mut order: Vec<usize> = (0..size).collect();
        order.shuffle(random);
        order
    });
    Ok(groups.permute(weights, &permutations.collect::<Vec<_>>())?)
}

/// To 255 levels.
fn round(values: &mut [f32]) {
    let largest = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    let step = (largest / 127.0).max(f32::MIN_POSITIVE);
    values.iter_mut().for_each(|value| *value = (*value / step).round() * step);
}

/// Without the smallest 30 %.
fn prune(values: &mut [f32]) {
    let mut sizes: Vec<f32> = values.iter().map(|value| value.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    let limit = sizes[3 * sizes.len() / 10];
    values.iter_mut().filter(|value| value.abs() < limit).for_each(|value| *value = 0.0);
}

/// With channels larger and smaller by up to four times.
fn rescale(values: &mut [f32], shape: &[usize], random: &mut impl Rng) {
    let mut scales = |count: usize| -> Vec<f32> {
        (0..count).map(|_| random.random_range(-1.4f32..1.4).exp()).collect()
    };
    let (rows, columns) = (scales(shape[0]), scales(shape[1]));
    let taps: usize = shape[2..].iter().product::<usize>().max(1);
    for (index, value) in values.iter_mut().enumerate() {
        let channel = index / taps;
        *value *= rows[channel / shape[1]] / columns[channel % shape[1]];
    }
}
