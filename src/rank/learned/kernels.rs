//! What two graphs of a pool have in common.

use std::{array, collections::BTreeMap};

use crate::rank::{Occurrences, Subtrees, spectrum::dot};

use super::pool::unit;

/// Ways to compare graphs, each a kernel whose mean over pairs of a graph with itself is 1.
pub(super) const KERNELS: usize = 7;

/// How far apart two graphs are, in standings, where what is known of one says little of the other.
const REACH: f64 = 0.5;

/// The graphs of a pool as kernels see them.
pub(super) struct Pool<'a> {
    learned: Vec<f64>,
    counts: &'a [Vec<f64>],
    subtrees: &'a [&'a Subtrees],
    vocabularies: [Vocabulary; 4],
}

/// One graph.
pub(super) struct Embedding {
    learned: f64,
    counts: Vec<f64>,
    subtrees: [Vec<f64>; 4],
}

impl<'a> Pool<'a> {
    /// By the score of a ranking, by standings (column by column), and by subtrees if there are any.
    pub fn new(learned: &[f64], counts: &'a [Vec<f64>], subtrees: &'a [&'a Subtrees]) -> Self {
        let vocabulary = |kind: usize| Vocabulary::of(subtrees.iter().map(|it| &it.kinds[kind]));
        Self {
            learned: unit(learned).unwrap_or_else(|| vec![0.0; learned.len()]),
            counts,
            subtrees,
            vocabularies: array::from_fn(vocabulary),
        }
    }

    pub fn embedding(&self, graph: usize) -> Embedding {
        let subtrees = |kind: usize| match self.subtrees.get(graph) {
            Some(subtrees) => self.vocabularies[kind].embedding(&subtrees.kinds[kind]),
            None => Vec::new(),
        };
        Embedding {
            learned: self.learned[graph],
            counts: self.counts.iter().map(|column| column[graph]).collect(),
            subtrees: array::from_fn(subtrees),
        }
    }
}

impl Embedding {
    /// The ranking; other linear rankings by counts; smooth functions of counts; linear functions of each kind of
    /// subtrees.
    pub fn kernels(&self, other: &Self) -> [f64; KERNELS] {
        let scale = self.counts.len().max(1) as f64;
        let apart = self.counts.iter().zip(&other.counts).map(|(a, b)| (a - b).abs()).sum::<f64>();
        let [one, placed, tree, placed_tree] =
            array::from_fn(|kind| dot(&self.subtrees[kind], &other.subtrees[kind]));
        [
            self.learned * other.learned,
            dot(&self.counts, &other.counts) / scale,
            (-apart / scale / REACH).exp(),
            one,
            placed,
            tree,
            placed_tree,
        ]
    }
}

/// The patterns that tell the graphs of a pool apart, with mean and deviation of the logarithm of how often they occur.
#[derive(Debug)]
struct Vocabulary(BTreeMap<u64, [f64; 2]>);

impl Vocabulary {
    fn of<'a>(graphs: impl Iterator<Item = &'a Occurrences>) -> Self {
        let mut sums: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
        let mut count = 0.0;
        for graph in graphs {
            count += 1.0;
            for (pattern, times) in graph {
                let value = f64::from(*times).ln_1p();
                let [sum, squares] = sums.entry(*pattern).or_default();
                *sum += value;
                *squares += value * value;
            }
        }
        let moments = |(pattern, [sum, squares]): (u64, [f64; 2])| {
            let mean = sum / count;
            let variance = squares / count - mean * mean;
            (variance > 1e-9).then(|| (pattern, [mean, variance.sqrt()]))
        };
        Self(sums.into_iter().filter_map(moments).collect())
    }

    /// Of length 1 on the mean over the pool.
    fn embedding(&self, graph: &Occurrences) -> Vec<f64> {
        let scale = (self.0.len() as f64).sqrt();
        let place = |(pattern, [mean, deviation]): (&u64, &[f64; 2])| {
            let times = graph.get(pattern).copied().unwrap_or(0);
            (f64::from(times).ln_1p() - mean) / deviation / scale
        };
        self.0.iter().map(place).collect()
    }
}
