//! What a task's weights are worth, and the gradient with respect to them.

use crate::{
    condition::{DistilledHead, LeftOut},
    execute::{ExecuteError, Images, NormStatistics, Scratch},
    graph::{ParameterId, Weights},
    kernels::{cross_entropy, elementwise::dot},
    patches::Scale,
    predictor::LearnedLabels,
};

use super::{
    super::{PreparedGraph, Trunk},
    Episode, Goal, Objective,
    members::Together,
    part::Predicted,
};

/// What one task gives back.
pub(super) struct Judged {
    pub(super) loss: f32,
    /// Right answers of the network and of its group so far; of images only.
    pub(super) correct: [usize; 2],
    pub(super) gradients: Weights,
    pub(super) calibration: Option<Vec<f32>>,
    /// The gradient by the labels of the calibration batch.
    pub(super) labels: Option<LearnedLabels>,
}

/// How far an estimate is from the checkpoint that it should recover: mean squared error of
/// standardised values, every tensor counting the same; `None` if that is not finite.
pub(super) fn recover(&Predicted { task, weights, .. }: &Predicted) -> Option<Judged> {
    let mut gradients = Weights::absent(weights.len());
    let mut loss = 0.0;
    if let Goal::Recover(target) = &task.goal {
        let plan = &task.graph.plan;
        let [own, wanted] = [weights, &**target].map(|weights| plan.standardise(weights));
        let tensors: Vec<(ParameterId, [&[f32]; 2])> = own.pairs(&wanted).collect();
        let scales = plan.scales();
        for &(id, [own, wanted]) in &tensors {
            let Some((_, unit)) = scales[id.0].map(Scale::standard) else { continue };
            let share = 1.0 / (own.len() * tensors.len()) as f32;
            let slope = 2.0 * share / unit;
            let gradient = own.iter().zip(wanted).map(|(own, wanted)| {
                loss += share * (own - wanted) * (own - wanted);
                slope * (own - wanted)
            });
            gradients.set(id, gradient.collect());
        }
    }
    loss.is_finite().then_some(Judged {
        loss,
        correct: [0; 2],
        gradients,
        calibration: None,
        labels: None,
    })
}

/// Judges the members of a group one after the other. Each is told how well those before it did on
/// every image, so that together they learn what one of them cannot.
pub(super) fn judge_group(
    group: &[Predicted],
    objective: &Objective,
    scratch: &mut Scratch,
) -> Result<Vec<Option<Judged>>, ExecuteError> {
    let mut judged = Vec::with_capacity(group.len());
    let mut together = Together::default();
    for predicted in group {
        judged.push(judge(predicted, objective, &mut together, scratch)?);
    }
    Ok(judged)
}

/// Runs one predicted network forward and backward; `None` if anything is not finite.
fn judge(
    predicted: &Predicted,
    objective: &Objective,
    together: &mut Together,
    scratch: &mut Scratch,
) -> Result<Option<Judged>, ExecuteError> {
    let judged = match &predicted.task.goal {
        Goal::Classify { images, labels, solved } => {
            let own = predicted.appended_labels.filter(|_| *solved);
            let predicted = &Predicted { appended_labels: own, ..*predicted };
            classify(predicted, images, labels, objective, together, scratch)?
        }
        Goal::Tell(episode) => tell(predicted, episode, scratch)?,
        Goal::Recover(_) => None,
    };
    Ok(judged.and_then(|judged| bounded(judged, predicted.weights, objective)))
}

