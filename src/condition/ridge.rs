//! Ridge regression of classes on features, with a penalty that leaving one image out chooses (Hastie,
//! Tibshirani and Friedman 2009, *The Elements of Statistical Learning*, sections 3.4.1 and 7.10).

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::cholesky::Cholesky;

/// Penalties that are tried, beside the mean variance of the features.
const PENALTIES: [f64; 10] = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0];
/// The penalty where no image can be left out: some class has a single one.
const USUAL_PENALTY: f64 = 0.1;
/// Images that are left out in turn.
const LEFT_OUT: usize = 1000;
/// Factors that turn what is regressed into logits. Sharper ones say nothing more, and gradient steps from
/// there are wild.
const SHARPNESSES: [f64; 8] = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0];
/// The factor where no image can be left out.
const USUAL_SHARPNESS: f64 = 8.0;
/// Images whose features are multiplied at a time, in bounded memory.
const CHUNK: usize = 1024;
/// Features of a smaller standard deviation than this share of the mean one are left out: they say nothing
/// but rounding.
const LEAST_DEVIATION: f64 = 1e-5;

/// A linear map from features to logits.
#[derive(Clone, Debug)]
pub(super) struct LinearHead {
    /// `[classes, features]`, row-major.
    pub weights: Vec<f32>,
    /// One for each class; zeros if it was to have none.
    pub biases: Vec<f32>,
    /// Penalty that was chosen, beside the mean variance of the features.
    pub penalty: f64,
    /// Share of the images that are classified right when they are left out, each class counting the
    /// same; `None` where no image can be left out.
    pub left_out_accuracy: Option<f64>,
}

impl LinearHead {
    /// The scores of images, `[images, classes]` row-major, by their features.
    pub fn scores(&self, features: &[f32], width: usize) -> Vec<f32> {
        let of_image = |image: &[f32]| -> Vec<f32> {
            let score = |(weights, bias): (&[f32], &f32)| {
                bias + weights.iter().zip(image).map(|(weight, value)| weight * value).sum::<f32>()
            };
            self.weights.chunks_exact(width).zip(&self.biases).map(score).collect()
        };
        features.chunks_exact(width).flat_map(of_image).collect()
    }
}

/// Labelled features.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features<'a> {
    /// Image by image.
    pub values: &'a [f32],
    /// Class of each image.
    pub labels: &'a [u16],
    /// Number of classes.
    pub classes: usize,
}

impl Features<'_> {
    fn width(&self) -> usize {
        self.values.len() / self.labels.len().max(1)
    }

    fn image(&self, index: usize) -> &[f32] {
        let width = self.width();
        &self.values[index * width..(index + 1) * width]
    }

    /// The head that explains the labels best, each class counting the same. `None` where features are not
    /// finite, all the same, or there are none.
    pub fn ridge(&self, with_bias: bool) -> Option<LinearHead> {
        let (count, width) = (self.labels.len(), self.width());
        if count == 0 || width == 0 || self.values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut of_class = vec![0_usize; self.classes];
        self.labels.iter().for_each(|&label| of_class[usize::from(label)] += 1);
        let present = of_class.iter().filter(|&&images| images > 0).count() as f64;
        let share = |&label: &u16| count as f64 / (present * of_class[usize::from(label)] as f64);
        let importance: Vec<f64> = self.labels.iter().map(share).collect();
        let scale = Scale::of(self, &importance, with_bias)?;
        let system = System::new(self, &importance, &scale, present);
        let leaves_some = of_class.iter().all(|&images| images != 1);
        let choice = match leaves_some {
            true => PENALTIES
                .iter()
                .filter_map(|&penalty| system.solved(penalty)?.left_out(self, &importance))
                .min_by(|one, other| one.loss.total_cmp(&other.loss))?,
            false => system.solved(USUAL_PENALTY)?.unjudged(),
        };
        let present = |class: usize| of_class[class] > 0;
        Some(scale.undone(choice, self.classes, with_bias, present))
    }
}

/// How features are standardised.
struct Scale {
    means: Vec<f64>,
    /// Reciprocals of standard deviations; zero for features that say nothing.
    factors: Vec<f64>,
}

