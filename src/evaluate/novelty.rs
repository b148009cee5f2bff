//! Whether weights are new: how alike a network's mistakes and weights are to those of a trained
//! reference of the same graph, beside the reference with noise added. A generator that copies or
//! blurs its checkpoints lies on or below that curve (Zeng et al. 2025, "Generative modeling of weights:
//! generalization or memorization?").

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    graph::{Architecture, Role, Weights},
    neural::normal,
    weights::distance,
};

/// Noise added to a reference, as parts of each tensor's root mean square.
pub const NOISES: [f32; 6] = [0.02, 0.05, 0.1, 0.2, 0.4, 0.8];

/// Similarity of mistakes: of the images that either network gets wrong, the share that both do. One
/// for equal mistakes, and where neither makes any.
pub fn error_overlap(wrong: &[bool], other: &[bool]) -> f64 {
    let count = |either: fn(bool, bool) -> bool| {
        wrong.iter().zip(other).filter(|(a, b)| either(**a, **b)).count() as f64
    };
    let all = count(|a, b| a || b);
    if all == 0.0 { 1.0 } else { count(|a, b| a && b) / all }
}

/// Share of images on which two networks differ in being right or wrong.
pub fn disagreement(wrong: &[bool], other: &[bool]) -> f64 {
    let differ = wrong.iter().zip(other).filter(|(a, b)| a != b).count();
    differ as f64 / wrong.len().max(1) as f64
}

/// [`distance`] of weights from a reference; `None` where they do not fit.
pub fn relative_distance(
    architecture: &Architecture,
    weights: &Weights,
    reference: &Weights,
) -> Option<f64> {
    let lengths =
        |of: &Weights| of.by_parameter().map(|it| it.map(<[f32]>::len)).collect::<Vec<_>>();
    let fit = lengths(weights) == lengths(reference);
    fit.then(|| distance(architecture, weights, reference))
}

/// A reference with normal noise of `noise` times the root mean square of every tensor.
pub fn with_noise(reference: &Weights, noise: f32, seed: u64) -> Weights {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    reference.map(|_, tensor| {
        let square: f32 = tensor.iter().map(|value| value * value).sum();
        let scale = noise * (square / tensor.len().max(1) as f32).sqrt();
        tensor.iter().map(|value| value + scale * normal(&mut random)).collect()
    })
}

/// A reference with noise in what it learned: statistics stay, since a variance with noise may be none.
pub fn blurred(architecture: &Architecture, reference: &Weights, noise: f32, seed: u64) -> Weights {
    let mut blurred = with_noise(reference, noise, seed);
    for (id, values) in reference.tensors() {
        if architecture.parameters[id.0].role().is_some_and(Role::is_statistic) {
            blurred.set(id, values.to_vec());
        }
    }
    blurred
}

/// Share of images that are right.
fn top1(wrong: &[bool]) -> f64 {
    wrong.iter().filter(|wrong| !**wrong).count() as f64 / wrong.len().max(1) as f64
}

/// A reference at one level of noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoisyReference {
    /// See [`NOISES`]; zero for the reference itself.
    pub noise: f32,
    /// Its accuracy.
    pub top1: f64,
    /// Overlap of its mistakes with those of the reference.
    pub overlap: f64,
}

/// One network beside a reference of the same graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Novelty {
    /// Overlap of mistakes with the reference.
    pub overlap: f64,
    /// See [`relative_distance`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub distance: Option<f64>,
    /// The reference and its noisy copies.
    pub curve: Vec<NoisyReference>,
    /// Whether its mistakes are at least as much those of the reference as the mistakes of the least
    /// noisy copy are, or its weights as near.
    pub copies: bool,
    /// Whether it is more accurate than the noisy copy whose mistakes are as alike: `None` where no
    /// copy's are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub above_noise: Option<bool>,
}

