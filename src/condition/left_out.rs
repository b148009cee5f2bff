//! What a head solved on all labelled images but one says of that one, each image in turn, and how that
//! changes with the features: what a trunk is trained for whose head will be solved (Bertinetto et al. 2019,
//! *Meta-learning with differentiable closed-form solvers*; leave-one-out by Hastie, Tibshirani and Friedman
//! 2009, section 7.10).

use nalgebra::DMatrix;

use super::{
    Head,
    cholesky::Cholesky,
    standard::{Standard, doubles, floats},
};

/// Penalties that are tried, beside the mean variance of the features.
const PENALTIES: [f64; 3] = [1e-2, 1e-1, 1.0];
/// Factors that turn what is regressed into logits.
const SHARPNESSES: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 11.0];

/// The images of a task, each judged by the head of all others.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Mean cross-entropy, in nats.
    pub loss: f32,
    /// Images that are classified right.
    pub correct: usize,
    /// The gradient of the loss by what it is of; penalty and sharpness, which make the loss least, are held.
    pub gradient: Vec<f32>,
}

impl LeftOut {
    /// Of what a head reads, image by image, wherever it applies its map; the gradient is by that. Every class
    /// has as many images. `None` where the head does not read so many values, or they tell nothing apart.
    pub fn of_input(head: &Head, input: &[f32], labels: &[u16], classes: usize) -> Option<Self> {
        let places = head.places(input.len() / labels.len().max(1))?;
        let pooled = Self::of(&head.pooled(input, places), labels, classes)?;
        Some(Self { gradient: head.spread(&pooled.gradient, places), ..pooled })
    }

    /// Of features, image by image, of which every class has as many. `None` where they are not finite or
    /// tell nothing apart.
    fn of(features: &[f32], labels: &[u16], classes: usize) -> Option<Self> {
        let images = labels.len();
        let (standard, rows) = scaled(features, images)?;
        let gram = &rows * rows.transpose();
        let targets = DMatrix::from_fn(images, classes, |image, class| {
            f64::from(u8::from(usize::from(labels[image]) == class)) - 1.0 / classes as f64
        });
        let solved = PENALTIES.iter().filter_map(|penalty| {
            let added = penalty * gram.trace() / images as f64;
            let factor = Cholesky::of(&gram + DMatrix::identity(images, images) * added)?;
            Solved::of(with_bias(factor.inverse()), &targets, labels)
        });
        let best = solved.min_by(|one, other| one.loss.total_cmp(&other.loss))?;
        let none = DMatrix::zeros(0, rows.ncols());
        let [gradient, _] = standard.undone([&rows, &best.gradient(&rows)], [&none, &none]);
        Some(Self { loss: best.loss as f32, correct: best.correct, gradient: floats(&gradient) })
    }
}

/// A⁻¹ with a bias that is solved, too: the block without the last row and column of the inverse of
/// `[A 1; 1ᵀ 0]`. Residuals of images that are left out, and derivatives, follow from it as from A⁻¹ (Cawley
/// and Talbot 2004, *Fast exact leave-one-out cross-validation of sparse least-squares support vector
/// machines*). Centred features and targets are no way around: they tell what the image is that was left out.
fn with_bias(inverse: DMatrix<f64>) -> DMatrix<f64> {
    let sums = inverse.column_sum();
    let total = sums.sum();
    inverse - &sums * sums.transpose() / total
}

/// Features standardised, `[images, features]`, and by what.
fn scaled(features: &[f32], images: usize) -> Option<(Standard, DMatrix<f64>)> {
    let width = features.len() / images.max(1);
    if width == 0 || features.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let rows = DMatrix::from_row_slice(images, width, &doubles(features));
    let standard = Standard::of(&rows, true)?;
    let rows = standard.apply(&rows);
    Some((standard, rows))
}

/// A head for one penalty, in dual form: A = X Xᵀ + λ.
struct Solved {
    /// See [`with_bias`].
    inverse: DMatrix<f64>,
    /// Its product with the targets.
    coefficients: DMatrix<f64>,
    loss: f64,
    correct: usize,
    /// The gradient of the loss by what is said of images that are left out.
    slopes: DMatrix<f64>,
}

impl Solved {
    fn of(inverse: DMatrix<f64>, targets: &DMatrix<f64>, labels: &[u16]) -> Option<Self> {
        let coefficients = &inverse * targets;
        let mut said = targets - &coefficients;
        for (image, mut row) in said.row_iter_mut().enumerate() {
            row.copy_from(
                &(targets.row(image) - coefficients.row(image) / inverse[(image, image)]),
            );
        }
        let judged = SHARPNESSES.iter().map(|&sharpness| judge(&said, labels, sharpness));
        let finite = judged.filter(|(loss, _, _)| loss.is_finite());
        let (loss, correct, slopes) = finite.min_by(|one, other| one.0.total_cmp(&other.0))?;
        Some(Self { inverse, coefficients, loss, correct, slopes })
    }

