//! A ranking refined by trained accuracies of the pool itself.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use crate::rank::OperatorPaths;

use super::{
    kernels::{Embedding, KERNELS, Pool},
    pool::{standings, unit},
};

/// Fewest labels that refine a ranking.
pub const FEWEST_LABELS: usize = 8;

/// Variance that nothing explains, noise of training, beside the 1 that kernels share at the start.
const NOISE: f64 = 0.3;
/// Updates of the variance components. More of them fit few labels better and other graphs worse.
const UPDATES: usize = 8;
/// From how many deviations on it does not matter how bad a network is.
const FAR: f64 = 2.5;

/// What graphs are expected to reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Refined {
    /// Larger is better; the labelled graphs have mean 0 and variance 1.
    pub mean: Vec<f64>,
    /// Standard deviation of it.
    pub deviation: Vec<f64>,
}

/// Refines a ranking by a Gaussian process: `learned` is the score of every graph, `counts` the standings by
/// everything that is counted, `paths` what graphs are made of (empty where that is not to count), `labels` graphs
/// with their accuracies. How much each kernel explains is learned from the labels. `None` of fewer than
/// [`FEWEST_LABELS`], or of labels that are all the same.
pub fn refine(
    learned: &[f64],
    counts: &[Vec<f64>],
    paths: &[&OperatorPaths],
    labels: &[(usize, f64)],
) -> Option<Refined> {
    if labels.len() < FEWEST_LABELS {
        return None;
    }
    let accuracies: Vec<f64> = labels.iter().map(|(_, accuracy)| *accuracy).collect();
    let targets = DVector::from_vec(targets(&accuracies)?);
    let pool = Pool::new(learned, counts, paths);
    let own: Vec<Embedding> = labels.iter().map(|(graph, _)| pool.embedding(*graph)).collect();
    let process = Process::of(&own, &targets)?;
    let expected = (0..learned.len()).map(|graph| process.expected(&pool.embedding(graph), &own));
    let (mean, deviation) = expected.unzip();
    Some(Refined { mean, deviation })
}

/// What the process is fitted to: half by who is first, half by how far apart networks are.
fn targets(accuracies: &[f64]) -> Option<Vec<f64>> {
    let order = standings(&accuracies.iter().copied().map(Some).collect::<Vec<_>>());
    let far = unit(accuracies)?.into_iter().map(|it| it.clamp(-FAR, FAR));
    unit(&unit(&order)?.iter().zip(far).map(|(order, far)| order + far).collect::<Vec<_>>())
}

/// The process, given the labels.
struct Process {
    /// How much variance each kernel explains.
    components: [f64; KERNELS],
    factor: Cholesky<f64, Dyn>,
    solved: DVector<f64>,
}

impl Process {
    /// Variance components of the greatest likelihood are approached by the multiplicative updates of Zhou et al.
    /// (2019, MM algorithms for variance components models).
    fn of(own: &[Embedding], targets: &DVector<f64>) -> Option<Self> {
        let count = own.len();
        let mut kernels = vec![DMatrix::zeros(count, count); KERNELS];
        for (row, left) in own.iter().enumerate() {
            for (column, right) in own[..=row].iter().enumerate() {
                for (kernel, value) in kernels.iter_mut().zip(left.kernels(right)) {
                    kernel[(row, column)] = value;
                    kernel[(column, row)] = value;
                }
            }
        }
        let mut components = [1.0 / KERNELS as f64; KERNELS];
        let mut noise = NOISE;
        let factor = |components: &[f64; KERNELS], noise: f64| {
            let mut covariance = DMatrix::from_diagonal_element(count, count, noise);
            for (kernel, share) in kernels.iter().zip(components) {
                covariance += kernel * *share;
            }
            covariance.cholesky()
        };
        for _ in 0..UPDATES {
            let inverse = factor(&components, noise)?.inverse();
            let solved = &inverse * targets;
            for (share, kernel) in components.iter_mut().zip(&kernels) {
                *share *= gain(solved.dot(&(kernel * &solved)), inverse.dot(kernel));
            }
            // A little noise is always left, so that equal graphs may have other labels.
            noise = (noise * gain(solved.norm_squared(), inverse.trace())).max(1e-4);
        }
        let factor = factor(&components, noise)?;
        let solved = factor.solve(targets);
        Some(Self { components, factor, solved })
    }

