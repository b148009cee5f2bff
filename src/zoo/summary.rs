//! A zoo in numbers, small enough to be kept beside the code.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Lineage, Record, Zoo};

/// What a zoo holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Version of this form.
    pub schema: u32,
    /// Name of the zoo.
    pub name: String,
    /// Search space of its graphs.
    pub space: String,
    /// SHA-256 of the decoded training images and labels.
    pub data_hash: String,
    /// SHA-256 of the configuration, as `zoo.json` holds it.
    pub config_hash: Option<String>,
    /// Graphs with at least one checkpoint.
    pub graphs: usize,
    /// Checkpoints.
    pub checkpoints: usize,
    /// Different sets of weights.
    pub tensors: usize,
    /// Values in all checkpoints.
    pub values: u64,
    /// By the predictor that they grew from.
    pub parents: Vec<ParentSummary>,
}

/// The checkpoints that grew from one predictor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParentSummary {
    /// The predictor; `None` for networks from elsewhere.
    #[serde(flatten)]
    pub lineage: Option<Lineage>,
    /// By training steps.
    pub steps: Vec<QualitySummary>,
}

/// The checkpoints of one predictor after so many training steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QualitySummary {
    /// Training steps.
    pub step: u64,
    /// Checkpoints.
    pub checkpoints: usize,
    /// Least, lower quartile, median, upper quartile and greatest validation accuracy; nothing where
    /// none was measured.
    pub accuracy: Option<[f64; 5]>,
    /// The same of the validation loss.
    pub loss: Option<[f64; 5]>,
}

/// The checkpoints of one graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GraphSummary {
    /// In hexadecimal, as files are called.
    pub fingerprint: String,
    /// Checkpoints.
    pub checkpoints: usize,
    /// Predictors that they grew from.
    pub parents: usize,
    /// Training steps of the checkpoints.
    pub steps: Vec<u64>,
    /// Least and greatest validation accuracy.
    pub accuracy: Option<[f64; 2]>,
}

impl GraphSummary {
    /// Every graph of a zoo.
    pub fn all(zoo: &Zoo) -> Vec<Self> {
        zoo.graphs().map(|graph| Self::of(graph, zoo.of_graph(graph))).collect()
    }

    fn of(fingerprint: u64, records: &[Record]) -> Self {
        let steps: BTreeSet<u64> = records.iter().map(|record| record.step).collect();
        let parents: BTreeSet<_> = records.iter().map(|record| &record.lineage).collect();
        let scores = records.iter().filter_map(|record| record.validation);
        let accuracy = scores.map(|score| score.accuracy).fold(None, |range, accuracy| {
            let [least, most] = range.unwrap_or([accuracy; 2]);
            Some([accuracy.min(least), accuracy.max(most)])
        });
        Self {
            fingerprint: format!("{fingerprint:016x}"),
            checkpoints: records.len(),
            parents: parents.len(),
            steps: steps.into_iter().collect(),
            accuracy,
        }
    }
}

impl Summary {
    /// Counts what there is.
    pub fn of(zoo: &Zoo) -> Self {
        let header = zoo.header();
        let records = zoo.records();
        let mut groups: BTreeMap<Option<&Lineage>, BTreeMap<u64, Vec<&Record>>> = BTreeMap::new();
        for record in records {
            let steps = groups.entry(record.lineage.as_ref()).or_default();
            steps.entry(record.step).or_default().push(record);
        }
        let parent = |(lineage, steps): (Option<&Lineage>, BTreeMap<u64, Vec<&Record>>)| {
            let steps = steps.into_iter().map(|(step, records)| QualitySummary::of(step, &records));
            ParentSummary { lineage: lineage.cloned(), steps: steps.collect() }
        };
        let distinct = records.iter().map(|record| &record.tensors).collect::<BTreeSet<_>>();
        let graphs = zoo.graphs().filter(|&graph| !zoo.of_graph(graph).is_empty());
        Self {
            schema: 1,
            name: header.name.clone(),
            space: header.space.clone(),
            data_hash: header.data_hash.clone(),
            config_hash: header.config_hash(),
            graphs: graphs.count(),
            checkpoints: records.len(),
            tensors: distinct.len(),
            values: records.iter().map(|record| record.parameters).sum(),
            parents: groups.into_iter().map(parent).collect(),
        }
    }
}

impl QualitySummary {
    fn of(step: u64, records: &[&Record]) -> Self {
        let scores = || records.iter().filter_map(|record| record.validation);
        Self {
            step,
            checkpoints: records.len(),
            accuracy: quartiles(scores().map(|score| score.accuracy).collect()),
            loss: quartiles(scores().map(|score| score.loss).collect()),
        }
    }
}

/// The nearest values at 0, ¼, ½, ¾ and 1 of the sorted ones, to four decimals.
fn quartiles(mut values: Vec<f64>) -> Option<[f64; 5]> {
    let last = values.len().checked_sub(1)?;
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[(share * last as f64).round() as usize];
    Some([0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (at(share) * 1e4).round() / 1e4))
}

#[cfg(test)]
mod tests {
    #[test]
    fn quartiles_are_values_that_occur() {
        assert_eq!(super::quartiles(vec![]), None);
        assert_eq!(super::quartiles(vec![2.0]), Some([2.0; 5]));
        let values = vec![5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(super::quartiles(values), Some([1.0, 2.0, 3.0, 4.0, 5.0]));
    }
}
