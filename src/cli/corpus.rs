//! `weightsmith corpus`

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use crate::{
    corpus::{self, CorpusGraph, MEASURES, Statistics},
    onnx::atomic,
    ops::Registry,
};

use super::{Common, Exit, Failure, bar, inspect::short, output, print, print_json};

/// Generate and describe the graphs that predictors learn from and are judged by.
#[derive(Debug, Args)]
pub struct Corpus {
    #[command(subcommand)]
    command: CorpusCommand,
}

#[derive(Debug, Subcommand)]
enum CorpusCommand {
    /// Draw all splits again, byte for byte
    Generate(Generate),
    /// Sizes and operators of all splits
    Stats(Stats),
}

#[derive(Debug, Args)]
struct Generate {
    /// Where the splits go
    #[arg(long, value_name = "DIR", default_value = "architectures/corpus")]
    out: PathBuf,
    /// Write nothing; compare with what is there, and exit with 1 if it differs
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Args)]
struct Stats {
    /// Draw them, as an SVG
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
}

/// What became of one split.
#[derive(Debug, Serialize)]
struct SplitResult {
    split: &'static str,
    graphs: usize,
    bytes: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Written,
    Same,
    Differs,
}

impl Corpus {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        match &self.command {
            CorpusCommand::Generate(generate) => generate.run(common),
            CorpusCommand::Stats(stats) => stats.run(common),
        }
    }
}

impl Generate {
    fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let stored = if self.check { self.stored()? } else { Vec::new() };
        let bar = bar(graphs()?, common);
        let splits = corpus::generate(&Registry::standard(), &|graphs| bar.inc(graphs as u64))?;
        bar.finish_and_clear();
        let results: Result<Vec<SplitResult>, Failure> = if self.check {
            let pairs = splits.iter().zip(&stored);
            pairs.map(|((split, graphs), stored)| compare(split, graphs, stored)).collect()
        } else {
            splits.iter().map(|(split, graphs)| self.write(split, graphs)).collect()
        };
        let results = results?;
        if common.json {
            print_json(&json!({ "schema": 1, "splits": results }))?;
        } else {
            print("split        graphs     bytes")?;
            for SplitResult { split, graphs, bytes, state } in &results {
                let state = format!("{state:?}").to_lowercase();
                print(&format!("{split:12} {graphs:6} {bytes:9}  {state}"))?;
            }
        }
        let differs = results.iter().any(|result| result.state == State::Differs);
        Ok(if differs { Exit::Negative } else { Exit::Success })
    }

    fn path(&self, split: &str) -> PathBuf {
        self.out.join(format!("{split}.archs.xz"))
    }

    /// The files that are there, in the order of the splits.
    fn stored(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let read = |split: &&str| {
            let path = self.path(split);
            std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
        };
        corpus::splits().iter().map(read).collect()
    }

    fn write(&self, split: &'static str, graphs: &[CorpusGraph]) -> Result<SplitResult, Failure> {
        let path = self.path(split);
        let failed = |error: std::io::Error| Failure::from(format!("{}: {error}", path.display()));
        let packed = corpus::pack(graphs).map_err(failed)?;
        std::fs::create_dir_all(&self.out).map_err(failed)?;
        atomic::write(&path, |out| out.write_all(&packed)).map_err(failed)?;
        Ok(SplitResult { split, graphs: graphs.len(), bytes: packed.len(), state: State::Written })
    }
}

/// What is compressed counts, not how: another release of the compressor may differ.
fn compare(
    split: &'static str,
    graphs: &[CorpusGraph],
    stored: &[u8],
) -> Result<SplitResult, Failure> {
    let same = corpus::unpack(split, stored)? == graphs;
    let state = if same { State::Same } else { State::Differs };
    Ok(SplitResult { split, graphs: graphs.len(), bytes: stored.len(), state })
}

impl Stats {
    fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let bar = bar(graphs()?, common);
        let registry = Registry::standard();
        let count = |split: &&str| {
            let graphs = corpus::load(split, &registry)?;
            Ok(Statistics::of(split, &graphs, &registry, &|| bar.inc(1))?)
        };
        let splits =
            corpus::splits().iter().map(count).collect::<Result<Vec<Statistics>, Failure>>()?;
        bar.finish_and_clear();
        if let Some(path) = &self.out {
            output::write(path, &corpus::picture(&splits))?;
        }
        if common.json {
            return print_json(&self.json(&splits)).map(|()| Exit::Success);
        }
        print("least, median and most by graph")?;
        let names: String =
            MEASURES.iter().map(|measure| format!("  {:24}", measure.name)).collect();
        print(format!("split        graphs{names}").trim_end())?;
        for split in &splits {
            let ranges: String = MEASURES
                .iter()
                .map(|&measure| {
                    let range = [0.0, 0.5, 1.0]
                        .map(|share| format!("{:>8}", short(split.quantile(measure, share))));
                    format!("  {}", range.concat())
                })
                .collect();
            print(&format!("{:12} {:6}{ranges}", split.split, split.sizes.len()))?;
        }
        Ok(Exit::Success)
    }

    fn json(&self, splits: &[Statistics]) -> serde_json::Value {
        let range = |split: &Statistics, measure| {
            let [least, median, most] = [0.0, 0.5, 1.0].map(|share| split.quantile(measure, share));
            json!({ "least": least, "median": median, "most": most })
        };
        let split = |split: &Statistics| {
            let measures = MEASURES.map(|measure| (measure.name, range(split, measure)));
            json!({
                "split": split.split,
                "graphs": split.sizes.len(),
                "sizes": BTreeMap::from(measures),
                "operators": split.operators,
            })
        };
        json!({ "schema": 1, "splits": splits.iter().map(split).collect::<Vec<_>>() })
    }
}

/// Graphs of all splits.
fn graphs() -> Result<usize, Failure> {
    let sizes = corpus::splits().iter().map(|split| corpus::size(split));
    Ok(sizes.sum::<Result<usize, _>>()?)
}
