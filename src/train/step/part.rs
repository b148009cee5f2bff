//! Some tasks of a step: from conditions to weights, and from the judgement of weights to gradients.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    graph::Weights,
    kernels::elementwise::accumulate_scaled,
    neural::{self, download, upload},
    predictor::{
        Condition, DiffusionConfig, Estimate, Job, LearnedLabels, Network, Noisy, interpolation,
    },
};

use super::{Goal, Judged, Objective, Replica, Statistics, Task};

/// Some of the tasks of a step, with the weights that were predicted for them.
pub(super) struct Part<'a> {
    pub(super) tasks: &'a [Task],
    /// Tracked by this part alone: graphs that share a parameter are one graph to burn's autodiff,
    /// which deadlocks when one thread extends it while another runs backward.
    network: Network,
    /// On autodiff.
    device: Device,
    estimate: Estimate,
    /// What the network wrote, by task.
    written: Vec<Weights>,
    /// The estimates x̂₀ that it stands for, mirrored where the task says so.
    weights: Vec<Weights>,
    /// dx̂₀/dF by task.
    slopes: Vec<f32>,
    /// The learned calibration batch at every size of images that are classified, if it is trained along.
    calibration: BTreeMap<usize, Calibration>,
    /// Its labels, if it is trained along and has some.
    labels: Option<LearnedLabels>,
}

/// The learned calibration batch at one size.
struct Calibration {
    images: Tensor<4>,
    values: Vec<f32>,
}

impl Calibration {
    fn at(size: usize, network: &Network) -> Self {
        let images = resize(network.calibration(), size);
        Self { values: download(images.clone()), images }
    }
}

/// A task and what was predicted for it.
#[derive(Clone, Copy)]
pub(super) struct Predicted<'a> {
    pub(super) task: &'a Task,
    pub(super) weights: &'a Weights,
    /// Calibration images that batch normalisations are measured on.
    pub(super) appended: &'a [f32],
    /// Their labels, if heads are solved on them.
    pub(super) appended_labels: Option<&'a LearnedLabels>,
}

impl<'a> Part<'a> {
    pub(super) fn predict(replica: &Replica, tasks: &'a [Task], objective: &Objective) -> Self {
        let diffusion = objective.diffusion.as_ref();
        let noisy = diffusion.map_or_else(Vec::new, |it| noisy(replica, tasks, it));
        let condition = |(index, task): (usize, &Task)| {
            let noisy = noisy.get(index).and_then(Option::as_ref).zip(diffusion).map(|(of, it)| {
                let signal = it.process.signal(task.condition.time);
                Noisy::new(&of.mixed, signal, of.first.clone())
            });
            Condition { noisy, ..task.condition.clone() }
        };
        let conditions: Vec<Condition> = tasks.iter().enumerate().map(condition).collect();
        let network = neural::tracked(&replica.network);
        let device = replica.device.clone().autodiff();
        let jobs = jobs(tasks.iter(), &conditions);
        let estimate = Estimate::new(&network, &jobs, &device);
        let written = estimate.weights();
        let mut weights = written.clone();
        let mut slopes = vec![1.0; tasks.len()];
        for (index, of) in noisy.iter().enumerate() {
            let Some((of, diffusion)) = of.as_ref().zip(diffusion) else { continue };
            let Task { graph, condition, .. } = &tasks[index];
            let (trust, signal) =
                (diffusion.trust(condition.time), diffusion.process.signal(condition.time));
            slopes[index] = 1.0 - trust * signal;
            let mut estimate = graph.plan.standardise(&written[index]);
            for (value, noisy) in estimate.values_mut().zip(of.mixed.values()) {
                *value += trust * (noisy - signal * *value);
            }
            weights[index] = graph.plan.restore(&estimate);
        }
        for (task, weights) in tasks.iter().zip(&mut weights) {
            task.turn(weights);
        }
        let is_classified = |task: &&Task| matches!(task.goal, Goal::Classify { .. });
        let sizes: BTreeSet<usize> = match objective.statistics {
            Statistics::Batch => BTreeSet::new(),
            Statistics::Calibration => {
                tasks.iter().filter(is_classified).map(|task| task.graph.size).collect()
            }
        };
        let calibration =
            sizes.into_iter().map(|size| (size, Calibration::at(size, &network))).collect();
        let labels = match objective.statistics {
            Statistics::Batch => None,
            Statistics::Calibration => LearnedLabels::of(&replica.network),
        };
        Self { tasks, network, device, estimate, written, weights, slopes, calibration, labels }
    }

