//! `weightsmith corpus`

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

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
    /// Pack the files that the script of a split exported
    Import(Import),
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
struct Import {
    /// Split of the corpus that is made of exported files
    #[arg(value_name = "SPLIT")]
    split: String,
    /// Folder of ONNX files, as the script of the split writes it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Where the split goes
    #[arg(long, value_name = "DIR", default_value = "architectures/corpus")]
    out: PathBuf,
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
    split: String,
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
            CorpusCommand::Import(import) => import.run(common),
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
            splits.iter().map(|(split, graphs)| write(&self.out, split, graphs)).collect()
        };
        let results = results?;
        show(&results, common)?;
        let differs = results.iter().any(|result| result.state == State::Differs);
        Ok(if differs { Exit::Negative } else { Exit::Success })
    }

    /// The files that are there, in the order of the splits.
    fn stored(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let read = |split: &&str| {
            let path = path(&self.out, split);
            std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
        };
        corpus::splits().iter().map(read).collect()
    }
}

impl Import {
    fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let graphs = corpus::import(&self.split, &self.folder, &Registry::standard())?;
        let result = write(&self.out, &self.split, &graphs)?;
        show(&[result], common)?;
        Ok(Exit::Success)
    }
}

fn path(folder: &Path, split: &str) -> PathBuf {
    folder.join(format!("{split}.archs.xz"))
}

fn write(folder: &Path, split: &str, graphs: &[CorpusGraph]) -> Result<SplitResult, Failure> {
    let path = path(folder, split);
    let failed = |error: std::io::Error| Failure::from(format!("{}: {error}", path.display()));
    let packed = corpus::pack(graphs).map_err(failed)?;
    std::fs::create_dir_all(folder).map_err(failed)?;
    atomic::write(&path, |out| out.write_all(&packed)).map_err(failed)?;
    let (split, bytes) = (split.to_owned(), packed.len());
    Ok(SplitResult { split, graphs: graphs.len(), bytes, state: State::Written })
}

fn show(results: &[SplitResult], common: &Common) -> Result<(), Failure> {
    if common.json {
        return print_json(&json!({ "schema": 1, "splits": results }));
    }
    print("split        graphs     bytes")?;
    for SplitResult { split, graphs, bytes, state } in results {
        let state = format!("{state:?}").to_lowercase();
        print(&format!("{split:12} {graphs:6} {bytes:9}  {state}"))?;
    }
    Ok(())
}

/// What is compressed counts, not how: another release of the compressor may differ.
fn compare(split: &str, graphs: &[CorpusGraph], stored: &[u8]) -> Result<SplitResult, Failure> {
    let same = corpus::unpack(split, stored)? == graphs;
    let state = if same { State::Same } else { State::Differs };
    let split = split.to_owned();
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
