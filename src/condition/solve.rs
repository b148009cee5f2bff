//! Solving a head on a support set.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    data::Dataset,
    evaluate::logits,
    graph::{Architecture, ParameterId, Weights, transpose},
    ops::Registry,
    predictor::{InputConfig, Prediction, ValueSource},
};

use super::{
    ConditionError, Head, HeadError,
    logistic::{Features, LinearHead},
};

/// Most values of features that are held at a time, which bounds the images that a head is solved on.
const MOST_VALUES: usize = 1 << 27;
/// Images on which it is seen that the network returns what the head says.
const CHECKED: usize = 16;
/// Largest difference between the two, beside the largest score.
const TOLERANCE: f32 = 1e-2;

/// How a head was solved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SolvedHead {
    /// Images that it was solved on.
    pub images: usize,
    /// Values that a class score depends on.
    pub features: usize,
    /// L2 penalty on the weights of standardised features, for each image.
    pub penalty: f64,
    /// Share of the images that are classified right when they are left out, each class counting the same;
    /// `None` where a class has a single image.
    pub left_out_accuracy: Option<f64>,
}

/// Solves the head of a filled network, whose normalisation statistics are measured, on labelled images,
/// which have the channels that the network reads. All other weights stay.
///
/// # Errors
///
/// There is no head that could be solved, the data do not fit the network, or it cannot be run. The weights
/// are as they were then.
pub fn solve_head(
    architecture: &Architecture,
    registry: &Arc<Registry>,
    prediction: &mut Prediction,
    data: &Dataset,
    input: &InputConfig,
) -> Result<SolvedHead, ConditionError> {
    let head = Head::of(architecture, registry)?;
    let name = &architecture.parameters[head.weight.0].name;
    for id in head.parameters() {
        if !matches!(prediction.labels[id.0], ValueSource::Predicted | ValueSource::Solved) {
            let why = "it keeps its values".to_owned();
            return Err(HeadError::NotFree { name: name.clone(), why }.into());
        }
    }
    let trunk = architecture.returning(&[head.input]);
    let run = |architecture: &Architecture, weights: &Weights, most: usize| {
        logits(architecture, registry, weights, data, input, most)
    };
    let (first, _) = run(&trunk, &prediction.weights, 1)?;
    let most = MOST_VALUES / first.len().max(1);
    let (rows, labels) = run(&trunk, &prediction.weights, most)?;
    let places = head.places(rows.len() / labels.len().max(1));
    let Some(places) = places else {
        return Err(HeadError::Changed(name.clone()).into());
    };
    let pooled = head.pooled(&rows, places);
    let features = Features { values: &pooled, labels: &labels, classes: head.classes };
    let solved = features.head(head.bias.is_some());
    let mut solved = solved.ok_or_else(|| HeadError::NoFeatures(name.clone()))?;
    if head.rectified {
        head.raise(&mut solved, &rows, places);
    }
    let before =
        head.parameters().filter_map(|id| Some((id, prediction.weights.get(id)?.to_vec())));
    let before: Vec<(ParameterId, Vec<f32>)> = before.collect();
    head.silence_others(&mut prediction.weights);
    let classes_last = || transpose(&solved.weights, [head.classes, head.features]);
    let stored = if head.transposed { classes_last() } else { solved.weights.clone() };
    prediction.weights.set(head.weight, stored);
    if let Some(bias) = head.bias {
        prediction.weights.set(bias, solved.biases.clone());
    }
    let (returned, checked) = run(architecture, &prediction.weights, CHECKED)?;
    let expected = solved.scores(&pooled[..checked.len() * head.features], head.features);
    if !same_order(&returned, &expected, head.classes) {
        before.into_iter().for_each(|(id, values)| prediction.weights.set(id, values));
        return Err(HeadError::Changed(name.clone()).into());
    }
    for id in head.parameters() {
        prediction.labels[id.0] = ValueSource::Solved;
    }
    Ok(SolvedHead {
        images: labels.len(),
        features: head.features,
        penalty: solved.penalty,
        left_out_accuracy: solved.left_out_accuracy,
    })
}

impl Head {
    /// Raises all biases, so that nothing is cut off by what lets only positive values through.
    fn raise(&self, solved: &mut LinearHead, rows: &[f32], places: usize) {
        let mut least = f32::INFINITY;
        for image in rows.chunks_exact(self.features * places) {
            for place in 0..places {
                let feature = |feature| image[self.at(feature, place, places)];
                let features: Vec<f32> = (0..self.features).map(feature).collect();
                let scores = solved.scores(&features, self.features);
                least = scores.into_iter().fold(least, f32::min);
            }
        }
        if self.bias.is_some() && least.is_finite() {
            // Other images may be further off.
            solved.biases.iter_mut().for_each(|bias| *bias += 1.5 * (-least).max(0.0));
        }
    }
}

/// Whether two rows of scores of each image differ by no more than a constant.
fn same_order(ours: &[f32], theirs: &[f32], classes: usize) -> bool {
    let centred = |row: &[f32]| -> Vec<f32> {
        let mean = row.iter().sum::<f32>() / classes as f32;
        row.iter().map(|score| score - mean).collect()
    };
    ours.len() == theirs.len()
        && ours.chunks(classes).zip(theirs.chunks(classes)).all(|(ours, theirs)| {
            let (ours, theirs) = (centred(ours), centred(theirs));
            let size = theirs.iter().fold(1e-6_f32, |most, score| most.max(score.abs()));
            let same = |(ours, theirs): (&f32, &f32)| (ours - theirs).abs() <= TOLERANCE * size;
            ours.iter().zip(&theirs).all(same)
        })
}