impl Scale {
    /// `None` if no feature differs from image to image.
    fn of(features: &Features, importance: &[f64], centred: bool) -> Option<Self> {
        let width = features.width();
        let total: f64 = importance.iter().sum();
        let mean = |of: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; width];
            for (index, weight) in importance.iter().enumerate() {
                for (at, (sum, &value)) in sums.iter_mut().zip(features.image(index)).enumerate() {
                    *sum += weight * of(at, f64::from(value));
                }
            }
            sums.iter_mut().for_each(|sum| *sum /= total);
            sums
        };
        let means = if centred { mean(&|_, value| value) } else { vec![0.0; width] };
        let deviations = mean(&|at, value| (value - means[at]).powi(2));
        let deviations: Vec<f64> = deviations.into_iter().map(f64::sqrt).collect();
        let least = LEAST_DEVIATION * deviations.iter().sum::<f64>() / width as f64;
        let factor = |deviation: f64| if deviation > least { 1.0 / deviation } else { 0.0 };
        let factors: Vec<f64> = deviations.into_iter().map(factor).collect();
        factors.iter().any(|&factor| factor > 0.0).then_some(Self { means, factors })
    }

    /// The head for features as they are.
    fn undone(
        &self,
        choice: Choice,
        classes: usize,
        with_bias: bool,
        present: impl Fn(usize) -> bool,
    ) -> LinearHead {
        let Choice { coefficients, sharpness, penalty, left_out_accuracy, .. } = choice;
        let width = self.means.len();
        let mut weights = Vec::with_capacity(classes * width);
        let mut biases = Vec::with_capacity(classes);
        for class in 0..classes {
            let mut bias = 0.0;
            for (at, factor) in self.factors.iter().enumerate() {
                let weight = sharpness * coefficients[(at, class)] * factor;
                bias -= weight * self.means[at];
                weights.push(weight as f32);
            }
            // A class without images is what nothing is.
            let bias = if present(class) { bias } else { -sharpness };
            biases.push(if with_bias { bias as f32 } else { 0.0 });
        }
        LinearHead { weights, biases, penalty, left_out_accuracy }
    }
}

/// The normal equations: of features where there are more images, of images otherwise.
struct System {
    /// XᵀX or XXᵀ.
    gram: DMatrix<f64>,
    /// XᵀY or Y.
    right: DMatrix<f64>,
    /// Standardised features of all images, where the equations are of images, else of those that are left
    /// out in turn: an image is a column.
    columns: DMatrix<f64>,
    /// Targets of images that are left out in turn: an image is a row.
    targets: DMatrix<f64>,
    of_images: bool,
}

impl System {
    fn new(features: &Features, importance: &[f64], scale: &Scale, present: f64) -> Self {
        let (count, width) = (features.labels.len(), features.width());
        let row = |index: usize| {
            let root = importance[index].sqrt();
            let standard = move |((value, mean), factor): ((&f32, &f64), &f64)| {
                root * (f64::from(*value) - mean) * factor
            };
            features.image(index).iter().zip(&scale.means).zip(&scale.factors).map(standard)
        };
        let of_range = |images: std::ops::Range<usize>| {
            DMatrix::from_iterator(width, images.len(), images.flat_map(row))
        };
        let target = |index: usize, class: usize| {
            let own = f64::from(u8::from(usize::from(features.labels[index]) == class));
            importance[index].sqrt() * (own - 1.0 / present)
        };
        let of_images = count < width;
        let judged = count.min(LEFT_OUT);
        let targets = DMatrix::from_fn(judged, features.classes, target);
        if of_images {
            let columns = of_range(0..count);
            let gram = product(&columns.transpose(), &columns);
            let right = DMatrix::from_fn(count, features.classes, target);
            return Self { gram, right, columns, targets, of_images };
        }
        let mut gram = DMatrix::zeros(width, width);
        let mut right = DMatrix::zeros(width, features.classes);
        for start in (0..count).step_by(CHUNK) {
            let images = start..count.min(start + CHUNK);
            let own = DMatrix::from_fn(images.len(), features.classes, |row, class| {
                target(start + row, class)
            });
            let columns = of_range(images);
            right.gemm(1.0, &columns, &own, 1.0);
            gram += product(&columns, &columns.transpose());
        }
        Self { gram, right, columns: of_range(0..judged), targets, of_images }
    }

    /// With a penalty, beside the mean of the diagonal. `None` where that does not suffice for a solution.
    fn solved(&self, penalty: f64) -> Option<Solution<'_>> {
        let size = self.gram.nrows();
        let mut gram = self.gram.clone();
        let added = penalty * self.gram.trace() / size as f64;
        (0..size).for_each(|at| gram[(at, at)] += added);
        let factor = Cholesky::of(gram)?;
        let solution = factor.solve(&self.right);
        Some(Solution { system: self, penalty, factor, solution })
    }
}

