//! Fine-tuning: ordinary training from weights that are there.

use std::{path::Path, sync::Arc, time::Instant};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    data::Dataset,
    evaluate::judge,
    graph::{Architecture, Parameter, Role, Weights},
    observer::Observer,
    optimise::{Adam, Muon, Sgd, clip, cosine},
    predictor::{Prediction, ValueSource, calibrate},
};

use super::{
    Adapter, ConditionError, Epoch, FineTuning, Fitting, Optimiser,
    checkpoint::{Checkpoint, Identity},
    loss::SupportLoss,
    steps::step_parameter,
};

/// Share of the run in which the learning rate rises.
const WARM_UP: f64 = 0.05;
/// Largest norm of a gradient.
const CLIP: f32 = 5.0;
/// Fewest images of a last, smaller batch: statistics are taken from it.
const LEAST_BATCH: usize = 8;

/// What came of fine-tuning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FineTuned {
    /// How it was done.
    pub tuning: FineTuning,
    /// All epochs, the start first.
    pub epochs: Vec<Epoch>,
    /// The one whose weights are kept: that of the best validation accuracy, the last one without.
    pub best: usize,
}

/// A run of fine-tuning.
#[derive(Clone, Copy, Debug)]
pub struct TuningRun<'a> {
    /// How it is done.
    pub tuning: FineTuning,
    /// Seed of the order of images and of their changes.
    pub seed: u64,
    /// Where it is saved after every epoch, and goes on from if it is there.
    pub checkpoint: Option<&'a Path>,
    /// Watches the steps.
    pub observer: &'a Arc<dyn Observer>,
}

impl TuningRun<'_> {
    /// Trains every parameter that a prediction does not keep, and keeps the epoch that classifies most of
    /// the validation images right; the start if none is better. Without validation images it keeps the last
    /// one. All images have the channels that the network reads.
    ///
    /// # Errors
    ///
    /// Network and images do not fit, the network cannot be run, or a checkpoint is of another run or cannot
    /// be written.
    pub fn finetune(
        &self,
        network: &Fitting,
        prediction: &mut Prediction,
        train: &Dataset,
        validation: Option<&Dataset>,
    ) -> Result<FineTuned, ConditionError> {
        self.finetune_with(network, prediction, train, validation, None)
    }

    /// As [`TuningRun::finetune`], with an adapter that is trained beside, from the weights that it was made
    /// for: the prediction keeps the weights that it moves. Such a run is not saved.
    ///
    /// # Errors
    ///
    /// See there; and an adapter is trained by another optimiser than AdamW, or averaged.
    pub fn finetune_with(
        &self,
        network: &Fitting,
        prediction: &mut Prediction,
        train: &Dataset,
        validation: Option<&Dataset>,
        mut adapter: Option<&mut Adapter>,
    ) -> Result<FineTuned, ConditionError> {
        let Fitting { architecture, registry, input, images } = *network;
        let tuning = self.tuning;
        if adapter.is_some() && (tuning.optimiser != Optimiser::AdamW || tuning.averaging > 0.0) {
            return Err(ConditionError::AdapterTuning);
        }
        let loss = SupportLoss::new(network, train, tuning.augmentation, tuning.label_smoothing)?;
        let judged = |prediction: &Prediction| -> Result<Option<f64>, ConditionError> {
            let Some(data) = validation else { return Ok(None) };
            let weights = &prediction.weights;
            Ok(Some(judge(architecture, registry, weights, data, input, data.len())?.top1))
        };
        let identity = Identity {
            tuning,
            seed: self.seed,
            graph: architecture.fingerprint(),
            data_hash: train.hash.clone(),
        };
        let load = |path| Checkpoint::load(path, &identity, architecture);
        let saved = self.checkpoint.map(load).transpose()?.flatten();
        let mut state = match saved {
            Some(saved) => saved,
            None => {
                let start = Epoch { number: 0, loss: None, top1: judged(prediction)? };
                Checkpoint::start(&prediction.weights, start)
            }
        };
        let steps_of_epoch = train.len().div_ceil(tuning.batch.max(1)).max(1);
        let steps = (steps_of_epoch * tuning.epochs) as u64;
        self.observer.begin(steps, (state.epochs.len() - 1) as u64 * steps_of_epoch as u64);
        let started = Instant::now();
        prediction.weights.clone_from(&state.weights);
        let earlier = state.seconds;
        let progress = |done: usize| match tuning.seconds {
            Some(seconds) => (earlier + started.elapsed().as_secs_f64()) / seconds,
            None => done as f64 / steps as f64,
        };
        while state.epochs.len() <= tuning.epochs {
            let number = state.epochs.len();
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(number as u64);
            let mut order: Vec<usize> = (0..train.len()).collect();
            order.shuffle(&mut random);
            let (mut sum, mut seen) = (0.0, 0);
            for (step, picked) in order.chunks(tuning.batch.max(1)).enumerate() {
                if picked.len() < LEAST_BATCH.min(train.len()) {
                    continue;
                }
                let done = (number - 1) * steps_of_epoch + step;
                let before = progress(done);
                let (images, labels) = loss.batcher.pick(picked, &mut random);
                let (value, gradient) = loss.gradient(&prediction.weights, &images, &labels)?;
                sum += f64::from(value) * picked.len() as f64;
                seen += picked.len();
                let rate = tuning.rate * (before / WARM_UP).min(1.0) as f32 * cosine(before as f32);
                state.step(architecture, prediction, &gradient, &tuning, rate);
                if let Some(adapter) = &mut adapter {
                    let keep = 1.0 - rate * tuning.decay;
                    adapter.step(&gradient, &mut prediction.weights, rate, keep);
                }
                let passed = progress(done + 1) - before;
                state.average(&prediction.weights, passed, tuning.averaging.into());
                self.observer.advance(1);
            }
            state.weights.clone_from(&prediction.weights);
            prediction.weights.clone_from(&state.average);
            calibrate(architecture, registry, prediction, images)?;
            let top1 = judged(prediction)?;
            let mean = (sum / seen.max(1) as f64) as f32;
            let validation =
                top1.map_or(String::new(), |top1| format!(", validation {:.1} %", 100.0 * top1));
            self.observer.say(&format!("loss {mean:.3}{validation}"));
            state.epochs.push(Epoch { number, loss: Some(mean), top1 });
            if top1.is_none() || top1 > state.epochs[state.best].top1 {
                state.best = number;
                state.best_weights.clone_from(&prediction.weights);
                if let Some(adapter) = &mut adapter {
                    adapter.keep();
                }
            }
            prediction.weights.clone_from(&state.weights);
            if let Some(path) = self.checkpoint {
                state.save(path, &identity, started.elapsed().as_secs_f64())?;
            }
            let waited = number - state.best;
            let over = tuning
                .seconds
                .is_some_and(|most| state.seconds + started.elapsed().as_secs_f64() >= most);
            if over || (tuning.patience > 0 && waited >= tuning.patience) {
                break;
            }
        }
        self.observer.end();
        prediction.weights = state.best_weights;
        if let Some(adapter) = adapter {
            adapter.go_back();
        }
        Ok(FineTuned { tuning, epochs: state.epochs, best: state.best })
    }
}