/// By the logits of its head.
fn classify(
    &Predicted { task, weights, appended, appended_labels }: &Predicted,
    images: &[f32],
    labels: &[u16],
    objective: &Objective,
    together: &mut Together,
    scratch: &mut Scratch,
) -> Result<Option<Judged>, ExecuteError> {
    let &PreparedGraph { channels, size, .. } = &*task.graph;
    let label_smoothing = objective.label_smoothing;
    let count = labels.len();
    let extra = appended.len() / (channels * size * size);
    let images: Vec<f32> = [images, appended].concat();
    let batch = Images { batch: count + extra, channels, height: size, width: size, data: &images };
    let rows = if extra == 0 { 0..count } else { count..count + extra };
    let statistics = NormStatistics::Measured { rows };
    let mut correct = [0; 2];
    let mut score = |logits: &[f32], gradient: &mut [f32], all: usize| {
        let classes = logits.len() / all;
        let outcome = cross_entropy(logits, labels, label_smoothing, gradient, classes);
        let right = together.join(logits, labels, gradient, classes, objective.together);
        correct = [outcome.correct, right];
        outcome.loss
    };
    let trunk = task.graph.trunk.as_ref().filter(|_| extra > 0);
    let solved = trunk.zip(appended_labels).filter(|(trunk, own)| trunk.head.takes(own.classes));
    let mut by_head = None;
    let (loss, mut gradients) = match solved {
        None => task.graph.runner.gradients(
            weights,
            batch,
            &statistics,
            &mut |logits, gradient| score(logits, gradient, batch.batch),
            extra > 0,
            scratch,
        )?,
        Some((Trunk { head, runner }, own)) => {
            let mut loss = |read: &[f32], gradient: &mut [f32]| {
                let (scored, learned) = read.split_at(read.len() / batch.batch * count);
                let Some(solved) = DistilledHead::of(head, weights, learned, own) else {
                    return f32::NAN;
                };
                let scores = solved.scores(scored);
                let mut slopes = vec![0.0; scores.len()];
                let loss = score(&scores, &mut slopes, count);
                let by = solved.gradient(scored, &slopes);
                let (of_scored, of_learned) = gradient.split_at_mut(scored.len());
                of_scored.copy_from_slice(&by.scored);
                of_learned.copy_from_slice(&by.learned);
                by_head = Some((by.weights, by.labels));
                loss
            };
            runner.gradients(weights, batch, &statistics, &mut loss, true, scratch)?
        }
    };
    let mut by_labels = None;
    if let (Some((by_weights, labels)), Some((trunk, _))) = (by_head, solved) {
        gradients.parameters.set(trunk.head.weight, by_weights);
        by_labels = Some(labels);
    }
    let calibration =
        gradients.images.map(|images| images[count * channels * size * size..].to_vec());
    let gradients = gradients.parameters;
    Ok(Some(Judged { loss, correct, gradients, calibration, labels: by_labels }))
}

/// By what heads that are solved on the features of its trunk say of the images that they leave out. Batch
/// normalisations are measured on all images, as they will be on a support set.
fn tell(
    &Predicted { task, weights, .. }: &Predicted,
    &Episode { ref images, ref labels, classes }: &Episode,
    scratch: &mut Scratch,
) -> Result<Option<Judged>, ExecuteError> {
    let Some(Trunk { head, runner }) = &task.graph.trunk else { return Ok(None) };
    let (batch, &PreparedGraph { channels, size, .. }) = (labels.len(), &*task.graph);
    let mut correct = None;
    let (loss, gradients) = runner.gradients(
        weights,
        Images { batch, channels, height: size, width: size, data: images },
        &NormStatistics::Measured { rows: 0..batch },
        &mut |rows, gradient| {
            let Some(left_out) = LeftOut::of_input(head, rows, labels, classes) else {
                return f32::NAN;
            };
            gradient.copy_from_slice(&left_out.gradient);
            correct = Some(left_out.correct);
            left_out.loss
        },
        false,
        scratch,
    )?;
    let gradients = gradients.parameters;
    Ok(correct.map(|correct| Judged {
        loss,
        correct: [correct; 2],
        gradients,
        calibration: None,
        labels: None,
    }))
}

/// With the penalty on weights, and a gradient of bounded length; `None` if anything is not finite.
fn bounded(mut judged: Judged, weights: &Weights, objective: &Objective) -> Option<Judged> {
    let Judged { loss, gradients, calibration, labels, .. } = &mut judged;
    for (id, gradient) in gradients.tensors_mut() {
        for (gradient, weight) in gradient.iter_mut().zip(weights.get(id).unwrap_or_default()) {
            *gradient += 2.0 * objective.weight_penalty * weight;
        }
    }
    let squares = gradients.tensors().map(|(_, gradient)| dot(gradient, gradient));
    let norm = squares.sum::<f32>().sqrt();
    let shrink = if norm > objective.network_clip { objective.network_clip / norm } else { 1.0 };
    let learned = labels.iter_mut().flat_map(LearnedLabels::values_mut);
    let all = gradients.values_mut().chain(calibration.iter_mut().flatten()).chain(learned);
    all.for_each(|gradient| *gradient *= shrink);
    let finite = loss.is_finite()
        && norm.is_finite()
        && calibration.iter().flatten().sum::<f32>().is_finite();
    finite.then_some(judged)
}