    /// Mean and standard deviation of what a graph reaches, beside the labelled ones.
    fn expected(&self, graph: &Embedding, own: &[Embedding]) -> (f64, f64) {
        let beside = own.iter().map(|other| self.covariance(graph, other));
        let beside = DVector::from_iterator(own.len(), beside);
        let explained = beside.dot(&self.factor.solve(&beside));
        let left = self.covariance(graph, graph) - explained;
        (beside.dot(&self.solved), left.max(0.0).sqrt())
    }

    fn covariance(&self, left: &Embedding, right: &Embedding) -> f64 {
        left.kernels(right).iter().zip(&self.components).map(|(it, share)| it * share).sum()
    }
}

/// By what a variance component grows: nothing where its kernel is zero.
fn gain(explained: f64, expected: f64) -> f64 {
    if expected > 1e-12 { (explained / expected).max(0.0).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::metrics::kendall;

    /// Standings of a pool in which the second of two columns decides, while the ranking goes by the first.
    fn pool() -> (Vec<Vec<f64>>, Vec<f64>) {
        let column = |step: usize| -> Vec<Option<f64>> {
            (0..60).map(|graph| Some((graph * step % 61) as f64)).collect()
        };
        let columns = vec![standings(&column(7)), standings(&column(23))];
        let accuracies = columns[1].iter().map(|at| 90.0 + at).collect();
        (columns, accuracies)
    }

    #[test]
    fn labels_correct_a_ranking() {
        let (columns, accuracies) = pool();
        let labels: Vec<(usize, f64)> =
            (0..60).step_by(3).map(|graph| (graph, accuracies[graph])).collect();
        let refined = refine(&columns[0], &columns, &[], &labels).unwrap();
        let before = kendall(&columns[0], &accuracies);
        assert!(before < 0.3 && kendall(&refined.mean, &accuracies) > 0.85, "{before}");
        let mean = |labelled: bool| {
            let own = (0..60).filter(|graph| (graph % 3 == 0) == labelled);
            own.map(|graph| refined.deviation[graph]).sum::<f64>()
                / if labelled { 20.0 } else { 40.0 }
        };
        assert!(mean(true) < mean(false), "{} {}", mean(true), mean(false));
    }

    #[test]
    fn what_graphs_are_made_of_tells_what_counts_do_not() {
        let paths: Vec<OperatorPaths> = (0..60)
            .map(|graph: u32| {
                let mut paths = OperatorPaths::default();
                paths.kinds[2] = [(1, 1 + graph % 4), (2, 1 + graph % 3)].into();
                paths
            })
            .collect();
        let paths: Vec<&OperatorPaths> = paths.iter().collect();
        let (columns, _) = pool();
        let accuracies: Vec<f64> =
            (0..60).map(|graph| f64::from(graph % 4) - 0.4 * f64::from(graph % 3)).collect();
        let labels: Vec<(usize, f64)> =
            (0..60).step_by(2).map(|graph| (graph, accuracies[graph])).collect();
        let tau = |paths: &[&OperatorPaths]| {
            let refined = refine(&columns[0], &columns, paths, &labels).unwrap();
            kendall(&refined.mean, &accuracies)
        };
        assert!(tau(&[]) < 0.6 && tau(&paths) > 0.8, "{} {}", tau(&[]), tau(&paths));
    }

    #[test]
    fn too_few_or_equal_labels_refine_nothing() {
        let (columns, accuracies) = pool();
        let labels: Vec<(usize, f64)> = (0..7).map(|graph| (graph, accuracies[graph])).collect();
        assert_eq!(refine(&columns[0], &columns, &[], &labels), None);
        let equal: Vec<(usize, f64)> = (0..20).map(|graph| (graph, 90.0)).collect();
        assert_eq!(refine(&columns[0], &columns, &[], &equal), None);
    }
}
