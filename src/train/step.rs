//! One optimiser step's gradient.

use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};

use crate::{
    execute::{Images, NormStatistics, Scratch},
    kernels::{
        cross_entropy,
        elementwise::{accumulate, accumulate_scaled, dot},
    },
    neural::{self, download, upload},
    predictor::{Estimate, Job, Network},
};

use super::{PreparedGraph, Statistics};

/// A graph and the images its predicted network is judged on.
pub struct Task {
    /// The graph.
    pub graph: Arc<PreparedGraph>,
    /// Normalised images, NCHW.
    pub images: Vec<f32>,
    /// Labels.
    pub labels: Vec<u16>,
}

/// How tasks are judged.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    /// Channels and side of the images.
    pub channels: usize,
    /// Height and width.
    pub size: usize,
    /// Source of batch-normalisation statistics.
    pub statistics: Statistics,
    /// Label smoothing.
    pub label_smoothing: f32,
    /// L2 penalty on predicted weights.
    pub weight_penalty: f32,
    /// Largest norm of one network's gradient with respect to its weights.
    pub network_clip: f32,
}

/// Means over the tasks of a step, and the gradient of the network's flat values.
pub struct StepResult {
    /// Task loss, over the finite tasks.
    pub loss: f64,
    /// Training accuracy, over the finite tasks.
    pub accuracy: f64,
    /// Tasks with a finite loss and gradient.
    pub finite: usize,
    /// The gradient; `None` if no task was finite.
    pub gradient: Option<Vec<f32>>,
}

/// What one task gives back.
struct Judged {
    loss: f32,
    correct: usize,
    gradients: Vec<Vec<f32>>,
    calibration: Option<Vec<f32>>,
}

/// Scratch memory, one per worker, reused from step to step.
#[derive(Default)]
pub struct Scratches(Mutex<Vec<Scratch>>);

impl Scratches {
    fn with<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let lock = || self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut scratch = lock().pop().unwrap_or_default();
        let result = work(&mut scratch);
        lock().push(scratch);
        result
    }
}

