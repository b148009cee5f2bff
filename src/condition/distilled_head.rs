//! A head that is solved on the images that a predictor learned, with labels that it learned, too: dataset
//! distillation by kernel ridge regression (Nguyen, Chen and Lee 2021, *Dataset meta-learning from kernel
//! ridge-regression*; Zhou et al. 2022, *Dataset distillation using neural feature regression*). The predicted
//! head is the prior: ridge regression adds what it lacks.

use nalgebra::{DMatrix, RowDVector};

use crate::{
    graph::{Weights, transpose},
    kernels::likeliest,
    predictor::LearnedLabels,
};

use super::{
    Head,
    cholesky::Cholesky,
    standard::{Standard, doubles, floats},
};

/// What is added to a predicted head: in terms of features that are standardised on the learned images.
#[derive(Clone, Debug)]
pub struct DistilledHead<'a> {
    head: &'a Head,
    places: usize,
    /// Of the predicted head, `[classes, features]`.
    weights: DMatrix<f64>,
    /// Features of the learned images, `[images, features]`.
    rows: DMatrix<f64>,
    standard: Standard,
    /// The same standardised: Z.
    scaled: DMatrix<f64>,
    /// λ
    penalty: f64,
    factor: Cholesky,
    /// α = (Z Zᵀ + λ)⁻¹ (residuals, centred where there is a bias), `[images, classes]`.
    coefficients: DMatrix<f64>,
    /// What is added for standardised features, Zᵀ α: `[features, classes]`.
    added: DMatrix<f64>,
    /// Mean residual, with the predicted bias; zero where there is no bias.
    biases: RowDVector<f64>,
}

/// The gradient of a loss by all that makes the scores of a [`DistilledHead`].
#[derive(Clone, Debug)]
pub struct DistilledGradient {
    /// By the input of the head for the learned images.
    pub learned: Vec<f32>,
    /// By the input of the head for the images that were scored.
    pub scored: Vec<f32>,
    /// By the predicted weights, as they are stored.
    pub weights: Vec<f32>,
    /// By the learned labels, and by the logarithm of the penalty.
    pub labels: LearnedLabels,
}

impl<'a> DistilledHead<'a> {
    /// Solves it for what the head reads of the learned images, wherever it applies its map. `None` where it is
    /// not a head of so many classes, an activation follows it, or the images say nothing.
    pub fn of(
        head: &'a Head,
        weights: &Weights,
        input: &[f32],
        labels: &LearnedLabels,
    ) -> Option<Self> {
        let images = labels.targets.len() / labels.classes.max(1);
        if !head.takes(labels.classes) || images == 0 {
            return None;
        }
        let places = head.places(input.len() / images)?;
        let stored = weights.get(head.weight)?;
        let weights = match head.transposed {
            true => DMatrix::from_column_slice(head.classes, head.features, &doubles(stored)),
            false => DMatrix::from_row_slice(head.classes, head.features, &doubles(stored)),
        };
        let rows = head.matrix(input, places);
        let biased = head.bias.is_some();
        let standard = Standard::of(&rows, biased)?;
        let scaled = standard.apply(&rows);
        let penalty = f64::from(labels.penalty).exp() * standard.live() as f64;
        let mut gram = &scaled * scaled.transpose();
        (0..images).for_each(|image| gram[(image, image)] += penalty);
        let factor = Cholesky::of(gram)?;
        let targets = DMatrix::from_row_slice(images, labels.classes, &doubles(&labels.targets));
        let mut residuals = targets - &rows * weights.transpose();
        let biases = if biased { residuals.row_mean() } else { RowDVector::zeros(labels.classes) };
        residuals.row_iter_mut().for_each(|mut row| row -= &biases);
        let coefficients = factor.solve(&residuals);
        let added = scaled.transpose() * &coefficients;
        let finite = coefficients.iter().chain(biases.iter()).all(|value| value.is_finite());
        finite.then_some(Self {
            head,
            places,
            weights,
            rows,
            standard,
            scaled,
            penalty,
            factor,
            coefficients,
            added,
            biases,
        })
    }