    /// By the standardised features.
    fn gradient(&self, rows: &DMatrix<f64>) -> DMatrix<f64> {
        let Self { inverse, coefficients, slopes, .. } = self;
        let mut of_coefficients = slopes.clone();
        let mut of_diagonal = inverse.clone();
        for (image, mut row) in of_coefficients.row_iter_mut().enumerate() {
            let own = inverse[(image, image)];
            let along = slopes.row(image).dot(&coefficients.row(image)) / (own * own);
            row /= -own;
            of_diagonal.row_mut(image).scale_mut(along);
        }
        // dA = −A⁻¹ (∂α Yᵀ + D) A⁻¹, with ∂α the gradient by the coefficients and D by the diagonal.
        let by_gram =
            -(inverse * of_coefficients) * coefficients.transpose() - inverse * of_diagonal;
        (&by_gram + by_gram.transpose()) * rows
    }
}

/// Mean cross-entropy, right answers, and the gradient of the former by the scores.
fn judge(said: &DMatrix<f64>, labels: &[u16], sharpness: f64) -> (f64, usize, DMatrix<f64>) {
    let (mut loss, mut correct) = (0.0, 0);
    let mut slopes = said.clone();
    let images = labels.len() as f64;
    for (mut row, &label) in slopes.row_iter_mut().zip(labels) {
        let (largest, own) = (row.max(), row[usize::from(label)]);
        correct += usize::from(own >= largest);
        row.apply(|score| *score = (sharpness * (*score - largest)).exp());
        let sum = row.sum();
        loss += (sum.ln() - sharpness * (own - largest)) / images;
        row *= sharpness / (sum * images);
        row[usize::from(label)] -= sharpness / images;
    }
    (loss, correct, slopes)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Features of images in turn of three classes, which differ a little, the last one always the same.
    fn task(images: usize, width: usize) -> (Vec<f32>, Vec<u16>) {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let labels: Vec<u16> = (0..images).map(|image| (image % 3) as u16).collect();
        let features = labels.iter().flat_map(|&label| {
            let values: Vec<f32> = (0..width)
                .map(|at| match at + 1 == width {
                    true => 0.5,
                    false => {
                        let own = 0.4 * f32::from(u8::from(at % 3 == usize::from(label)));
                        own + random.random_range(-1.0..1.0)
                    }
                })
                .collect();
            values
        });
        (features.collect(), labels)
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (images, width) in [(12, 30), (24, 7)] {
            let (features, labels) = task(images, width);
            let loss = |at: usize, by: f32| {
                let mut moved = features.clone();
                moved[at] += by;
                f64::from(LeftOut::of(&moved, &labels, 3).unwrap().loss)
            };
            // The loss is a mean over images; of their sum the slopes are not as small.
            let count = images as f32;
            let gradient = LeftOut::of(&features, &labels, 3).unwrap().gradient;
            let steepest = gradient.iter().fold(0.0_f32, |most, slope| most.max(slope.abs()));
            assert!(count * steepest > 0.02, "{steepest}");
            for (at, slope) in gradient.iter().enumerate().filter(|(at, _)| at % width + 1 < width)
            {
                let numeric = ((loss(at, 5e-3) - loss(at, -5e-3)) / 1e-2) as f32;
                assert_relative_eq!(
                    count * slope,
                    count * numeric,
                    epsilon = 1e-3,
                    max_relative = 2e-2
                );
            }
        }
    }

    #[test]
    fn an_image_is_judged_by_the_head_of_all_others() {
        let (features, labels) = task(12, 6);
        let (_, scaled) = scaled(&features, 12).unwrap();
        let gram = &scaled * scaled.transpose();
        let targets = DMatrix::from_fn(12, 3, |image, class| {
            f64::from(u8::from(usize::from(labels[image]) == class)) - 1.0 / 3.0
        });
        let added = DMatrix::identity(12, 12) * 0.7;
        let inverse = with_bias(Cholesky::of(&gram + &added).unwrap().inverse());
        let coefficients = &inverse * &targets;
        for image in 0..12 {
            let mut others = DMatrix::from_element(12, 12, 1.0);
            let without = (&gram + &added).remove_row(image).remove_column(image);
            others.view_mut((0, 0), (11, 11)).copy_from(&without);
            others[(11, 11)] = 0.0;
            let known = targets.clone().remove_row(image).insert_row(11, 0.0);
            let alone = others.try_inverse().unwrap() * known;
            let products = gram.row(image).into_owned().remove_column(image);
            let said = products.insert_column(11, 1.0) * alone;
            let short = targets.row(image) - coefficients.row(image) / inverse[(image, image)];
            assert_relative_eq!(said, short, epsilon = 1e-9);
        }
    }

    /// With more features than images, centred features alone would tell every label.
    #[test]
    fn noise_tells_nothing() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let labels: Vec<u16> = (0..40).map(|image| image % 2).collect();
        let features: Vec<f32> = (0..40 * 100).map(|_| random.random_range(-1.0..1.0)).collect();
        let left_out = LeftOut::of(&features, &labels, 2).unwrap();
        assert!(left_out.correct <= 28, "{}", left_out.correct);
        assert!(left_out.loss > 0.6, "{}", left_out.loss);
    }

    #[test]
    fn features_that_say_nothing_have_no_head() {
        assert!(LeftOut::of(&[1.0; 8], &[0, 1, 0, 1], 2).is_none());
        assert!(LeftOut::of(&[1.0, f32::NAN], &[0, 1], 2).is_none());
        assert!(LeftOut::of(&[], &[0, 1], 2).is_none());
    }
}