    /// What there is to judge.
    pub(super) fn predicted(&self) -> impl Iterator<Item = Predicted<'_>> {
        self.tasks.iter().zip(&self.weights).map(|(task, weights)| {
            let calibration = self.calibration.get(&task.graph.size);
            let appended = calibration.map_or(&[][..], |it| &it.values);
            Predicted { task, weights, appended, appended_labels: self.labels.as_ref() }
        })
    }

    /// The gradient of the judged losses, weighted by the shares of tasks that are judged on images and of those that recover;
    /// `None` if none was finite.
    pub(super) fn differentiate(
        self,
        judged: Vec<Option<Judged>>,
        [judging, recovering]: [f32; 2],
    ) -> Option<Vec<Vec<f32>>> {
        let finite = judged.iter().any(Option::is_some);
        let zeros = |(&size, it): (&usize, &Calibration)| (size, vec![0.0; it.values.len()]);
        let mut image_gradients: BTreeMap<usize, Vec<f32>> =
            self.calibration.iter().map(zeros).collect();
        let mut label_gradient = self.labels.as_ref().map(LearnedLabels::zeros);
        let mut gradients = Vec::with_capacity(self.tasks.len());
        for ((task, judged), slope) in self.tasks.iter().zip(judged).zip(&self.slopes) {
            let Some(mut judged) = judged else {
                gradients.push(Weights::absent(task.graph.plan.lengths.len()));
                continue;
            };
            let share = match task.goal {
                Goal::Classify { .. } | Goal::Tell(_) => judging,
                Goal::Recover(_) => recovering,
            };
            let factor = share * slope;
            judged.gradients.values_mut().for_each(|gradient| *gradient *= factor);
            task.turn(&mut judged.gradients);
            let gradient = image_gradients.get_mut(&task.graph.size);
            if let (Some(calibration), Some(gradient)) = (&judged.calibration, gradient) {
                accumulate_scaled(share, calibration, gradient);
            }
            if let (Some(labels), Some(gradient)) = (&judged.labels, &mut label_gradient) {
                gradient.add_scaled(share, labels);
            }
            gradients.push(judged.gradients);
        }
        let surrogate = self.estimate.surrogate(&self.written, &gradients, &self.device);
        let mut total = surrogate.filter(|_| finite)?;
        for (Calibration { images, .. }, gradient) in
            self.calibration.into_values().zip(image_gradients.into_values())
        {
            let gradient: Tensor<4> = upload(gradient, images.dims(), &self.device);
            total = total + (images * gradient).sum();
        }
        if let (Some(by), Some((targets, penalty))) =
            (label_gradient, self.network.calibration_labels())
        {
            let slopes: Tensor<2> = upload(by.targets, targets.dims(), &self.device);
            total = total + (targets * slopes).sum() + penalty.sum() * by.penalty;
        }
        Some(neural::gradients(&self.network, &total.backward()))
    }
}

fn jobs<'a>(tasks: impl Iterator<Item = &'a Task>, conditions: &'a [Condition]) -> Vec<Job<'a>> {
    let job = |(task, condition): (&'a Task, &'a Condition)| Job {
        condition: Some(condition),
        ..Job::new(&task.graph.features, &task.graph.plan)
    };
    tasks.zip(conditions).map(job).collect()
}

/// What a task that is not at full noise starts from, standardised.
struct Start {
    /// x_t
    mixed: Weights,
    /// The estimate at full noise.
    first: Weights,
}

/// Seed of noise; tasks differ by stream.
const NOISE_SEED: u64 = 0x0a11_5e5e;

/// The starts of the tasks that are not at full noise, as the first step of sampling would make them.
fn noisy(replica: &Replica, tasks: &[Task], diffusion: &DiffusionConfig) -> Vec<Option<Start>> {
    let is_noisy = |task: &&Task| task.condition.time < 1.0;
    let full_noise = |task: &Task| Condition { time: 1.0, ..task.condition.clone() };
    let conditions: Vec<Condition> = tasks.iter().filter(is_noisy).map(full_noise).collect();
    if conditions.is_empty() {
        return Vec::new();
    }
    let jobs = jobs(tasks.iter().filter(is_noisy), &conditions);
    let first = Estimate::new(&replica.network, &jobs, &replica.device).weights();
    let mut first = first.into_iter();
    let mut start = |task: &Task| {
        let plan = &task.graph.plan;
        let first = plan.standardise(&first.next()?);
        let time = task.condition.time;
        let (signal, noise) = (diffusion.process.signal(time), diffusion.process.noise(time));
        let mut random = ChaCha8Rng::seed_from_u64(NOISE_SEED);
        random.set_stream(task.noise);
        let mut mixed = match &task.goal {
            Goal::Classify { .. } | Goal::Tell(_) => first.clone(),
            Goal::Recover(target) => plan.standardise(target),
        };
        for value in mixed.values_mut() {
            *value = signal * *value + noise * neural::normal(&mut random);
        }
        Some(Start { mixed, first })
    };
    tasks.iter().map(|task| if is_noisy(&task) { start(task) } else { None }).collect()
}

/// Calibration images at another size, interpolated as those of a network that is written are.
fn resize(images: Tensor<4>, size: usize) -> Tensor<4> {
    let [count, channels, height, width] = images.dims();
    if [height, width] == [size, size] {
        return images;
    }
    let device = images.device();
    let matrix = |from| -> Tensor<2> {
        upload(interpolation(size, from), [size, from], &device).transpose()
    };
    let wide = images.reshape([count * channels * height, width]).matmul(matrix(width));
    let turned = wide.reshape([count * channels, height, size]).swap_dims(1, 2);
    let tall = turned.reshape([count * channels * size, height]).matmul(matrix(height));
    tall.reshape([count * channels, size, size])
        .swap_dims(1, 2)
        .reshape([count, channels, size, size])
}