    /// Scores of images, `[images, classes]`, by what the head reads of them.
    pub fn scores(&self, input: &[f32]) -> Vec<f32> {
        let rows = self.head.matrix(input, self.places);
        let added = self.standard.apply(&rows) * &self.added;
        let mut scores = rows * self.weights.transpose() + added;
        scores.row_iter_mut().for_each(|mut row| row += &self.biases);
        floats(&scores)
    }

    /// Share of the learned images whose likeliest class is the one that their labels name, by heads that are solved
    /// on the others: the residual of the one that is left out is αᵢ / (Z Zᵀ + λ)⁻¹ᵢᵢ (Cook 1977).
    pub fn left_out_accuracy(&self, labels: &LearnedLabels) -> f64 {
        let inverse = self.factor.inverse();
        let right = labels.targets.chunks(labels.classes).enumerate().filter(|(image, targets)| {
            let residuals = self.coefficients.row(*image) / inverse[(*image, *image)];
            let pairs = targets.iter().zip(residuals.iter());
            let scores: Vec<f32> = pairs.map(|(target, it)| target - *it as f32).collect();
            likeliest(&scores) == likeliest(targets)
        });
        right.count() as f64 / self.rows.nrows() as f64
    }

    /// By the gradient of scores.
    pub fn gradient(&self, input: &[f32], slopes: &[f32]) -> DistilledGradient {
        let Self { head, places, weights, rows, standard, scaled: own, coefficients, .. } = self;
        let images = rows.nrows() as f64;
        let scored = head.matrix(input, *places);
        let slopes = DMatrix::from_row_slice(scored.nrows(), head.classes, &doubles(slopes));
        let other = standard.apply(&scored);
        let other_slopes = other.transpose() * &slopes;
        let by_residuals = self.factor.solve(&(own * &other_slopes));
        let by_penalty = -by_residuals.dot(coefficients) * self.penalty;
        let by_gram = &by_residuals * coefficients.transpose();
        let by_own =
            coefficients * other_slopes.transpose() - (&by_gram + by_gram.transpose()) * own;
        let by_other = &slopes * self.added.transpose();
        let mut by_targets = by_residuals;
        if head.bias.is_some() {
            let share = slopes.row_sum() / images;
            by_targets.row_iter_mut().for_each(|mut row| row += &share);
        }
        let by_weights = slopes.transpose() * &scored - by_targets.transpose() * rows;
        let [mut by_rows, mut by_scored] = standard.undone([own, &by_own], [&other, &by_other]);
        by_rows -= &by_targets * weights;
        by_scored += &slopes * weights;
        let by_weights = match head.transposed {
            true => by_weights.iter().map(|&value| value as f32).collect(),
            false => floats(&by_weights),
        };
        DistilledGradient {
            learned: head.spread(&floats(&by_rows), *places),
            scored: head.spread(&floats(&by_scored), *places),
            weights: by_weights,
            labels: LearnedLabels {
                targets: floats(&by_targets),
                classes: head.classes,
                penalty: by_penalty as f32,
            },
        }
    }

    /// Replaces the predicted head.
    pub fn write(&self, weights: &mut Weights) {
        let mut added = self.added.transpose();
        self.standard.fold(&mut added);
        let biases = &self.biases - self.standard.means() * added.transpose();
        let whole = floats(&(&self.weights + &added));
        self.head.silence_others(weights);
        let shape = [self.head.classes, self.head.features];
        let stored = if self.head.transposed { transpose(&whole, shape) } else { whole };
        weights.set(self.head.weight, stored);
        if let Some(bias) = self.head.bias {
            weights.set(bias, biases.iter().map(|&value| value as f32).collect());
        }
    }
}

