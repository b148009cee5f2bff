//! One optimiser step's gradient.

use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::{
    execute::{ExecuteError, Images, NormStatistics, Scratch},
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

/// Means over the tasks of a step, and the gradient of the network.
pub struct StepResult {
    /// Task loss, over the finite tasks.
    pub loss: f64,
    /// Training accuracy, over the finite tasks.
    pub accuracy: f64,
    /// Tasks with a finite loss and gradient.
    pub finite: usize,
    /// The gradient by entry of the network, empty where it is zero; `None` if no task was finite.
    pub gradient: Option<Vec<Vec<f32>>>,
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
/// loss with respect to the predictor. The work is shared out among the cores; the result does not
/// depend on their number, nor on that of the replicas of the predictor.
pub fn step(
    replicas: &[Replica],
    tasks: &[Task],
    objective: Objective,
    scratches: &Scratches,
) -> Result<StepResult, ExecuteError> {
    let images: usize = tasks.iter().map(|task| task.labels.len()).sum();
    let parts = on_threads(tasks.chunks(TASKS_TOGETHER).enumerate(), |(index, tasks)| {
        Part::predict(&replicas[index % replicas.len()], tasks, objective)
    });
    let predicted: Vec<_> = parts.iter().flat_map(Part::predicted).collect();
    let judge = |position: usize| {
        let (task, weights, appended) = predicted[position];
        scratches.with(|scratch| judge(task, weights, appended, objective, scratch))
    };
    // Networks without kernels stay off the pool: see `Runner::Reference`.
    let is_lowered = |&position: &usize| tasks[position].graph.runner.is_lowered();
    let (lowered, others): (Vec<usize>, Vec<usize>) = (0..tasks.len()).partition(is_lowered);
    let mut judged: Vec<(usize, Option<Judged>)> = lowered
        .into_par_iter()
        .with_max_len(1)
        .map(|position| Ok((position, judge(position)?)))
        .collect::<Result<_, ExecuteError>>()?;
    for position in others {
        judged.push((position, judge(position)?));
    }
    judged.sort_unstable_by_key(|(position, _)| *position);
    let judged: Vec<Option<Judged>> = judged.into_iter().map(|(_, judged)| judged).collect();
    let finite = judged.iter().flatten().count();
    let correct: usize = judged.iter().flatten().map(|judged| judged.correct).sum();
    let loss: f64 = judged.iter().flatten().map(|judged| f64::from(judged.loss)).sum();
    let share = 1.0 / tasks.len() as f32;
    let mut judged = judged.into_iter();
    let parts: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let judged = judged.by_ref().take(part.tasks.len()).collect();
            (part, judged)
        })
        .collect();
    let gradients = on_threads(parts, |(part, judged)| part.differentiate(judged, share));
    let gradient = gradients.into_iter().flatten().reduce(add);
    Ok(StepResult {
        loss: loss / finite.max(1) as f64,
        accuracy: correct as f64 / images.max(1) as f64,
        finite,
        gradient,
    })
}

/// Tasks that one core predicts in one call: enough to fill matrix products, few enough that two
/// cores share a step of eight.
const TASKS_TOGETHER: usize = 4;

/// Sums gradients entry by entry; empty ones are zeros.
fn add(mut sum: Vec<Vec<f32>>, part: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    sum.par_iter_mut().zip(part).for_each(|(sum, part)| match sum.is_empty() {
        true => *sum = part,
        false => accumulate(&part, &mut sum[..part.len()]),
    });
    sum
}

/// Runs work on one thread each, not on those of the pool: a pool thread that waits inside burn's
/// backward pass could be given another part, which would wait for the lock that it holds.
fn on_threads<I: IntoIterator<Item: Send>, T: Send>(
    items: I,
    work: impl Fn(I::Item) -> T + Sync,
) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<T>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    })
}

/// The predictor on a plain device.
#[derive(Debug)]
pub struct Replica {
    /// The network; the same values in every replica.
    pub network: Network,
    /// Where it is.
    pub device: Device,
}

