//! `weightsmith bench sgd`

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use clap::Args;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    data::{Augmentation, Dataset, Split},
    evaluate::{Scores, judge, train_with_sgd},
    execute::Program,
    fill::{Network, fills},
    graph::{DimBindings, Weights},
    onnx::{Model, atomic, splice},
};

use super::{
    super::{Common, Exit, Failure, one_line, print, print_json},
    Setting, bar,
    held_out::{HeldOut, held_out},
    save,
    subject::file_of,
};

#[derive(Debug, Args)]
pub(super) struct Sgd {
    #[command(flatten)]
    setting: Setting,
    /// Held-out graphs
    #[arg(long, default_value_t = 10)]
    graphs: u64,
    /// Lengths of training, each a run of its own
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5, 20])]
    epochs: Vec<usize>,
    /// Write the trained networks, the longest training of each graph, as references for `transfer`
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// File that results are added to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What training one graph for some epochs gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trained {
    images: usize,
    top1: f64,
    cross_entropy: f64,
    ece: f64,
    non_finite: usize,
}

impl From<Scores> for Trained {
    fn from(scores: Scores) -> Self {
        let Scores { images, top1, cross_entropy, ece, non_finite, .. } = scores;
        Self { images, top1, cross_entropy, ece, non_finite }
    }
}

/// Curves by graph and epochs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct SgdTable {
    schema: u32,
    data_hash: String,
    graphs: BTreeMap<String, BTreeMap<String, Trained>>,
}

impl Sgd {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let subject = self.setting.subject()?;
        let space = self.setting.space(&subject)?;
        let input = subject.input().clone();
        let test =
            Dataset::open(&self.setting.data, Split::Test)?.with_channels(input.channels())?;
        let train =
            Dataset::open(&self.setting.data, Split::Train)?.with_channels(input.channels())?;
        let augmentation =
            if input.channels() == 1 { Augmentation::Shift } else { Augmentation::Standard };
        let mut table = SgdTable::load(&self.out).unwrap_or_default();
        (table.schema, table.data_hash) = (1, train.hash.clone());
        let sets = held_out(&space, &self.setting.splits, self.graphs)?;
        let wanted = |graph: &HeldOut| self.setting.wants(graph);
        let graphs: Vec<HeldOut> =
            sets.into_iter().flat_map(|set| set.graphs).filter(wanted).collect();
        let jobs: Vec<(HeldOut, usize)> = self
            .epochs
            .iter()
            .flat_map(|&epochs| graphs.iter().cloned().map(move |graph| (graph, epochs)))
            .filter(|(graph, epochs)| {
                !table
                    .graphs
                    .get(&graph.name)
                    .is_some_and(|known| known.contains_key(&epochs.to_string()))
            })
            .collect();
        let limit = self.setting.limit.unwrap_or(usize::MAX);
        if let Some(folder) = &self.keep {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let fit = |graph: &HeldOut, epochs: usize, seed: u64| {
            let model = Model::from_bytes(&graph.name, graph.onnx.clone())?;
            let network = Network::of(model, DimBindings::default())?;
            let architecture = &network.architecture;
            let program = Program::compile(architecture, &network.registry)?;
            let weights =
                train_with_sgd(architecture, &program, &train, &input, augmentation, epochs, seed)?;
            Ok::<_, Failure>((network, weights))
        };
        let bar = bar(jobs.len(), common);
        let table = Mutex::new(table);
        let folder = self.keep.as_deref();
        let failed = Mutex::new(BTreeMap::new());
        jobs.par_iter().with_max_len(1).try_for_each(|(graph, epochs)| -> Result<(), Failure> {
            let trained = fit(graph, *epochs, common.seed).and_then(|(network, weights)| {
                let scores = judge(
                    &network.architecture,
                    &network.registry,
                    &weights,
                    &test,
                    &input,
                    limit,
                )?;
                if self.epochs.iter().max() == Some(epochs) {
                    folder.map_or(Ok(()), |folder| keep(folder, graph, &network, &weights))?;
                }
                Ok(scores)
            });
            bar.inc(1);
            match trained {
                Ok(scores) => {
                    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                    let curve = table.graphs.entry(graph.name.clone()).or_default();
                    curve.insert(epochs.to_string(), scores.into());
                    save(&self.out, &*table)
                }
                Err(error) => {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.insert(graph.name.clone(), one_line(error.as_ref()));
                    Ok(())
                }
            }
        })?;
        bar.finish_and_clear();
        let table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
        if common.json {
            print_json(&table)?;
        } else {
            print(&format!("{} graphs in {}", table.graphs.len(), self.out.display()))?;
        }
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (graph, why) in &failed {
            tracing::warn!("{graph} was not trained: {why}");
        }
        Ok(if failed.is_empty() { Exit::Success } else { Exit::Partial })
    }
}

/// Writes a trained network as a reference.
fn keep(
    folder: &Path,
    graph: &HeldOut,
    network: &Network,
    weights: &Weights,
) -> Result<(), Failure> {
    let path = file_of(folder, &graph.name);
    let changes = fills(network, weights);
    atomic::write(&path, |out| splice::write(&network.model, &changes, out))
        .map_err(|error| format!("{}: {error}", path.display()).into())
}

impl SgdTable {
    /// Top-1 of a graph by epochs of training.
    pub(super) fn curve(&self, graph: &str) -> BTreeMap<usize, f64> {
        let known = self.graphs.get(graph).into_iter().flatten();
        known.filter_map(|(epochs, of)| Some((epochs.parse().ok()?, of.top1))).collect()
    }

    /// Names of the graphs.
    pub(super) fn names(&self) -> Vec<&str> {
        self.graphs.keys().map(String::as_str).collect()
    }

    /// Epochs of the longest training there is.
    pub(super) fn longest(&self) -> usize {
        let epochs = self.graphs.values().flat_map(BTreeMap::keys);
        epochs.filter_map(|epochs| epochs.parse().ok()).max().unwrap_or(0)
    }

    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let refuse = |problem: String| Failure::from(format!("{}: {problem}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))
    }
}