impl Head {
    /// Features of images, means over places: `[images, features]`.
    fn matrix(&self, input: &[f32], places: usize) -> DMatrix<f64> {
        let images = input.len() / (self.features * places);
        DMatrix::from_row_slice(images, self.features, &doubles(&self.pooled(input, places)))
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::graph::{Operand, ParameterId};

    const CLASSES: usize = 3;
    const FEATURES: usize = 5;

    struct Case {
        head: Head,
        weights: Vec<f32>,
        learned: Vec<f32>,
        scored: Vec<f32>,
        labels: LearnedLabels,
        slopes: Vec<f32>,
    }

    impl Case {
        fn new(transposed: bool, places: usize, biased: bool) -> Self {
            let mut random = ChaCha8Rng::seed_from_u64(3);
            let mut values = |count: usize| -> Vec<f32> {
                (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
            };
            let head = Head {
                input: Operand::Input(0),
                weight: ParameterId(0),
                transposed,
                bias: biased.then_some(ParameterId(1)),
                classes: CLASSES,
                features: FEATURES,
                features_last: false,
                rectified: false,
                others: Vec::new(),
            };
            Self {
                head,
                weights: values(CLASSES * FEATURES),
                learned: values(8 * FEATURES * places),
                scored: values(4 * FEATURES * places),
                labels: LearnedLabels {
                    targets: values(8 * CLASSES),
                    classes: CLASSES,
                    penalty: -1.0,
                },
                slopes: values(4 * CLASSES),
            }
        }

        fn stored(&self) -> Weights {
            let mut weights = Weights::absent(2);
            weights.set(ParameterId(0), self.weights.clone());
            weights.set(ParameterId(1), vec![0.3; CLASSES]);
            weights
        }

        fn solved(&self) -> DistilledHead<'_> {
            DistilledHead::of(&self.head, &self.stored(), &self.learned, &self.labels).unwrap()
        }

        fn loss(&self) -> f64 {
            let scores = self.solved().scores(&self.scored);
            scores.iter().zip(&self.slopes).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (transposed, places, biased) in [(false, 1, true), (true, 3, true), (false, 1, false)] {
            let case = Case::new(transposed, places, biased);
            let gradient = case.solved().gradient(&case.scored, &case.slopes);
            let differs = |slopes: &[f32], at: fn(&mut Case) -> &mut [f32]| {
                for (index, slope) in slopes.iter().enumerate() {
                    let moved = |by: f32| {
                        let mut case = Case::new(transposed, places, biased);
                        at(&mut case)[index] += by;
                        case.loss()
                    };
                    let numeric = ((moved(1e-3) - moved(-1e-3)) / 2e-3) as f32;
                    assert_relative_eq!(*slope, numeric, epsilon = 2e-3, max_relative = 2e-2);
                }
            };
            differs(&gradient.learned, |case| &mut case.learned);
            differs(&gradient.scored, |case| &mut case.scored);
            differs(&gradient.weights, |case| &mut case.weights);
            differs(&gradient.labels.targets, |case| &mut case.labels.targets);
            differs(&[gradient.labels.penalty], |case| {
                std::slice::from_mut(&mut case.labels.penalty)
            });
        }
    }

    #[test]
    fn what_is_written_says_the_same() {
        for (transposed, biased) in [(false, true), (true, true), (false, false)] {
            let case = Case::new(transposed, 1, biased);
            let solved = case.solved();
            let mut weights = case.stored();
            solved.write(&mut weights);
            let stored = weights.get(ParameterId(0)).unwrap();
            let silent = vec![0.0; CLASSES];
            let biases = if biased { weights.get(ParameterId(1)).unwrap() } else { &silent };
            let scores = solved.scores(&case.scored);
            for (image, scores) in case.scored.chunks(FEATURES).zip(scores.chunks(CLASSES)) {
                for class in 0..CLASSES {
                    let weight = |feature: usize| match transposed {
                        true => stored[feature * CLASSES + class],
                        false => stored[class * FEATURES + feature],
                    };
                    let product: f32 = image
                        .iter()
                        .enumerate()
                        .map(|(feature, value)| value * weight(feature))
                        .sum();
                    assert_relative_eq!(product + biases[class], scores[class], epsilon = 1e-4);
                }
            }
        }
    }
}