impl Checkpoint {
    /// Brings the average nearer to weights, after a share of the run.
    fn average(&mut self, weights: &Weights, passed: f64, memory: f64) {
        let kept = if memory > 0.0 { (-passed / memory).exp() as f32 } else { 0.0 };
        for (id, weights) in weights.tensors() {
            if let Some(average) = self.average.get_mut(id) {
                for (average, weight) in average.iter_mut().zip(weights) {
                    *average = kept * *average + (1.0 - kept) * weight;
                }
            }
        }
    }

    /// Moves all parameters that are not kept.
    fn step(
        &mut self,
        architecture: &Architecture,
        prediction: &mut Prediction,
        gradient: &Weights,
        tuning: &FineTuning,
        rate: f32,
    ) {
        let square: f32 = gradient.values().map(|value| value * value).sum();
        if !square.is_finite() {
            return;
        }
        self.updates += 1;
        let scale = clip(square.sqrt(), CLIP);
        let moments = self.first.tensors_mut().zip(self.second.tensors_mut());
        let tensors = prediction.weights.tensors_mut().zip(moments);
        let labels = &prediction.labels;
        let moved = tensors.filter_map(|((id, weights), ((_, first), (_, second)))| {
            let trained = labels[id.0] == ValueSource::Trained;
            let gradient = gradient.get(id).filter(|of| trained && of.len() == weights.len())?;
            Some((&architecture.parameters[id.0], weights, [first, second], gradient))
        });
        let moved: Vec<_> = moved.collect();
        let updates = self.updates;
        moved.into_par_iter().for_each(|(parameter, weights, [first, second], gradient)| {
            let keep = if decays(parameter) { 1.0 - rate * tuning.decay } else { 1.0 };
            match tuning.optimiser {
                Optimiser::AdamW => Adam::at(updates, rate, scale)
                    .keeping(keep)
                    .step(weights, first, second, gradient),
                Optimiser::Sgd => {
                    Sgd { rate, scale, keep, penalty: None }.step(weights, first, gradient);
                }
                Optimiser::Muon => {
                    step_parameter(Muon { rate }, parameter, weights, first, gradient);
                }
            }
        });
        architecture.constrain(&mut prediction.weights);
    }
}

fn decays(parameter: &Parameter) -> bool {
    parameter.role() == Some(Role::Weight)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::graph::ParameterId;

    #[test]
    fn averages_forget_by_time_and_not_by_steps() {
        let weights = |value: f32| {
            let mut weights = Weights::absent(1);
            weights.set(ParameterId(0), vec![value; 2]);
            weights
        };
        let start = Epoch { number: 0, loss: None, top1: None };
        let averaged = |steps: u32, memory| {
            let mut state = Checkpoint::start(&weights(1.0), start);
            for _ in 0..steps {
                state.average(&weights(3.0), 0.14 / f64::from(steps), memory);
            }
            state.average.get(ParameterId(0)).unwrap()[1]
        };
        assert_relative_eq!(averaged(1, 0.07), 3.0 - 2.0 * (-2.0f32).exp(), max_relative = 1e-6);
        assert_relative_eq!(averaged(10, 0.07), averaged(1, 0.07), max_relative = 1e-5);
        assert_eq!(averaged(1, 0.0), 3.0);
    }
}
