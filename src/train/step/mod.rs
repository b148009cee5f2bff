//! One optimiser step's gradient.

use std::{ops::AddAssign, sync::Arc};

use burn::tensor::Device;
use rayon::prelude::*;

use crate::{
    execute::{ExecuteError, Scratches},
    graph::Weights,
    kernels::elementwise::accumulate,
    predictor::{Condition, DiffusionConfig, Network},
};

use super::{PreparedGraph, Statistics};

mod judge;
mod members;
mod part;

use judge::{Judged, judge_group, recover};
use part::{Part, Predicted};

/// A graph, what the predictor is told, and what its estimate is held against.
pub struct Task {
    /// The graph.
    pub graph: Arc<PreparedGraph>,
    /// What a denoiser is told, without the noisy weights: they are made in the step.
    pub condition: Condition,
    /// Whether the network that is judged is the mirror image of what the predictor writes.
    pub mirrored: bool,
    /// Stream of the noise that weights are mixed with where the condition is not at full noise.
    pub noise: u64,
    /// What the estimate is for.
    pub goal: Goal,
}

/// What an estimate is held against.
#[derive(Clone)]
pub enum Goal {
    /// The network of the estimate is to classify images. The noisy weights, where there are any, come
    /// from the predictor's own estimate at full noise.
    Classify {
        /// Normalised images, NCHW.
        images: Arc<Vec<f32>>,
        /// Labels.
        labels: Arc<Vec<u16>>,
        /// Whether the head is solved on the learned labels of the calibration batch, where there are some;
        /// the predicted one is judged without.
        solved: bool,
    },
    /// The features of its trunk are to tell classes apart; the head is solved. It takes a graph that has
    /// a [`Trunk`](super::Trunk).
    Tell(Episode),
    /// The estimate is to recover a checkpoint that noise was mixed into.
    Recover(Arc<Weights>),
}

/// Images of a few classes, as many of each.
#[derive(Clone)]
pub struct Episode {
    /// Normalised images, NCHW.
    pub images: Arc<Vec<f32>>,
    /// Labels.
    pub labels: Arc<Vec<u16>>,
    /// Number of classes.
    pub classes: usize,
}

/// How tasks are judged.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Source of batch-normalisation statistics.
    pub statistics: Statistics,
    /// Label smoothing.
    pub label_smoothing: f32,
    /// L2 penalty on predicted weights.
    pub weight_penalty: f32,
    /// Largest norm of one network's gradient with respect to its weights.
    pub network_clip: f32,
    /// Weight of recovering checkpoints beside classifying images.
    pub recovery: f32,
    /// Classifying tasks that follow each other and share graph and images: samples of one posterior.
    pub members: usize,
    /// Share of the loss of the members' mean probability in their loss, from 0 to 1.
    pub together: f32,
    /// The path to noise; without, every condition is at full noise.
    pub diffusion: Option<DiffusionConfig>,
}

impl Task {
    /// The mirror image of weights or gradients, if the task is about that.
    fn turn(&self, weights: &mut Weights) {
        if let Some(mirror) = self.graph.mirror.as_ref().filter(|_| self.mirrored) {
            mirror.turn(weights);
        }
    }

    /// Whether it has kernels for all that its goal runs.
    fn is_lowered(&self) -> bool {
        match (&self.goal, &self.graph.trunk) {
            (Goal::Tell(_), Some(trunk)) => trunk.runner.is_lowered(),
            _ => self.graph.runner.is_lowered(),
        }
    }

    fn images(&self) -> usize {
        match &self.goal {
            Goal::Classify { labels, .. } => labels.len(),
            Goal::Tell(episode) => episode.labels.len(),
            Goal::Recover(_) => 0,
        }
    }
}

/// Means over some tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Task loss, over the finite ones.
    pub loss: f64,
    /// Share of the images that are classified right.
    pub accuracy: f64,
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.loss += other.loss;
        self.accuracy += other.accuracy;
    }
}

