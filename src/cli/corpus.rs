//! `weightsmith corpus`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{
    corpus::{self, CorpusGraph},
    onnx::atomic,
};

use super::{Common, Exit, Failure, print, print_json};

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
        }
    }
}

impl Generate {
    fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let sizes = corpus::splits().iter().map(|split| corpus::size(split));
        let bar = bar(sizes.sum::<Result<usize, _>>()?, common);
        let splits = corpus::generate(&|graphs| bar.inc(graphs as u64))?;
        bar.finish_and_clear();
        let results = splits
            .iter()
            .map(|(split, graphs)| self.compare_or_write(split, graphs))
            .collect::<Result<Vec<_>, Failure>>()?;
        if common.json {
            print_json(&serde_json::json!({ "schema": 1, "splits": results }))?;
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

    fn compare_or_write(
        &self,
        split: &'static str,
        graphs: &[CorpusGraph],
    ) -> Result<SplitResult, Failure> {
        let path = self.out.join(format!("{split}.archs.xz"));
        let failed = |error: std::io::Error| Failure::from(format!("{}: {error}", path.display()));
        let (bytes, state) = if self.check {
            let stored = std::fs::read(&path).map_err(failed)?;
            // What is compressed counts, not how: another release of the compressor may differ.
            let same = corpus::unpack(split, &stored)? == graphs;
            (stored.len(), if same { State::Same } else { State::Differs })
        } else {
            let packed = corpus::pack(graphs).map_err(failed)?;
            std::fs::create_dir_all(&self.out).map_err(failed)?;
            atomic::write(Path::new(&path), |out| out.write_all(&packed)).map_err(failed)?;
            (packed.len(), State::Written)
        };
        Ok(SplitResult { split, graphs: graphs.len(), bytes, state })
    }
}

fn bar(length: usize, common: &Common) -> ProgressBar {
    if common.quiet || common.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} left");
    ProgressBar::new(length as u64).with_style(style.unwrap_or(ProgressStyle::default_bar()))
}