/// Some of the tasks of a step, with the weights that were predicted for them.
struct Part<'a> {
    tasks: &'a [Task],
    /// Tracked by this part alone: graphs that share a parameter are one graph to burn's autodiff,
    /// which deadlocks when one thread extends it while another runs backward.
    network: Network,
    /// On autodiff.
    device: Device,
    estimate: Estimate<'a>,
    /// By task and parameter.
    weights: Vec<Vec<Vec<f32>>>,
    /// The learned calibration batch at the size of the images, if it is trained along.
    calibration: Option<Tensor<4>>,
    /// Its values; empty without it.
    appended: Vec<f32>,
}

impl<'a> Part<'a> {
    fn predict(replica: &Replica, tasks: &'a [Task], objective: Objective) -> Self {
        let network = neural::tracked(&replica.network);
        let device = replica.device.clone().autodiff();
        let job = |task: &'a Task| Job { features: &task.graph.features, plan: &task.graph.plan };
        let jobs: Vec<Job> = tasks.iter().map(job).collect();
        let estimate = Estimate::new(&network, &jobs, &device);
        let weights = estimate.weights();
        let calibration = match objective.statistics {
            Statistics::Batch => None,
            Statistics::Calibration => Some(resize(network.calibration(), objective.size)),
        };
        let appended = calibration.clone().map(download).unwrap_or_default();
        Self { tasks, network, device, estimate, weights, calibration, appended }
    }

    /// What there is to judge.
    fn predicted(&self) -> impl Iterator<Item = (&Task, &[Vec<f32>], &[f32])> {
        let weights = self.weights.iter().map(Vec::as_slice);
        self.tasks.iter().zip(weights).map(|(task, weights)| (task, weights, &*self.appended))
    }

    /// The gradient of the judged losses, each weighted by `share`; `None` if none was finite.
    fn differentiate(self, judged: Vec<Option<Judged>>, share: f32) -> Option<Vec<Vec<f32>>> {
        let finite = judged.iter().any(Option::is_some);
        let mut image_gradient = vec![0.0; self.appended.len()];
        let mut gradients = Vec::with_capacity(self.tasks.len());
        for (task, judged) in self.tasks.iter().zip(judged) {
            let Some(mut judged) = judged else {
                gradients.push(vec![Vec::new(); task.graph.plan.lengths.len()]);
                continue;
            };
            judged.gradients.iter_mut().flatten().for_each(|gradient| *gradient *= share);
            if let Some(calibration) = &judged.calibration {
                accumulate_scaled(share, calibration, &mut image_gradient);
            }
            gradients.push(judged.gradients);
        }
        let surrogate = self.estimate.surrogate(&self.weights, &gradients, &self.device);
        let mut surrogate = surrogate.filter(|_| finite);
        if let (Some(images), Some(total)) = (self.calibration, surrogate.as_mut()) {
            let gradient: Tensor<4> = upload(image_gradient, images.dims(), &self.device);
            *total = total.clone() + (images * gradient).sum();
        }
        surrogate.map(|total| neural::gradients(&self.network, &total.backward()))
    }
}

/// Runs one predicted network forward and backward; `None` if anything is not finite.
fn judge(
    task: &Task,
    weights: &[Vec<f32>],
    appended: &[f32],
    objective: Objective,
    scratch: &mut Scratch,
) -> Result<Option<Judged>, ExecuteError> {
    let Objective { channels, size, label_smoothing, weight_penalty, .. } = objective;
    let count = task.labels.len();
    let extra = appended.len() / (channels * size * size);
    let images: Vec<f32> = [task.images.as_slice(), appended].concat();
    let batch = Images { batch: count + extra, channels, height: size, width: size, data: &images };
    let rows = if extra == 0 { 0..count } else { count..count + extra };
    let references: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    let mut correct = 0;
    let (loss, mut gradients) = task.graph.runner.gradients(
        &references,
        batch,
        &NormStatistics::Measured { rows },
        &mut |logits, gradient| {
            let classes = logits.len() / batch.batch;
            let outcome = cross_entropy(logits, &task.labels, label_smoothing, gradient, classes);
            correct = outcome.correct;
            outcome.loss
        },
        extra > 0,
        scratch,
    )?;
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
    let judged = Judged { loss, correct, gradients: gradients.parameters, calibration };
    Ok(finite.then_some(judged))
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
