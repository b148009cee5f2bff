//! A ranking refined by trained accuracies of the pool itself.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use super::pool::standings;

/// Fewest labels that refine a ranking.
pub const FEWEST_LABELS: usize = 8;

/// A prior: how much of the accuracies each part explains, and how smooth the rest is.
#[derive(Clone, Copy, Debug)]
struct Prior {
    /// By the learned ranking.
    learned: f64,
    /// By some other linear ranking of the same standings.
    linear: f64,
    /// By a smooth function of them.
    smooth: f64,
    /// How far apart graphs are that it tells apart, in standings.
    reach: f64,
    /// By nothing: noise of training.
    noise: f64,
}

/// What graphs are expected to reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Refined {
    /// In units of the labels' standings; larger is better.
    pub mean: Vec<f64>,
    /// Standard deviation of it.
    pub deviation: Vec<f64>,
}

/// Refines a ranking by a Gaussian process on standings: `learned` is the score of every graph, `columns` the
/// standings by everything that is counted, `labels` graphs with their accuracies. The prior is the one
/// under which the labels are likeliest. `None` of fewer than [`FEWEST_LABELS`], or of labels that are all
/// the same.
pub fn refine(learned: &[f64], columns: &[Vec<f64>], labels: &[(usize, f64)]) -> Option<Refined> {
    if labels.len() < FEWEST_LABELS {
        return None;
    }
    let targets = standings(&labels.iter().map(|(_, label)| Some(*label)).collect::<Vec<_>>());
    let targets = DVector::from_vec(unit(&targets)?);
    let learned = unit(learned).unwrap_or_else(|| vec![0.0; learned.len()]);
    let graphs = learned.len();
    let at = |graph: usize| columns.iter().map(move |column| column[graph]);
    let scale = columns.len().max(1) as f64;
    let parts = |left: usize, right: usize| Parts {
        learned: learned[left] * learned[right],
        linear: at(left).zip(at(right)).map(|(a, b)| a * b).sum::<f64>() / scale,
        apart: at(left).zip(at(right)).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / scale,
    };
    let own: Vec<usize> = labels.iter().map(|(graph, _)| *graph).collect();
    let within = |left: usize, right: usize| parts(own[left], own[right]);
    let likeliest = priors().filter_map(|prior| {
        let process = Process::of(prior, &within, &targets)?;
        Some((process.likelihood, process))
    });
    let (_, process) = likeliest.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    let expected = (0..graphs).map(|graph| {
        let beside = own.iter().map(|&other| parts(graph, other).covariance(process.prior));
        let beside = DVector::from_iterator(own.len(), beside);
        let own = parts(graph, graph).covariance(process.prior);
        let explained = beside.dot(&process.factor.solve(&beside));
        (beside.dot(&process.solved), (own - explained).max(0.0).sqrt())
    });
    let (mean, deviation) = expected.unzip();
    Some(Refined { mean, deviation })
}

/// Products and distance of two graphs.
struct Parts {
    learned: f64,
    linear: f64,
    apart: f64,
}

impl Parts {
    fn covariance(&self, prior: Prior) -> f64 {
        let near = (-self.apart / (2.0 * prior.reach * prior.reach)).exp();
        prior.learned * self.learned + prior.linear * self.linear + prior.smooth * near
    }
}

/// The process under one prior, given the labels.
struct Process {
    prior: Prior,
    factor: Cholesky<f64, Dyn>,
    solved: DVector<f64>,
    likelihood: f64,
}

impl Process {
    fn of(
        prior: Prior,
        parts: &impl Fn(usize, usize) -> Parts,
        targets: &DVector<f64>,
    ) -> Option<Self> {
        let count = targets.len();
        let covariance = DMatrix::from_fn(count, count, |row, column| {
            let noise = if row == column { prior.noise } else { 0.0 };
            parts(row, column).covariance(prior) + noise
        });
        let factor = covariance.cholesky()?;
        let solved = factor.solve(targets);
        let volume: f64 = factor.l_dirty().diagonal().iter().map(|it| it.ln()).sum();
        let likelihood = -0.5 * targets.dot(&solved) - volume;
        Some(Self { prior, factor, solved, likelihood })
    }
}

/// All priors that are tried.
fn priors() -> impl Iterator<Item = Prior> {
    let grid = |learned, linear, smooth| {
        let fine = [(0.7, 0.05), (0.7, 0.2), (1.5, 0.05), (1.5, 0.2), (1.5, 0.5)];
        fine.map(|(reach, noise)| Prior { learned, linear, smooth, reach, noise })
    };
    let shares = [0.1, 0.4, 1.0].into_iter().flat_map(|learned| {
        [0.02, 0.1, 0.4]
            .into_iter()
            .flat_map(move |linear| [0.05, 0.2, 0.6].map(move |smooth| (learned, linear, smooth)))
    });
    shares.flat_map(move |(learned, linear, smooth)| grid(learned, linear, smooth))
}

/// Of mean 0 and variance 1; `None` of values that are all the same.
fn unit(values: &[f64]) -> Option<Vec<f64>> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let count = finite().count() as f64;
    let mean = finite().sum::<f64>() / count;
    let deviation = (finite().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scaled = |value: &f64| match value.is_finite() {
        true => (value - mean) / deviation,
        false => -3.0,
    };
    (deviation > 0.0).then(|| values.iter().map(scaled).collect())
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
        let refined = refine(&columns[0], &columns, &labels).unwrap();
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
    fn too_few_or_equal_labels_refine_nothing() {
        let (columns, accuracies) = pool();
        let labels: Vec<(usize, f64)> = (0..7).map(|graph| (graph, accuracies[graph])).collect();
        assert_eq!(refine(&columns[0], &columns, &labels), None);
        let equal: Vec<(usize, f64)> = (0..20).map(|graph| (graph, 90.0)).collect();
        assert_eq!(refine(&columns[0], &columns, &equal), None);
    }
}