/// Means over the tasks of a step, and the gradient of the network.
pub struct StepResult {
    /// Of the classifying tasks.
    pub classified: Score,
    /// Of the episodes.
    pub told_apart: Score,
    /// Training accuracy of the members' mean probabilities.
    pub together: f64,
    /// Mean squared error of recovered checkpoints, standardised.
    pub recovery: f64,
    /// Tasks with a finite loss and gradient.
    pub finite: usize,
    /// The gradient by entry of the network, empty where it is zero; `None` if no task was finite.
    pub gradient: Option<Vec<Vec<f32>>>,
}

/// Predicts the weights of every task's graph, judges the networks, and differentiates the mean
/// loss with respect to the predictor. Tasks that recover come last, the others in groups of
/// [`Objective::members`]. The work is shared out among the cores; the result does not depend on their
/// number, nor on that of the replicas of the predictor.
pub fn step(
    replicas: &[Replica],
    tasks: &[Task],
    objective: &Objective,
    scratches: &Scratches,
) -> Result<StepResult, ExecuteError> {
    let parts = on_threads(tasks.chunks(TASKS_TOGETHER).enumerate(), |(index, tasks)| {
        Part::predict(&replicas[index % replicas.len()], tasks, objective)
    });
    let predicted: Vec<_> = parts.iter().flat_map(Part::predicted).collect();
    let judging = tasks.iter().filter(|task| !matches!(task.goal, Goal::Recover(_))).count();
    let judge =
        |group: &[Predicted]| scratches.with(|scratch| judge_group(group, objective, scratch));
    // Networks without kernels stay off the pool: see `Runner::Reference`.
    let groups: Vec<_> = predicted[..judging].chunks(objective.members).enumerate().collect();
    let (lowered, others): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|(_, group)| group[0].task.is_lowered());
    let mut judged: Vec<(usize, Vec<Option<Judged>>)> = lowered
        .into_par_iter()
        .with_max_len(1)
        .map(|(index, group)| Ok((index, judge(group)?)))
        .collect::<Result<_, ExecuteError>>()?;
    for (index, group) in others {
        judged.push((index, judge(group)?));
    }
    judged.sort_unstable_by_key(|(index, _)| *index);
    let mut judged: Vec<Option<Judged>> = judged.into_iter().flat_map(|(_, group)| group).collect();
    let score = |kind: fn(&Goal) -> bool| {
        let of_kind = || tasks.iter().zip(&judged).filter(|(task, _)| kind(&task.goal));
        let finite = || of_kind().filter_map(|(_, judged)| judged.as_ref());
        let images = of_kind().map(|(task, _)| task.images()).sum::<usize>().max(1);
        let loss = finite().map(|judged| f64::from(judged.loss)).sum::<f64>();
        let correct = finite().map(|judged| judged.correct[0]).sum::<usize>();
        let last = of_kind().skip(objective.members - 1).step_by(objective.members);
        let together: usize =
            last.filter_map(|(_, judged)| Some(judged.as_ref()?.correct[1])).sum();
        let score = Score {
            loss: loss / finite().count().max(1) as f64,
            accuracy: correct as f64 / images as f64,
        };
        (score, (together * objective.members) as f64 / images as f64)
    };
    let (classified, together) = score(|goal| matches!(goal, Goal::Classify { .. }));
    let (told_apart, _) = score(|goal| matches!(goal, Goal::Tell(_)));
    let recovered: Vec<Option<Judged>> = predicted[judging..].iter().map(recover).collect();
    let recovery: f64 = recovered.iter().flatten().map(|judged| f64::from(judged.loss)).sum();
    let recovery = recovery / recovered.iter().flatten().count().max(1) as f64;
    let shares = [1.0 / judging.max(1) as f32, objective.recovery / recovered.len().max(1) as f32];
    judged.extend(recovered);
    let finite = judged.iter().flatten().count();
    let mut judged = judged.into_iter();
    let parts: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let judged = judged.by_ref().take(part.tasks.len()).collect();
            (part, judged)
        })
        .collect();
    let gradients = on_threads(parts, |(part, judged)| part.differentiate(judged, shares));
    let gradient = gradients.into_iter().flatten().reduce(add);
    Ok(StepResult { classified, told_apart, together, recovery, finite, gradient })
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
