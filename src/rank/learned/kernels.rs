//! What two graphs of a pool have in common.

use std::{array, collections::BTreeMap};

use crate::rank::{Occurrences, OperatorPaths, spectrum::dot};

use super::pool::unit;

/// Ways to compare graphs, each a kernel whose mean over pairs of a graph with itself is 1.
pub(super) const KERNELS: usize = 7;

/// How far apart two graphs are, in standings, where what is known of one says little of the other.
const REACH: f64 = 0.5;

/// The graphs of a pool as kernels see them.
pub(super) struct Pool<'a> {
    learned: Vec<f64>,
    counts: &'a [Vec<f64>],
    paths: &'a [&'a OperatorPaths],
    vocabularies: [Vocabulary; 4],
}

/// One graph.
pub(super) struct Embedding {
    learned: f64,
    counts: Vec<f64>,
    paths: [Vec<f64>; 4],
}

impl<'a> Pool<'a> {
    /// By the score of a ranking, by standings (column by column), and by paths if there are any.
    pub fn new(learned: &[f64], counts: &'a [Vec<f64>], paths: &'a [&'a OperatorPaths]) -> Self {
        let vocabulary = |kind: usize| Vocabulary::of(paths.iter().map(|it| &it.kinds[kind]));
        Self {
            learned: unit(learned).unwrap_or_else(|| vec![0.0; learned.len()]),
            counts,
            paths,
            vocabularies: array::from_fn(vocabulary),
        }
    }

    pub fn embedding(&self, graph: usize) -> Embedding {
        let paths = |kind: usize| match self.paths.get(graph) {
            Some(paths) => self.vocabularies[kind].embedding(&paths.kinds[kind]),
            None => Vec::new(),
        };
        Embedding {
            learned: self.learned[graph],
            counts: self.counts.iter().map(|column| column[graph]).collect(),
            paths: array::from_fn(paths),
        }
    }
}

impl Embedding {
    /// The ranking; other linear rankings by counts; smooth functions of counts; linear functions of each kind of
    /// operator paths.
    pub fn kernels(&self, other: &Self) -> [f64; KERNELS] {
        let scale = self.counts.len().max(1) as f64;
        let apart = self.counts.iter().zip(&other.counts).map(|(a, b)| (a - b).abs()).sum::<f64>();
        let [one, placed, path, placed_path] =
            array::from_fn(|kind| dot(&self.paths[kind], &other.paths[kind]));
        [
            self.learned * other.learned,
            dot(&self.counts, &other.counts) / scale,
            (-apart / scale / REACH).exp(),
            one,
            placed,
            path,
            placed_path,
        ]
    }
}

/// The operator paths of a pool.
#[derive(Debug)]
struct Vocabulary {
    /// Mean of the logarithm of how often each occurs, where that is not the same in all graphs.
    means: BTreeMap<u64, f64>,
    /// Square root of the sum of their variances.
    scale: f64,
}

impl Vocabulary {
    fn of<'a>(graphs: impl Iterator<Item = &'a Occurrences>) -> Self {
        let mut sums: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
        let mut count = 0.0;
        for graph in graphs {
            count += 1.0;
            for (path, times) in graph {
                let value = f64::from(*times).ln_1p();
                let [sum, squares] = sums.entry(*path).or_default();
                *sum += value;
                *squares += value * value;
            }
        }
        let mut means = BTreeMap::new();
        let mut total = 0.0;
        for (path, [sum, squares]) in sums {
            let mean = sum / count;
            let variance = squares / count - mean * mean;
            if variance > 1e-9 {
                means.insert(path, mean);
                total += variance;
            }
        }
        Self { means, scale: total.sqrt() }
    }

    /// Of length 1 on the mean over the pool.
    fn embedding(&self, graph: &Occurrences) -> Vec<f64> {
        let place = |(path, mean): (&u64, &f64)| {
            let times = graph.get(path).copied().unwrap_or(0);
            (f64::from(times).ln_1p() - mean) / self.scale
        };
        self.means.iter().map(place).collect()
    }
}