/// A product, its columns in parallel.
fn product(one: &DMatrix<f64>, other: &DMatrix<f64>) -> DMatrix<f64> {
    let (rows, columns) = (one.nrows(), other.ncols());
    let mut out = DMatrix::zeros(rows, columns);
    let step = columns.div_ceil(rayon::current_num_threads()).max(1);
    let parts = out.as_mut_slice().par_chunks_mut(rows * step).enumerate();
    parts.for_each(|(part, values)| {
        let wide = values.len() / rows;
        let mut values = nalgebra::DMatrixViewMut::from_slice(values, rows, wide);
        values.gemm(1.0, one, &other.columns(part * step, wide), 0.0);
    });
    out
}

/// The solution for a penalty.
struct Solution<'a> {
    system: &'a System,
    penalty: f64,
    factor: Cholesky,
    solution: DMatrix<f64>,
}

/// A solution that was judged.
struct Choice {
    /// `[features, classes]`, of standardised features.
    coefficients: DMatrix<f64>,
    sharpness: f64,
    penalty: f64,
    left_out_accuracy: Option<f64>,
    /// Mean cross-entropy of images that are left out, in nats.
    loss: f64,
}

impl Solution<'_> {
    fn coefficients(&self) -> DMatrix<f64> {
        match self.system.of_images {
            true => &self.system.columns * &self.solution,
            false => self.solution.clone(),
        }
    }

    fn unjudged(self) -> Choice {
        let coefficients = self.coefficients();
        let sharpness = USUAL_SHARPNESS;
        let (penalty, left_out_accuracy, loss) = (self.penalty, None, f64::NAN);
        Choice { coefficients, sharpness, penalty, left_out_accuracy, loss }
    }

    /// Judged by what it says of each image when that is left out, without solving again.
    fn left_out(self, features: &Features, importance: &[f64]) -> Option<Choice> {
        let system = self.system;
        let judged = system.targets.nrows();
        let mut said = match system.of_images {
            true => {
                let unit = DMatrix::identity(system.gram.nrows(), judged);
                let inverse = self.factor.half_solve(&unit);
                let residual = |row: usize, class: usize| {
                    self.solution[(row, class)] / inverse.column(row).norm_squared()
                };
                &system.targets - DMatrix::from_fn(judged, features.classes, residual)
            }
            false => {
                let fitted = system.columns.tr_mul(&self.solution);
                let leverages = self.factor.half_solve(&system.columns);
                let leverages: DVector<f64> =
                    DVector::from_fn(judged, |row, _| leverages.column(row).norm_squared());
                let residual = |row: usize, class: usize| {
                    let left = system.targets[(row, class)] - fitted[(row, class)];
                    left / (1.0 - leverages[row]).max(1e-9)
                };
                &system.targets - DMatrix::from_fn(judged, features.classes, residual)
            }
        };
        for (row, mut values) in said.row_iter_mut().enumerate() {
            values /= importance[row].sqrt();
        }
        let judge = |sharpness: f64| judged_by(&said, features.labels, importance, sharpness);
        let judged = SHARPNESSES.iter().map(|&sharpness| (sharpness, judge(sharpness)));
        let best = judged.filter(|(_, (loss, _))| loss.is_finite());
        let (sharpness, (loss, accuracy)) =
            best.min_by(|(_, one), (_, other)| one.0.total_cmp(&other.0))?;
        let coefficients = self.coefficients();
        let left_out_accuracy = Some(accuracy);
        Some(Choice { coefficients, sharpness, penalty: self.penalty, left_out_accuracy, loss })
    }
}

/// Mean cross-entropy and accuracy of rows of scores, the images weighted.
fn judged_by(
    scores: &DMatrix<f64>,
    labels: &[u16],
    importance: &[f64],
    sharpness: f64,
) -> (f64, f64) {
    let (mut loss, mut right, mut total) = (0.0, 0.0, 0.0);
    for ((row, &label), weight) in scores.row_iter().zip(labels).zip(importance) {
        let largest = row.max();
        let sum: f64 = row.iter().map(|score| (sharpness * (score - largest)).exp()).sum();
        let own = row[usize::from(label)];
        loss += weight * (sum.ln() - sharpness * (own - largest));
        right += if own >= largest { *weight } else { 0.0 };
        total += weight;
    }
    (loss / total, right / total)
}
