//! Where graphs lie: principal axes of what training graphs are like.

use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};

/// Principal axes that are kept; what they leave of a vector counts as one more.
const AXES: usize = 16;
/// Share of the mean variance in the variance along every axis. Directions in which training graphs hardly
/// differ would outweigh all else without it (Ledoit and Wolf 2004).
const SHRINKAGE: f64 = 0.3;
/// Axes are stored in thousandths.
const AXIS_UNIT: f32 = 1e-3;

/// A Gaussian around training graphs, with principal axes and equal variance in all other directions (Tipping
/// and Bishop 1999, *Probabilistic principal component analysis*). The length of a place is the Mahalanobis
/// distance from their mean, which is known to tell what lies outside (Lee et al. 2018).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSpace {
    /// Mean of each value.
    means: Vec<f32>,
    /// Standard deviation of each value.
    deviations: Vec<f32>,
    /// Unit vectors, in thousandths.
    axes: Vec<Vec<i16>>,
    /// What counts as 1 along each axis, and of what the axes leave.
    units: Vec<f32>,
}

impl TokenSpace {
    /// Of the vectors of training graphs, all of one length. `floors` are the least deviations by
    /// value. `None` of fewer than two graphs, or where a value is not finite.
    pub fn fit(graphs: &[Vec<f32>], floors: &[f32]) -> Option<Self> {
        let width = floors.len();
        let fits = graphs
            .iter()
            .all(|graph| graph.len() == width && graph.iter().all(|value| value.is_finite()));
        if graphs.len() < 2 || !fits {
            return None;
        }
        let count = graphs.len() as f64;
        let mean = |of: &dyn Fn(&Vec<f32>) -> f64| graphs.iter().map(of).sum::<f64>() / count;
        let means: Vec<f64> = (0..width).map(|at| mean(&|graph| f64::from(graph[at]))).collect();
        let deviation = |at: usize| {
            let square = mean(&|graph| (f64::from(graph[at]) - means[at]).powi(2));
            square.sqrt().max(f64::from(floors[at]))
        };
        let deviations: Vec<f64> = (0..width).map(deviation).collect();
        let standardised = DMatrix::from_fn(graphs.len(), width, |graph, at| {
            (f64::from(graphs[graph][at]) - means[at]) / deviations[at]
        });
        let covariance = standardised.transpose() * &standardised / count;
        let mean_variance = covariance.trace() / width as f64;
        let eigen = SymmetricEigen::new(covariance);
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let (kept, left) = order.split_at(AXES.min(width));
        let shrunk = |variance: f64| (1.0 - SHRINKAGE) * variance + SHRINKAGE * mean_variance;
        let left =
            left.iter().map(|&at| eigen.eigenvalues[at]).sum::<f64>() / left.len().max(1) as f64;
        let variances = kept.iter().map(|&at| eigen.eigenvalues[at]).chain([left]);
        let axis = |&at: &usize| {
            let values = eigen.eigenvectors.column(at);
            values.iter().map(|value| (*value as f32 / AXIS_UNIT).round() as i16).collect()
        };
        let mut space = Self {
            means: means.iter().map(|&mean| mean as f32).collect(),
            deviations: deviations.iter().map(|&deviation| deviation as f32).collect(),
            axes: kept.iter().map(axis).collect(),
            units: variances.map(|it| shrunk(it).sqrt().max(1e-6) as f32).collect(),
        };
        let mut distances: Vec<f32> =
            graphs.iter().map(|graph| length(&space.place(graph))).collect();
        distances.sort_by(f32::total_cmp);
        let median = distances[distances.len() / 2].max(1e-6);
        space.units.iter_mut().for_each(|unit| *unit *= median);
        Some(space)
    }

    /// Where a graph lies: along each axis, and how far from all of them. The median length of
    /// training graphs is 1.
    pub fn place(&self, values: &[f32]) -> Vec<f32> {
        let standardised: Vec<f32> = values
            .iter()
            .zip(self.means.iter().zip(&self.deviations))
            .map(|(value, (mean, deviation))| (value - mean) / deviation)
            .collect();
        let along = |axis: &Vec<i16>| -> f32 {
            axis.iter()
                .zip(&standardised)
                .map(|(&it, value)| f32::from(it) * AXIS_UNIT * value)
                .sum()
        };
        let mut place: Vec<f32> = self.axes.iter().map(along).collect();
        let square = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>();
        place.push((square(&standardised) - square(&place)).max(0.0).sqrt());
        place.iter_mut().zip(&self.units).for_each(|(value, unit)| *value /= unit);
        place
    }

    /// Whether all parts belong together, for vectors of so many values.
    pub(super) fn is_of(&self, width: usize) -> bool {
        let lengths = [self.means.len(), self.deviations.len()];
        lengths == [width; 2]
            && self.units.len() == self.axes.len() + 1
            && self.axes.iter().all(|axis| axis.len() == width)
    }

    /// Values of a place.
    pub(super) fn dimensions(&self) -> usize {
        self.units.len()
    }
}

/// The distance of a place from the mean of training graphs.
pub(super) fn length(place: &[f32]) -> f32 {
    place.iter().map(|value| value * value).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::neural::normal;

    /// Graphs that differ much in the first of 24 values, hardly in the last, and in others as usual.
    fn graphs() -> Vec<Vec<f32>> {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let mut graph = || {
            let shared = normal(&mut random);
            let mut values: Vec<f32> =
                (0..24).map(|_| shared + 0.5 * normal(&mut random)).collect();
            values[0] *= 100.0;
            values[23] = 7.0;
            values
        };
        (0..500).map(|_| graph()).collect()
    }

    #[test]
    fn half_of_the_training_graphs_are_nearer_than_one() {
        let graphs = graphs();
        let space = TokenSpace::fit(&graphs, &[1e-3; 24]).unwrap();
        assert!(space.is_of(24) && !space.is_of(23));
        assert_eq!(space.dimensions(), 17);
        let near = graphs.iter().filter(|graph| length(&space.place(graph)) < 1.0).count();
        assert_abs_diff_eq!(near as f32, 250.0, epsilon = 2.0);
    }

    #[test]
    fn what_no_training_graph_is_like_is_far() {
        let graphs = graphs();
        let space = TokenSpace::fit(&graphs, &[1e-3; 24]).unwrap();
        let distance = |change: &dyn Fn(&mut Vec<f32>)| {
            let mut graph = graphs[0].clone();
            change(&mut graph);
            length(&space.place(&graph))
        };
        let own = distance(&|_| {});
        // Large in itself, usual in training.
        assert!(distance(&|graph| graph[0] += 50.0) < 1.5 * own);
        assert!(distance(&|graph| graph[23] += 0.1) > 10.0 * own);
        // Values that always go together go apart.
        assert!(distance(&|graph| graph[1..12].iter_mut().for_each(|it| *it -= 3.0)) > 1.5 * own);
    }

    #[test]
    fn too_little_is_no_space() {
        assert_eq!(TokenSpace::fit(&[vec![0.0; 3]], &[1.0; 3]), None);
        assert_eq!(TokenSpace::fit(&[vec![0.0; 3], vec![f32::NAN; 3]], &[1.0; 3]), None);
        assert_eq!(TokenSpace::fit(&[vec![0.0; 3], vec![0.0; 2]], &[1.0; 3]), None);
    }
}