impl Novelty {
    /// A network at a distance from a reference, by which images the two get wrong. `blurred` says it of the
    /// reference at a level of noise, as [`blurred()`] makes it.
    ///
    /// # Errors
    ///
    /// Those of `blurred`.
    pub fn beside<E>(
        wrong: &[bool],
        reference: &[bool],
        distance: Option<f64>,
        mut blurred: impl FnMut(f32) -> Result<Vec<bool>, E>,
    ) -> Result<Self, E> {
        let mut curve = vec![NoisyReference { noise: 0.0, top1: top1(reference), overlap: 1.0 }];
        for noise in NOISES {
            let wrong = blurred(noise)?;
            let overlap = error_overlap(&wrong, reference);
            curve.push(NoisyReference { noise, top1: top1(&wrong), overlap });
        }
        Ok(Self::new(top1(wrong), error_overlap(wrong, reference), distance, curve))
    }

    /// `curve` begins with the reference and goes on in ascending noise.
    pub fn new(top1: f64, overlap: f64, distance: Option<f64>, curve: Vec<NoisyReference>) -> Self {
        let least = curve.iter().find(|point| point.noise > 0.0);
        let copies = least.is_some_and(|least| {
            overlap >= least.overlap
                || distance.is_some_and(|distance| distance <= f64::from(least.noise))
        });
        // Where the overlap of the copies passes that of the network; accuracy in between.
        let above_noise = curve
            .windows(2)
            .find(|pair| pair[0].overlap >= overlap && overlap >= pair[1].overlap)
            .map(|pair| {
                let [near, far] = [pair[0], pair[1]];
                let width = near.overlap - far.overlap;
                let share = if width > 0.0 { (near.overlap - overlap) / width } else { 0.0 };
                top1 > near.top1 + share * (far.top1 - near.top1)
            });
        Self { overlap, distance, curve, copies, above_noise }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use crate::{
        onnx::Model,
        ops::{Registry, resolve},
        spaces::plain_cnn,
        weights::he_initialisation,
    };

    use super::*;

    #[test]
    fn overlap_is_the_jaccard_index_of_mistakes() {
        let [a, b] = [[true, true, false, false], [true, false, true, false]];
        assert_abs_diff_eq!(error_overlap(&a, &b), 1.0 / 3.0);
        assert_abs_diff_eq!(error_overlap(&a, &a), 1.0);
        assert_abs_diff_eq!(error_overlap(&[false; 4], &[false; 4]), 1.0);
        assert_abs_diff_eq!(disagreement(&a, &b), 0.5);
    }

    #[test]
    fn noise_is_as_far_as_it_says() {
        let model = Model::from_bytes("plain-cnn", plain_cnn().into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        let reference = he_initialisation(&architecture, 1);
        for noise in NOISES {
            let noisy = with_noise(&reference, noise, 3);
            let distance = relative_distance(&architecture, &noisy, &reference).unwrap();
            assert_abs_diff_eq!(distance, f64::from(noise), epsilon = 0.05 * f64::from(noise));
        }
        assert_eq!(relative_distance(&architecture, &Weights::absent(2), &reference), None);
    }

    #[test]
    fn copies_are_told_from_networks_of_their_own() {
        let point = |noise, top1, overlap| NoisyReference { noise, top1, overlap };
        let curve = vec![point(0.0, 0.7, 1.0), point(0.02, 0.69, 0.9), point(0.4, 0.3, 0.4)];
        let of =
            |top1, overlap, distance| Novelty::new(top1, overlap, Some(distance), curve.clone());
        assert!(of(0.7, 1.0, 0.0).copies);
        assert!(of(0.6, 0.5, 0.01).copies);
        let own = of(0.6, 0.5, 1.2);
        assert!(!own.copies);
        // At an overlap of 0.5 the curve is at 0.378.
        assert_eq!(own.above_noise, Some(true));
        assert_eq!(of(0.37, 0.5, 1.2).above_noise, Some(false));
        assert_eq!(of(0.6, 0.3, 1.2).above_noise, None);
    }
}