/// Predicts the weights of every task's graph, judges the networks, and differentiates the mean
/// loss with respect to the predictor. The tasks are shared out among the cores; the result does
/// not depend on their number. `network` makes the network on the autodiff `device`.
pub fn step(
    network: &(dyn Fn() -> Network + Sync),
    tasks: &[Task],
    objective: Objective,
    scratches: &Scratches,
    device: &Device,
) -> StepResult {
    let images: usize = tasks.iter().map(|task| task.labels.len()).sum();
    let share = 1.0 / tasks.len() as f32;
    let work = &|part| {
        // Each part has a network of its own: graphs that share a parameter are one graph to
        // burn's autodiff, which deadlocks when one thread extends it while another runs backward.
        let network = network();
        scratches.with(|scratch| differentiate(&network, part, objective, share, scratch, device))
    };
    // Threads of their own, not those of the pool: a pool thread that waits inside a backward pass
    // could be given another part, which would wait for the lock that it holds.
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            tasks.chunks(TASKS_TOGETHER).map(|part| scope.spawn(move || work(part))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<Part>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let finite: usize = parts.iter().map(|part| part.finite).sum();
    let correct: usize = parts.iter().map(|part| part.correct).sum();
    let loss: f64 = parts.iter().map(|part| part.loss).sum();
    let gradient = parts.into_iter().filter_map(|part| part.gradient).reduce(|mut sum, part| {
        accumulate(&part, &mut sum);
        sum
    });
    StepResult {
        loss: loss / finite.max(1) as f64,
        accuracy: correct as f64 / images.max(1) as f64,
        finite,
        gradient,
    }
}

/// Tasks that one core predicts in one call: enough to fill matrix products, few enough that two
/// cores share a step of eight.
const TASKS_TOGETHER: usize = 4;

/// Sums over some of the tasks of a step.
struct Part {
    loss: f64,
    correct: usize,
    finite: usize,
    gradient: Option<Vec<f32>>,
}

/// Predicts, judges and differentiates some tasks, each weighted by `share`.
fn differentiate(
    network: &Network,
    tasks: &[Task],
    objective: Objective,
    share: f32,
    scratch: &mut Scratch,
    device: &Device,
) -> Part {
    let jobs: Vec<Job> = tasks
        .iter()
        .map(|task| Job { features: &task.graph.features, plan: &task.graph.plan })
        .collect();
    let estimate = Estimate::new(network, &jobs, device);
    let weights = estimate.weights();
    let calibration = match objective.statistics {
        Statistics::Batch => None,
        Statistics::Calibration => Some(resize(network.calibration(), objective.size)),
    };
    let appended = calibration.clone().map(download).unwrap_or_default();
    let (mut loss, mut correct, mut finite) = (0.0, 0, 0);
    let mut image_gradient = vec![0.0; appended.len()];
    let mut gradients = Vec::with_capacity(tasks.len());
    for (task, weights) in tasks.iter().zip(&weights) {
        let Some(mut judged) = judge(task, weights, &appended, objective, scratch) else {
            gradients.push(vec![Vec::new(); task.graph.plan.lengths.len()]);
            continue;
        };
        loss += f64::from(judged.loss);
        correct += judged.correct;
        finite += 1;
        judged.gradients.iter_mut().flatten().for_each(|gradient| *gradient *= share);
        if let Some(calibration) = &judged.calibration {
            accumulate_scaled(share, calibration, &mut image_gradient);
        }
        gradients.push(judged.gradients);
    }
    let mut surrogate = estimate.surrogate(&weights, &gradients, device).filter(|_| finite > 0);
    if let (Some(images), Some(total)) = (calibration, surrogate.as_mut()) {
        let gradient: Tensor<4> = upload(image_gradient, images.dims(), device);
        *total = total.clone() + (images * gradient).sum();
    }
    let gradient = surrogate.map(|total| neural::gradients(network, &total.backward()));
    Part { loss, correct, finite, gradient }
}

/// Runs one predicted network forward and backward; `None` if anything is not finite.
fn judge(
    task: &Task,
    weights: &[Vec<f32>],
    appended: &[f32],
    objective: Objective,
    scratch: &mut Scratch,
) -> Option<Judged> {
    let Objective { channels, size, label_smoothing, weight_penalty, .. } = objective;
    let count = task.labels.len();
    let extra = appended.len() / (channels * size * size);
    let images: Vec<f32> = [task.images.as_slice(), appended].concat();
    let batch = Images { batch: count + extra, channels, height: size, width: size, data: &images };
    let rows = if extra == 0 { 0..count } else { count..count + extra };
    let references: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    let classes = task.graph.program.classes();
    let mut correct = 0;
    let (loss, mut gradients) = task.graph.program.gradients(
        &references,
        batch,
        &NormStatistics::Measured { rows },
        &mut |logits, gradient| {
            let outcome = cross_entropy(logits, &task.labels, label_smoothing, gradient, classes);
            correct = outcome.correct;
            outcome.loss
        },
        extra > 0,
        scratch,
    );
    for (gradient, weights) in gradients.parameters.iter_mut().zip(weights) {
        for (gradient, weight) in gradient.iter_mut().zip(weights) {
            *gradient += 2.0 * weight_penalty * weight;
        }
    }
    let squares = gradients.parameters.iter().map(|gradient| dot(gradient, gradient));
    let norm = squares.sum::<f32>().sqrt();
    let shrink = if norm > objective.network_clip { objective.network_clip / norm } else { 1.0 };
    let all = gradients.parameters.iter_mut().chain(&mut gradients.images);
    all.flatten().for_each(|gradient| *gradient *= shrink);
    let calibration =
        gradients.images.map(|images| images[count * channels * size * size..].to_vec());
    let finite = loss.is_finite()
        && norm.is_finite()
        && calibration.iter().flatten().sum::<f32>().is_finite();
    finite.then_some(Judged { loss, correct, gradients: gradients.parameters, calibration })
}

/// Calibration images at another size, by averaging blocks; sizes that do not divide are cropped.
fn resize(images: Tensor<4>, size: usize) -> Tensor<4> {
    let [count, channels, height, width] = images.dims();
    if [height, width] == [size, size] {
        return images;
    }
    let factor = (height / size).max(1);
    images
        .slice([0..count, 0..channels, 0..size * factor, 0..size * factor])
        .reshape([count, channels, size, factor, size * factor])
        .mean_dim(3)
        .reshape([count, channels, size, size, factor])
        .mean_dim(4)
        .reshape([count, channels, size, size])
}
