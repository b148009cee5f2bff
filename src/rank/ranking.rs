//! A pool of graphs, best first.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Aggregate, Ranked, Record, aggregate,
    learned::{Ranker, Refined, refine, standings_by_counts},
};

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
    /// What it costs by what the user measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// See [`Record::dead_nodes`].
    pub dead_nodes: usize,
    /// The first file by name that is the same graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<String>,
    /// See [`Record::seconds`].
    pub seconds: f64,
}

/// A pool of graphs, best first.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// The graphs.
    pub rows: Vec<RankedGraph>,
    /// How far the ingredients of a learned ranking agree on these graphs: 1 where all order them alike, near 0
    /// where they cancel each other. `None` of other rankings.
    pub agreement: Option<f64>,
}

/// Orders graphs, each with its file: best first; what is listed alike by structure, then by file. What
/// training cannot change, and what has no score, comes last.
pub fn ranking(mut records: Vec<(String, Record)>, by: &Aggregate) -> Ranking {
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let (ranked, agreement) = match by {
        Aggregate::Learned(ranker) => {
            let pool = ranker.rank(|name| column(&records, name));
            (pool.graphs, Some(pool.agreement))
        }
        other => (other.rank(|name| column(&records, name)), None),
    };
    Ranking { rows: rows(records, ranked), agreement }
}

/// The same by a learned ranking that trained accuracies refine: `trained` holds those of some of the files.
/// `None` where they are too few or all the same, see [`refine`].
pub fn refined_ranking(
    mut records: Vec<(String, Record)>,
    ranker: &Ranker,
    trained: &BTreeMap<String, f64>,
) -> Option<Ranking> {
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let pool = ranker.rank(|name| column(&records, name));
    let scores = pool.scores();
    let files = records.iter().enumerate();
    let labels: Vec<(usize, f64)> = files
        .filter_map(|(graph, (file, _))| Some((graph, *trained.get(file)?)))
        .filter(|(graph, _)| scores[*graph].is_finite())
        .collect();
    let counted = standings_by_counts(|name| column(&records, name));
    let paths: Vec<_> = records.iter().map(|(_, record)| &record.operator_paths).collect();
    let Refined { mean, deviation } = refine(&scores, &counted, &paths, &labels)?;
    let known = |graph: usize| scores[graph].is_finite();
    let expected: Vec<Option<f64>> =
        mean.iter().enumerate().map(|(graph, mean)| known(graph).then_some(*mean)).collect();
    let mut ranked = aggregate(&[(1.0, expected.clone())]);
    for (graph, ranked) in ranked.iter_mut().enumerate() {
        ranked.score = expected[graph];
        // Half of the places within a standard deviation.
        let near =
            expected.iter().flatten().filter(|it| (*it - mean[graph]).abs() < deviation[graph]);
        ranked.spread = near.count() as f64 / 2.0;
    }
    Some(Ranking { rows: rows(records, ranked), agreement: Some(pool.agreement) })
}

/// A score of every graph; none of what training cannot change.
fn column(records: &[(String, Record)], name: &str) -> Vec<Option<f64>> {
    let score = |record: &Record| match record.unranked() {
        None => record.scores.get(name).copied(),
        Some(_) => None,
    };
    records.iter().map(|(_, record)| score(record)).collect()
}

/// Graphs in the order of their places.
fn rows(records: Vec<(String, Record)>, ranked: Vec<Ranked>) -> Vec<RankedGraph> {
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
                cost: None,
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
