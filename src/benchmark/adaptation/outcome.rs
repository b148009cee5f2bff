//! What an adaptation benchmark found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evaluate::{Comparison, Summary};

use super::{super::SubjectRecord, Method};

/// A network that one method made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdaptationResult {
    /// Name of the graph.
    pub graph: String,
    /// Name of the data set.
    pub data: String,
    /// Labelled images.
    pub images: usize,
    /// Which images these are, and of everything random.
    pub seed: u64,
    /// How.
    pub method: Method,
    /// Share of the test images that are classified right.
    pub top1: f64,
    /// Seconds, without those of testing.
    pub seconds: f64,
    /// Images that were differentiated.
    pub image_gradients: u64,
    /// Learning rate, of methods that try several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f32>,
    /// Share of the test images that are classified right after every epoch, the start first, of methods
    /// that train for all epochs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<f64>,
}

/// A data set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdaptedData {
    /// Its path as it was given.
    pub name: String,
    /// SHA-256 of its training images.
    pub hash: String,
    /// Number of classes.
    pub classes: usize,
    /// Training images.
    pub training: usize,
    /// Test images that count.
    pub test: usize,
}

/// A benchmark's results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdaptationOutcome {
    /// Version of this schema.
    pub schema: u32,
    /// Name and version of the program.
    pub tool: String,
    /// The command line.
    pub command: String,
    /// The predictor.
    pub predictor: SubjectRecord,
    /// The data sets.
    pub data: Vec<AdaptedData>,
    /// Epochs of methods that train for all.
    pub epochs: usize,
    /// Threads that it ran on.
    pub threads: usize,
    /// Pairs of a graph and a data set that do not fit, with the reason.
    pub left_out: BTreeMap<String, String>,
    /// All networks.
    pub results: Vec<AdaptationResult>,
}

/// A method with some number of labelled images, over graphs and data sets.
#[derive(Clone, Debug, Serialize)]
pub struct MethodSummary {
    /// The method.
    pub method: Method,
    /// Labelled images that were asked for; 0 for all.
    pub images: usize,
    /// Accuracies, means over seeds.
    pub top1: Summary,
    /// Mean of the standard deviations over seeds; zero with one seed.
    pub seed_deviation: f64,
    /// Mean seconds.
    pub seconds: f64,
    /// Mean number of images that were differentiated.
    pub image_gradients: f64,
}

impl MethodSummary {
    /// Labelled images, as tables say it.
    pub fn images_title(&self) -> String {
        match self.images {
            0 => "all".to_owned(),
            images => images.to_string(),
        }
    }
}

/// Two methods on the same pairs of graph and data set.
#[derive(Clone, Debug, Serialize)]
pub struct PairComparison {
    /// Labelled images.
    pub images: usize,
    /// The difference, first minus second, means over seeds.
    pub difference: Comparison,
    /// Share of the pairs on which the first is not worse.
    pub not_worse: f64,
}

/// Accuracies by (graph, data set), one for each seed.
type Pairs<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a AdaptationResult>>;

impl AdaptationOutcome {
    /// Numbers of labelled images, as they were asked for: 0 for all.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.results.iter().map(|it| self.asked(it)).collect();
        sizes.sort_unstable_by_key(|&size| if size == 0 { usize::MAX } else { size });
        sizes.dedup();
        sizes
    }

    /// All methods with all numbers of images.
    pub fn summaries(&self) -> Vec<MethodSummary> {
        let of = |images| Method::ALL.into_iter().filter_map(move |it| self.summary(it, images));
        self.sizes().into_iter().flat_map(of).collect()
    }

    fn summary(&self, method: Method, images: usize) -> Option<MethodSummary> {
        let pairs = self.pairs(method, images);
        let of_pairs: Vec<Summary> = pairs.values().map(|of| over_seeds(of)).collect();
        let all = || pairs.values().flatten();
        let count = all().count().max(1) as f64;
        (!pairs.is_empty()).then(|| MethodSummary {
            method,
            images,
            top1: Summary::of(of_pairs.iter().map(|of| of.mean)),
            seed_deviation: of_pairs.iter().map(|of| of.std).sum::<f64>() / of_pairs.len() as f64,
            seconds: all().map(|it| it.seconds).sum::<f64>() / count,
            image_gradients: all().map(|it| it.image_gradients as f64).sum::<f64>() / count,
        })
    }

    /// A method beside another, on the pairs that both have; `None` where there are none.
    pub fn compare(&self, first: Method, second: Method, images: usize) -> Option<PairComparison> {
        let (first, second) = (self.pairs(first, images), self.pairs(second, images));
        let both = first.iter().filter_map(|(pair, of)| {
            Some((over_seeds(of).mean, over_seeds(second.get(pair)?).mean))
        });
        let both: Vec<(f64, f64)> = both.collect();
        let not_worse = both.iter().filter(|(first, second)| first >= second).count();
        (!both.is_empty()).then(|| PairComparison {
            images,
            not_worse: not_worse as f64 / both.len() as f64,
            difference: Comparison::of(&both, 0),
        })
    }

    fn pairs(&self, method: Method, images: usize) -> Pairs<'_> {
        let mut pairs = Pairs::new();
        let wanted = |it: &&AdaptationResult| it.method == method && self.asked(it) == images;
        for result in self.results.iter().filter(wanted) {
            pairs.entry((&result.graph, &result.data)).or_default().push(result);
        }
        pairs
    }

    /// 0 for a result on all training images of its data set.
    fn asked(&self, result: &AdaptationResult) -> usize {
        let all =
            self.data.iter().any(|data| data.name == result.data && data.training == result.images);
        if all { 0 } else { result.images }
    }
}

/// Accuracies over seeds.
fn over_seeds(results: &[&AdaptationResult]) -> Summary {
    Summary::of(results.iter().map(|it| it.top1))
}
