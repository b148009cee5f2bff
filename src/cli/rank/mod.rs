//! `weightsmith rank`

mod evidence;
mod judging;
mod listing;

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    fill::Network,
    graph::DimBindings,
    onnx::{Model, atomic},
    rank::{Record, spread},
};

use super::{
    Common, Exit, Failure,
    plot::{Axis, Plot, Point},
    print, print_json,
};

pub(super) use judging::Judging;

/// Order graphs, best first, without training them.
#[derive(Debug, Args)]
pub struct Rank {
    /// ONNX files, folders of them, or patterns such as 'nets/*.onnx'; `-` reads JSON lines from
    /// standard input, each a path or an object with a field `file`
    #[arg(required = true, value_name = "GRAPHS")]
    graphs: Vec<String>,
    #[command(flatten)]
    judging: Judging,
    /// Show the first K only
    #[arg(long, value_name = "K")]
    top: Option<usize>,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Draw scores by FLOPs, with those that no cheaper graph beats
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Write what scores at random weights looked at, one safetensors file a graph: weights by
    /// initializer, `images` and `labels`
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
}

/// One row of the answer.
#[derive(Debug, Serialize)]
struct Row {
    file: String,
    rank: usize,
    /// How much the place moves as single scores are left out.
    rank_spread: f64,
    score: f64,
    scores: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    missing: BTreeMap<String, String>,
    parameters: u64,
    flops: u64,
    dead_nodes: usize,
    /// The first file by name that is the same graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<String>,
    seconds: f64,
}

impl Rank {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let files = listing::files(&self.graphs)?;
        let judge = self.judging.judge(common)?;
        let bar = super::bar(files.len(), common);
        let judged = spread(files.iter(), self.judging.jobs(), |file| {
            let record = Model::open(std::path::Path::new(file))
                .map_err(Failure::from)
                .and_then(|model| Network::of(model, DimBindings::default()))
                .and_then(|network| match network.unsupported().first() {
                    Some(why) => Err(why.clone().into()),
                    None => {
                        if let Some(folder) = &self.evidence {
                            evidence::write(folder, &network, &judge.probe)?;
                        }
                        Ok(judge.judge(&network.architecture, &network.registry)?)
                    }
                });
            bar.inc(1);
            (file.clone(), record.map_err(|error| super::one_line(error.as_ref())))
        });
        bar.finish_and_clear();
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        let mut records: Vec<(String, Record)> = Vec::new();
        for (file, record) in judged {
            match record {
                Ok(record) => records.push((file, record)),
                Err(why) => drop(refused.insert(file, why)),
            }
        }
        let rows = self.rows(records)?;
        if let Some(path) = &self.plot {
            let svg = picture(&rows);
            atomic::write(path, |out| out.write_all(svg.as_bytes()))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let shown = &rows[..self.top.unwrap_or(rows.len()).min(rows.len())];
        if common.json {
            print_json(&serde_json::json!({
                "schema": 1,
                "seed": common.seed,
                "by": self.judging.aggregate()?,
                "predictor": self.judging.predictor,
                "graphs": rows.len(),
                "ranking": shown,
                "refused": refused,
            }))?;
        } else if self.csv {
            print(csv(shown).trim_end())?;
        } else {
            print(table(shown).trim_end())?;
        }
        for (file, why) in &refused {
            tracing::warn!("{file}: {why}");
        }
        Ok(match (rows.is_empty(), refused.is_empty()) {
            (true, _) => return Err("no graph could be ranked".into()),
            (false, true) => Exit::Success,
            (false, false) => Exit::Partial,
        })
    }

    /// Best first; what is listed alike by structure, then by name.
    fn rows(&self, mut records: Vec<(String, Record)>) -> Result<Vec<Row>, Failure> {
        records.sort_by(|a, b| a.0.cmp(&b.0));
        let column = |name: &str| {
            records.iter().map(|(_, record)| record.scores.get(name).copied()).collect()
        };
        let mut firsts: BTreeMap<String, String> = BTreeMap::new();
        let mut rows: Vec<(usize, String, Row)> = self
            .judging
            .aggregate()?
            .rank(column)
            .into_iter()
            .zip(records)
            .map(|(ranked, (file, record))| {
                let first = firsts.entry(record.structure.clone()).or_insert_with(|| file.clone());
                let duplicate_of = (*first != file).then(|| first.clone());
                let row = Row {
                    file,
                    rank: ranked.rank,
                    rank_spread: ranked.spread,
                    score: ranked.score.max(f64::MIN),
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
        Ok(rows.into_iter().map(|(.., row)| row).collect())
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:>5}  {:>5}  {:>8}  {:>12}  {:>8}  {:>7}  graph\n",
        "rank", "±", "score", "parameters", "MFLOPs", "seconds"
    );
    for row in rows {
        let mut notes = String::new();
        if let Some(first) = &row.duplicate_of {
            notes += &format!("  = {first}");
        }
        if row.dead_nodes > 0 {
            notes += &format!("  ({} dead nodes)", row.dead_nodes);
        }
        text += &format!(
            "{:>5}  {:>5.1}  {:>8.4}  {:>12}  {:>8.1}  {:>7.2}  {}{notes}\n",
            row.rank,
            row.rank_spread,
            row.score,
            row.parameters,
            row.flops as f64 / 1e6,
            row.seconds,
            row.file,
        );
    }
    text
}

/// Cells of a CSV line, each behind its comma; that of a score there is not is empty.
pub(super) fn score_cells<'a>(
    scores: &BTreeMap<String, f64>,
    names: impl Iterator<Item = &'a String>,
) -> String {
    let cell = |name| scores.get(name).map_or(",".to_owned(), |value| format!(",{value}"));
    names.map(cell).collect()
}

fn csv(rows: &[Row]) -> String {
    let names: Vec<&String> = rows.first().map_or(vec![], |row| row.scores.keys().collect());
    let mut text = "file,rank,rank_spread,score,parameters,flops,dead_nodes,seconds".to_owned();
    names.iter().for_each(|name| text += &format!(",{name}"));
    text.push('\n');
    for row in rows {
        let Row { rank, rank_spread, score, parameters, flops, dead_nodes, seconds, .. } = row;
        let file = row.file.replace('"', "\"\"");
        text += &format!(
            "\"{file}\",{rank},{rank_spread},{score},{parameters},{flops},{dead_nodes},{seconds}"
        );
        text += &score_cells(&row.scores, names.iter().copied());
        text.push('\n');
    }
    text
}

fn picture(rows: &[Row]) -> String {
    let mut cheap: Vec<&Row> = rows.iter().collect();
    cheap.sort_by_key(|row| (row.flops, row.rank));
    let mut best = usize::MAX;
    let points = cheap.into_iter().map(|row| {
        let front = row.rank < best;
        best = best.min(row.rank);
        let label = format!("{}: rank {}", row.file, row.rank);
        Point { x: (row.flops.max(1) as f64).log10(), y: row.score, front, label }
    });
    let points = points.collect();
    let x = Axis { name: "FLOPs (multiply-accumulates), log₁₀" };
    Plot { title: "Score by cost", x, y: Axis { name: "joined log-rank" }, points }.svg()
}
