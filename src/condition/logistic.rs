//! Multinomial logistic regression of classes on features, with a penalty that left-out images choose (Hastie,
//! Tibshirani and Friedman 2009, *The Elements of Statistical Learning*, sections 4.4 and 7.10). The
//! curvature has a bound that no step changes, ½ Σ z zᵀ (Böhning 1992, *Multinomial logistic regression
//! algorithm*), so that one factorisation serves all steps, which are accelerated (Nesterov 1983).

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::cholesky::Cholesky;

/// Penalties that are tried, the largest first.
const PENALTIES: [f64; 7] = [3.0, 1.0, 3e-1, 1e-1, 3e-2, 1e-2, 1e-3];
/// The penalty where no image can be left out: some class has a single one.
const USUAL_PENALTY: f64 = 0.1;
/// Parts of the images, each of which is left out in turn.
const FOLDS: usize = 5;
/// More images than these have a single fold left out.
const FEW: usize = 500;
/// Images that choose the penalty, the first.
const CHOOSING: usize = 5000;
/// Most steps towards the best head.
const STEPS: usize = 100;
/// Length of a gradient, beside that of a head of zeros, at which a head is the best one.
const SHORT: f64 = 1e-3;
/// Images whose scores are computed at a time.
const CHUNK: usize = 256;
/// Features of a smaller standard deviation than this share of the mean one are left out: they say nothing
/// but rounding.
const LEAST_DEVIATION: f64 = 1e-5;
/// The score of a class without images where there is a bias.
const ABSENT: f32 = -10.0;

/// A linear map from features to logits.
#[derive(Clone, Debug)]
pub(super) struct LinearHead {
    /// `[classes, features]`, row-major.
    pub weights: Vec<f32>,
    /// One for each class; zeros if it was to have none.
    pub biases: Vec<f32>,
    /// Penalty on the squares of the weights of standardised features, for each image.
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

