//! A pool of graphs, best first.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Aggregate, Record};

/// One graph in its place.
#[derive(Clone, Debug, Serialize)]
pub struct RankedGraph {
    /// Its file, or another name.
    pub file: String,
    /// Its place; graphs that are alike by all scores share one.
    pub rank: usize,
    /// How much the place moves as single scores are left out.
    pub rank_spread: f64,
    /// The joined score; `None` where no score counts.
    pub score: Option<f64>,
    /// See [`Record::scores`].
    pub scores: BTreeMap<String, f64>,
    /// Why it comes last whatever its scores are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unranked: Option<&'static str>,
    /// See [`Record::missing`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
    /// See [`Record::parameters`].
    pub parameters: u64,
    /// See [`Record::flops`].
    pub flops: u64,
    /// See [`Record::dead_nodes`].
    pub dead_nodes: usize,
    /// The first file by name that is the same graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<String>,
    /// See [`Record::seconds`].
    pub seconds: f64,
}

/// Orders graphs, each with its file: best first; what is listed alike by structure, then by file. What
/// training cannot change, and what has no score, comes last.
pub fn ranking(mut records: Vec<(String, Record)>, by: &Aggregate) -> Vec<RankedGraph> {
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let score = |record: &Record, name: &str| match record.unranked() {
        None => record.scores.get(name).copied(),
        Some(_) => None,
    };
    let column = |name: &str| records.iter().map(|(_, record)| score(record, name)).collect();
    let ranked = by.rank(column);
    let mut firsts: BTreeMap<String, String> = BTreeMap::new();
    let mut rows: Vec<(usize, String, RankedGraph)> = ranked
        .into_iter()
        .zip(records)
        .map(|(ranked, (file, record))| {
            let first = firsts.entry(record.structure.clone()).or_insert_with(|| file.clone());
            let duplicate_of = (*first != file).then(|| first.clone());
            let row = RankedGraph {
                file,
                rank: ranked.rank,
                rank_spread: ranked.spread,
                score: ranked.score,
                unranked: record.unranked(),
                scores: record.scores,
                missing: record.missing,
                parameters: record.parameters,
                flops: record.flops,
                dead_nodes: record.dead_nodes,
                duplicate_of,
                seconds: record.seconds,
            };
            (ranked.listed, record.structure, row)
        })
        .collect();
    rows.sort_by(|(a_listed, a_structure, a), (b_listed, b_structure, b)| {
        (a_listed, a_structure, &a.file).cmp(&(b_listed, b_structure, &b.file))
    });
    rows.into_iter().map(|(.., row)| row).collect()
}
