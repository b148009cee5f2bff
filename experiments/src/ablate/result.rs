//! What an ablation comes to.

use std::collections::BTreeMap;

use serde::Serialize;
use weightsmith::evaluate::{Comparison, Interval};

use super::{config::AblationConfig, draws::Outcome};

/// A whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) schema: u32,
    pub(super) tool: String,
    pub(super) command: String,
    pub(super) seed: u64,
    pub(super) config: AblationConfig,
    pub(super) data_hash: String,
    /// By name.
    pub(super) predictors: BTreeMap<String, String>,
    pub(super) rows: Vec<RowResult>,
    /// Spearman correlation, over rows that ask for a quality, of what was asked and what was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quality_control: Option<f64>,
    /// Of the process that ended; a run that was resumed took longer.
    pub(super) seconds: f64,
    pub(super) peak_memory_bytes: Option<u64>,
}

/// One row over all graphs.
#[derive(Debug, Serialize)]
pub(super) struct RowResult {
    pub(super) name: String,
    /// Mean over graphs and draws.
    pub(super) top1: Interval,
    /// Means over the graphs of every split.
    pub(super) splits: BTreeMap<String, f64>,
    /// Standard deviation, over draws, of the mean over graphs.
    pub(super) draw_spread: f64,
    /// Against the first row.
    pub(super) comparison: Option<Comparison>,
    /// Mean overlap of mistakes between samples, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) overlap: Option<f64>,
    /// Mean seconds of writing one sample.
    pub(super) seconds: f64,
    /// By graph.
    pub(super) graphs: BTreeMap<String, f64>,
}

impl RowResult {
    pub(super) fn of(
        row: usize,
        config: &AblationConfig,
        outcomes: &[(&str, &str, Vec<Outcome>)],
        seed: u64,
    ) -> Self {
        let of_graph: Vec<(&str, &str, &Outcome)> =
            outcomes.iter().map(|(split, name, rows)| (*split, *name, &rows[row])).collect();
        let means: Vec<f64> = of_graph.iter().map(|(_, _, outcome)| outcome.mean()).collect();
        let mut splits: BTreeMap<String, (f64, usize)> = BTreeMap::new();
        for (split, _, outcome) in &of_graph {
            let (sum, count) = splits.entry((*split).to_owned()).or_default();
            *sum += outcome.mean();
            *count += 1;
        }
        let draw = |draw: usize| {
            let of_draw = of_graph.iter().filter_map(|(_, _, outcome)| outcome.top1.get(draw));
            of_draw.sum::<f64>() / of_graph.len().max(1) as f64
        };
        let draws: Vec<f64> = (0..config.draws).map(draw).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>();
        let pairs: Vec<(f64, f64)> =
            outcomes.iter().map(|(_, _, rows)| (rows[row].mean(), rows[0].mean())).collect();
        let overlaps: Vec<f64> = of_graph.iter().filter_map(|(_, _, it)| it.overlap).collect();
        let average = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let seconds: Vec<f64> = of_graph.iter().map(|(_, _, it)| it.seconds).collect();
        Self {
            name: config.rows[row].name.clone(),
            top1: Interval::of_mean(&means, seed),
            splits: splits
                .into_iter()
                .map(|(split, (sum, count))| (split, sum / count as f64))
                .collect(),
            draw_spread: (variance / (draws.len().max(2) - 1) as f64).sqrt(),
            comparison: (row > 0).then(|| Comparison::of(&pairs, seed)),
            overlap: (!overlaps.is_empty()).then(|| average(&overlaps)),
            seconds: average(&seconds),
            graphs: of_graph
                .iter()
                .map(|(_, name, outcome)| ((*name).to_owned(), outcome.mean()))
                .collect(),
        }
    }
}