    /// The head that makes the labels likeliest, each class counting the same. `None` where features are not
    /// finite, all the same, or there are none.
    pub fn head(&self, with_bias: bool) -> Option<LinearHead> {
        let (count, width) = (self.labels.len(), self.width());
        if count == 0 || width == 0 || self.values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut of_class = vec![0_usize; self.classes];
        self.labels.iter().for_each(|&label| of_class[usize::from(label)] += 1);
        let present: Vec<usize> = (0..self.classes).filter(|&class| of_class[class] > 0).collect();
        let share = |&label: &u16| {
            (count as f64 / (present.len() * of_class[usize::from(label)]) as f64) as f32
        };
        let importance: Vec<f32> = self.labels.iter().map(share).collect();
        let scale = Scale::of(self, &importance, with_bias)?;
        let (images, way_back) = coordinates(self, &scale, with_bias)?;
        let place = |label: &u16| present.iter().position(|&it| it == usize::from(*label));
        let labels = self.labels.iter().filter_map(place).collect();
        let problem = Problem { images, labels, importance, classes: present.len(), with_bias };
        let leaves_some = of_class.iter().all(|&images| images != 1);
        let choice = if leaves_some { problem.choose()? } else { (USUAL_PENALTY, None) };
        let (penalty, left_out_accuracy) = choice;
        let solution = problem.curvature().solved(&problem, penalty, None)?;
        let (coefficients, biases) = way_back.follow(&solution, with_bias);
        let mut head = LinearHead {
            weights: vec![0.0; self.classes * width],
            biases: vec![if with_bias { ABSENT } else { 0.0 }; self.classes],
            penalty,
            left_out_accuracy,
        };
        for (row, &class) in present.iter().enumerate() {
            let mut bias = biases[row];
            let weights = &mut head.weights[class * width..(class + 1) * width];
            for (at, weight) in weights.iter_mut().enumerate() {
                let own = coefficients[(at, row)] * scale.factors[at];
                bias -= own * scale.means[at];
                *weight = own as f32;
            }
            head.biases[class] = if with_bias { bias as f32 } else { 0.0 };
        }
        Some(head)
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
    fn of(features: &Features, importance: &[f32], centred: bool) -> Option<Self> {
        let width = features.width();
        let total: f64 = importance.iter().map(|&it| f64::from(it)).sum();
        let mean = |of: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; width];
            for (image, &weight) in features.values.chunks_exact(width).zip(importance) {
                for (at, (sum, &value)) in sums.iter_mut().zip(image).enumerate() {
                    *sum += f64::from(weight) * of(at, f64::from(value));
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
}

/// Images, a column for each, by standardised features, or, where these are more than the images, by as
/// many numbers as there are images, with the same inner products. A one stands behind them where there is a
/// bias. `None` where images are too much alike for that.
fn coordinates(
    features: &Features,
    scale: &Scale,
    with_bias: bool,
) -> Option<(DMatrix<f32>, WayBack)> {
    let (count, width) = (features.labels.len(), features.width());
    let ones = usize::from(with_bias);
    let standard = |at: usize, image: usize| {
        let value = f64::from(features.values[image * width + at]);
        (value - scale.means[at]) * scale.factors[at]
    };
    if count >= width {
        let coordinate = |at, image| if at == width { 1.0 } else { standard(at, image) as f32 };
        return Some((DMatrix::from_fn(width + ones, count, coordinate), WayBack::Short));
    }
    let columns = DMatrix::from_fn(width, count, standard);
    let mut products = columns.tr_mul(&columns);
    let least = 1e-6 * products.trace() / count as f64;
    (0..count).for_each(|at| products[(at, at)] += least);
    let factor = Cholesky::of(products)?;
    let lower = factor.lower();
    let images = DMatrix::from_fn(count + ones, count, |at, image| match at {
        at if at == count => 1.0,
        at if at <= image => lower[(image, at)] as f32,
        _ => 0.0,
    });
    Some((images, WayBack::Long { columns, factor }))
}

/// From a head for coordinates to one for standardised features.
enum WayBack {
    /// They are the same.
    Short,
    Long {
        /// Standardised features, a column for each image.
        columns: DMatrix<f64>,
        /// Of their inner products.
        factor: Cholesky,
    },
}

impl WayBack {
    /// Coefficients, `[features, classes]`, and biases.
    fn follow(&self, head: &DMatrix<f64>, with_bias: bool) -> (DMatrix<f64>, Vec<f64>) {
        let rows = head.nrows() - usize::from(with_bias);
        let biases = match with_bias {
            true => head.row(rows).iter().copied().collect(),
            false => vec![0.0; head.ncols()],
        };
        let coefficients = head.rows(0, rows).into_owned();
        match self {
            Self::Short => (coefficients, biases),
            Self::Long { columns, factor } => (columns * factor.second_solve(coefficients), biases),
        }
    }
}

/// Images and what is to be said of them.
struct Problem {
    /// A column for each image.
    images: DMatrix<f32>,
    labels: Vec<usize>,
    /// What each image counts.
    importance: Vec<f32>,
    classes: usize,
    with_bias: bool,
}

impl Problem {
    /// The penalty that makes images likeliest that are left out, and the share of these that is classified
    /// right.
    fn choose(&self) -> Option<(f64, Option<f64>)> {
        let folds = self.folds();
        let mut starts: Vec<Option<DMatrix<f64>>> = vec![None; folds.len()];
        let curvatures: Vec<Curvature> =
            folds.iter().map(|[fitted, _]| fitted.curvature()).collect();
        let mut best: Option<(f64, f64, f64)> = None;
        for penalty in PENALTIES {
            let (mut loss, mut right, mut total) = (0.0, 0.0, 0.0);
            for (([fitted, left_out], curvature), start) in
                folds.iter().zip(&curvatures).zip(&mut starts)
            {
                let solution = curvature.solved(fitted, penalty, start.take())?;
                let judged = left_out.judge(&solution, false);
                loss += judged.loss;
                right += judged.right;
                total += judged.total;
                *start = Some(solution);
            }
            if best.is_some_and(|(least, ..)| loss >= least) {
                break;
            }
            best = Some((loss, penalty, right / total));
        }
        best.map(|(_, penalty, accuracy)| (penalty, Some(accuracy)))
    }

    /// Images to fit to and images that are left out, of every class a part.
    fn folds(&self) -> Vec<[Self; 2]> {
        let mut of_class = vec![0_usize; self.classes];
        let first = self.labels.iter().take(CHOOSING);
        let fold: Vec<usize> = first
            .map(|&label| {
                of_class[label] += 1;
                (of_class[label] - 1) % FOLDS
            })
            .collect();
        let folds = if self.labels.len() <= FEW { FOLDS } else { 1 };
        let part = |number: usize, left_out: bool| {
            let picked: Vec<usize> =
                (0..fold.len()).filter(|&at| (fold[at] == number) == left_out).collect();
            self.of(&picked)
        };
        (0..folds).map(|number| [part(number, false), part(number, true)]).collect()
    }

    fn of(&self, picked: &[usize]) -> Self {
        Self {
            images: self.images.select_columns(picked),
            labels: picked.iter().map(|&at| self.labels[at]).collect(),
            importance: picked.iter().map(|&at| self.importance[at]).collect(),
            ..*self
        }
    }

    fn curvature(&self) -> Curvature {
        let size = self.images.nrows();
        let chunks = (0..self.labels.len()).step_by(CHUNK).collect::<Vec<_>>();
        let parts: Vec<DMatrix<f32>> = chunks
            .into_par_iter()
            .map(|start| {
                let mut images = self.images.columns(start, self.chunk(start)).into_owned();
                let weights = &self.importance[start..];
                let columns = images.column_iter_mut().zip(weights);
                columns.for_each(|(mut column, weight)| column *= weight.sqrt());
                &images * images.transpose()
            })
            .collect();
        let mut bound = DMatrix::<f64>::zeros(size, size);
        for part in parts {
            bound.zip_apply(&part, |sum, part| *sum += 0.5 * f64::from(part));
        }
        let zeros = DMatrix::zeros(size, self.classes);
        Curvature { bound, reference: self.judge(&zeros, true).gradient.norm() }
    }

    /// Images from one on that are computed at a time.
    fn chunk(&self, start: usize) -> usize {
        CHUNK.min(self.labels.len() - start)
    }

    /// What a head says of the images, without its penalty.
    fn judge(&self, head: &DMatrix<f64>, wants_gradient: bool) -> Judged {
        let transposed: DMatrix<f32> = head.transpose().map(|value| value as f32);
        let chunks: Vec<usize> = (0..self.labels.len()).step_by(CHUNK).collect();
        let judge = |start: usize| {
            let images = self.images.columns(start, self.chunk(start));
            let mut scores = &transposed * images;
            let (mut loss, mut right, mut total) = (0.0, 0.0, 0.0);
            for (at, mut column) in scores.column_iter_mut().enumerate() {
                let (label, weight) = (self.labels[start + at], self.importance[start + at]);
                let (largest, own) = (column.max(), column[label]);
                column.apply(|score| *score = (*score - largest).exp());
                let sum = column.sum();
                loss += f64::from(weight * (sum.ln() - (own - largest)));
                right += if own >= largest { f64::from(weight) } else { 0.0 };
                total += f64::from(weight);
                column *= weight / sum;
                column[label] -= weight;
            }
            let gradient = wants_gradient.then(|| images * scores.transpose());
            (loss, right, total, gradient)
        };
        let parts: Vec<_> = chunks.into_par_iter().map(judge).collect();
        let gradient = DMatrix::zeros(head.nrows(), head.ncols());
        let mut judged = Judged { loss: 0.0, right: 0.0, total: 0.0, gradient };
        for (loss, right, total, gradient) in parts {
            judged.loss += loss;
            judged.right += right;
            judged.total += total;
            if let Some(part) = gradient {
                judged.gradient.zip_apply(&part, |sum, part| *sum += f64::from(part));
            }
        }
        judged
    }
}

/// Sums over images, each counting what it counts.
struct Judged {
    /// Cross-entropy, in nats.
    loss: f64,
    /// What the images count that are classified right.
    right: f64,
    /// What all images count.
    total: f64,
    /// Of the loss by the head.
    gradient: DMatrix<f64>,
}

/// A bound on the curvature of the loss in the head of each class, without its penalty.
struct Curvature {
    bound: DMatrix<f64>,
    /// Length of the gradient of a head of zeros.
    reference: f64,
}

impl Curvature {
    /// The best head for a penalty, from a start on. `None` where the penalty does not suffice for one.
    fn solved(
        &self,
        problem: &Problem,
        penalty: f64,
        start: Option<DMatrix<f64>>,
    ) -> Option<DMatrix<f64>> {
        let size = self.bound.nrows();
        let learned = size - usize::from(problem.with_bias);
        let added = penalty * problem.importance.iter().map(|&it| f64::from(it)).sum::<f64>();
        let penalties = DVector::from_fn(size, |at, _| if at < learned { added } else { 0.0 });
        let mut bound = self.bound.clone();
        (0..size).for_each(|at| bound[(at, at)] += penalties[at]);
        let factor = Cholesky::of(bound)?;
        let mut head = start.unwrap_or_else(|| DMatrix::zeros(size, problem.classes));
        let mut ahead = head.clone();
        let mut momentum = 1.0_f64;
        for _ in 0..STEPS {
            let mut gradient = problem.judge(&ahead, true).gradient;
            for (mut row, (own, penalty)) in
                gradient.row_iter_mut().zip(ahead.row_iter().zip(penalties.iter()))
            {
                row += own * *penalty;
            }
            if gradient.norm() <= SHORT * self.reference {
                break;
            }
            let next = &ahead - factor.solve(&gradient);
            // Where it overshoots, speed is lost.
            if gradient.dot(&(&next - &head)) > 0.0 {
                momentum = 1.0;
            }
            let faster = (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0;
            ahead = &next + (&next - &head) * ((momentum - 1.0) / faster);
            (head, momentum) = (next, faster);
        }
        head.iter().all(|value| value.is_finite()).then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Features of images of three classes, of the first class four times as many.
    fn labelled(images: usize, width: usize) -> (Vec<f32>, Vec<u16>) {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let labels: Vec<u16> = (0..images).map(|it| [0, 0, 0, 0, 1, 2][it % 6]).collect();
        let mut values = Vec::new();
        for &label in &labels {
            values.extend((0..width).map(|at| {
                let own = f32::from(u8::from(at % 3 == usize::from(label)));
                own + random.random_range(-1.5..1.5) + 5.0
            }));
        }
        (values, labels)
    }

    fn accuracy(head: &LinearHead, values: &[f32], labels: &[u16]) -> f64 {
        let scores = head.scores(values, values.len() / labels.len());
        let right = scores
            .chunks_exact(head.biases.len())
            .zip(labels)
            .filter(|(row, label)| row.iter().all(|score| *score <= row[usize::from(**label)]));
        right.count() as f64 / labels.len() as f64
    }

    #[test]
    fn a_head_tells_other_images_apart_and_knows_how_well() {
        let (values, labels) = labelled(1200, 12);
        let (fitted, other) = values.split_at(600 * 12);
        let features = Features { values: fitted, labels: &labels[..600], classes: 3 };
        let head = features.head(true).unwrap();
        let own = accuracy(&head, other, &labels[600..]);
        assert!(own > 0.75, "{own}");
        assert_abs_diff_eq!(head.left_out_accuracy.unwrap(), own, epsilon = 0.12);
        // Every class counts the same, however many images it has.
        let rare = |at: &usize| labels[600 + at] != 0;
        let rare: Vec<usize> = (0..600).filter(rare).collect();
        let images: Vec<f32> =
            rare.iter().flat_map(|at| &other[at * 12..(at + 1) * 12]).copied().collect();
        let of_rare: Vec<u16> = rare.iter().map(|at| labels[600 + at]).collect();
        assert!(accuracy(&head, &images, &of_rare) > 0.7);
    }

    #[test]
    fn nothing_near_the_solution_is_better() {
        for (images, width) in [(60, 5), (24, 40)] {
            let (values, labels) = labelled(images, width);
            let features = Features { values: &values, labels: &labels, classes: 3 };
            let importance = vec![1.0; images];
            let scale = Scale::of(&features, &importance, true).unwrap();
            let (images, _) = coordinates(&features, &scale, true).unwrap();
            let labels = labels.iter().map(|&label| usize::from(label)).collect();
            let problem = Problem { images, labels, importance, classes: 3, with_bias: true };
            let curvature = problem.curvature();
            let solution = curvature.solved(&problem, 0.1, None).unwrap();
            let rows = solution.nrows() - 1;
            let count = problem.labels.len() as f64;
            let objective = |head: &DMatrix<f64>| {
                let penalty = 0.1 * count * head.rows(0, rows).norm_squared() / 2.0;
                problem.judge(head, false).loss + penalty
            };
            let least = objective(&solution);
            let mut random = ChaCha8Rng::seed_from_u64(2);
            for _ in 0..20 {
                let moved = solution.map(|value| value + random.random_range(-0.05..0.05));
                assert!(objective(&moved) > least - 1e-4 * least);
            }
        }
    }

    #[test]
    fn more_features_than_images_are_no_other_problem() {
        let (values, labels) = labelled(30, 20);
        let head =
            |values: &[f32]| Features { values, labels: &labels, classes: 3 }.head(true).unwrap();
        // The same features with others that say nothing.
        let dead = |image: &[f32]| [image, &[3.0; 40]].concat();
        let wide: Vec<f32> = values.chunks_exact(20).flat_map(dead).collect();
        let (narrow_head, wide_head) = (head(&values), head(&wide));
        assert_abs_diff_eq!(narrow_head.penalty, wide_head.penalty);
        let (ours, theirs) = (narrow_head.scores(&values, 20), wide_head.scores(&wide, 60));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_abs_diff_eq!(ours, theirs, epsilon = 0.02);
        }
    }

    #[test]
    fn heads_without_bias_absent_classes_and_single_images() {
        let (values, labels) = labelled(60, 6);
        let features = Features { values: &values, labels: &labels, classes: 5 };
        let head = features.head(false).unwrap();
        assert!(head.biases.iter().all(|&bias| bias == 0.0));
        let head = features.head(true).unwrap();
        assert_eq!(head.biases[3..], [ABSENT; 2]);
        assert!(head.weights[18..].iter().all(|&weight| weight == 0.0));
        let single = Features { values: &values[..18], labels: &[0, 1, 2], classes: 3 };
        let head = single.head(true).unwrap();
        assert_eq!((head.left_out_accuracy, head.penalty), (None, USUAL_PENALTY));
        assert_eq!(accuracy(&head, &values[..18], &[0, 1, 2]), 1.0);
    }

    #[test]
    fn features_that_say_nothing_have_no_head() {
        let head = |values: &[f32], labels: &[u16]| {
            Features { values, labels, classes: 2 }.head(true).is_some()
        };
        assert!(!head(&[1.0, 1.0], &[0, 1]));
        assert!(!head(&[1.0, f32::NAN], &[0, 1]));
        assert!(!head(&[], &[]));
        assert!(head(&[1.0, 2.0, 1.1, 2.1], &[0, 1, 0, 1]));
    }
}
