//! `weightsmith bench`

mod rank;
mod step;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    data::{Augmentation, Dataset, Split},
    evaluate::{Scores, Summary, he_initialisation, judge, train_with_sgd},
    execute::Program,
    graph::DimBindings,
    onnx::{Model, atomic, splice},
    ops::registry,
    predictor::{BUNDLED, CalibrationSource, InputConfig, Predictor, bundled},
    spaces::{self, SampledGraph, Space, plain_cnn},
};

use super::{
    Common, Exit, Failure, evaluate::stored_weights, network::Network, predict::FilledNetwork,
    print, print_json,
};

/// Compare predicted weights with baselines on graphs that no training saw.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Predicted and random weights of held-out graphs on the test images
    Transfer(Transfer),
    /// SGD from random initialisation on the first held-out graphs; results are kept graph by graph
    Sgd(Sgd),
    /// Seconds of an architecture-step: predictor and network, forward, backward and update
    Step(step::Step),
    /// Label-free scores against the trained accuracies of a public table
    Rank(rank::Rank),
}

/// What both benchmarks read.
#[derive(Debug, Args)]
struct Setting {
    /// A bundled predictor, or a folder with config.json and model.safetensors
    #[arg(long, default_value = BUNDLED[0])]
    predictor: String,
    /// The data set, by path
    #[arg(long)]
    data: PathBuf,
    /// Search space to draw from; by default the one the predictor was trained on
    #[arg(long)]
    space: Option<String>,
    /// Use the first N test images only
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, Args)]
struct Transfer {
    #[command(flatten)]
    setting: Setting,
    /// Held-out graphs
    #[arg(long, default_value_t = 100)]
    graphs: u64,
    /// Results of `bench sgd` to set beside
    #[arg(long, value_name = "FILE")]
    sgd: Option<PathBuf>,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Sgd {
    #[command(flatten)]
    setting: Setting,
    /// Held-out graphs
    #[arg(long, default_value_t = 10)]
    graphs: u64,
    /// Lengths of training, each a run of its own
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5, 20])]
    epochs: Vec<usize>,
    /// File that results are added to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// One graph's figures.
#[derive(Debug, Serialize)]
struct GraphResult {
    name: String,
    family: String,
    norm: String,
    activation: String,
    parameters: u64,
    multiply_accumulates: u64,
    predicted: Scores,
    random: Scores,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sgd_epochs: BTreeMap<String, Scores>,
}

/// Curves by graph and epochs.
#[derive(Debug, Default, Serialize, Deserialize)]
struct SgdTable {
    schema: u32,
    data_hash: String,
    graphs: BTreeMap<String, BTreeMap<String, Scores>>,
}

impl Bench {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        match &self.command {
            BenchCommand::Transfer(transfer) => transfer.run(common),
            BenchCommand::Sgd(sgd) => sgd.run(common),
            BenchCommand::Step(step) => step.run(common),
            BenchCommand::Rank(rank) => rank.run(common),
        }
    }
}

impl Setting {
    fn open(&self) -> Result<(Predictor, Space, Dataset), Failure> {
        let predictor = bundled(&self.predictor, &Device::flex())?;
        let space = Space::load(self.space.as_ref().unwrap_or(&predictor.config.training.space))?;
        let test = Dataset::open(&self.data, Split::Test)?
            .with_channels(predictor.config.input.channels())?;
        Ok((predictor, space, test))
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

fn held_out(space: &Space, count: u64) -> Result<Vec<SampledGraph>, Failure> {
    spaces::Split::Test.seeds(count).map(|seed| Ok(space.sample(seed)?)).collect()
}

/// Fills a graph as `predict` does and judges the bytes that it would write.
fn predicted(
    predictor: &Predictor,
    name: &str,
    onnx: bytes::Bytes,
    test: &Dataset,
    limit: usize,
) -> Result<Scores, Failure> {
    let network = Network::of(Model::from_bytes(name, onnx)?, DimBindings::default())?;
    let images = predictor.calibration_images();
    let filled = FilledNetwork::new(&network, predictor, &images, CalibrationSource::Learned)?;
    let mut bytes = Vec::new();
    splice::write(&network.model, &filled.fills(&network), &mut bytes)?;
    let exported = Network::of(Model::from_bytes(name, bytes.into())?, DimBindings::default())?;
    let weights = stored_weights(&exported)?;
    Ok(judge(&exported.architecture, &weights, test, &predictor.config.input, limit)?)
}

fn random(
    graph: &SampledGraph,
    input: &InputConfig,
    test: &Dataset,
    limit: usize,
) -> Result<Scores, Failure> {
    let network =
        Network::of(Model::from_bytes(&graph.name, graph.onnx.clone())?, DimBindings::default())?;
    let weights = he_initialisation(&network.architecture, graph.seed);
    Ok(judge(&network.architecture, &weights, test, input, limit)?)
}

impl Transfer {
    fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let (predictor, space, test) = self.setting.open()?;
        let limit = self.setting.limit();
        let sgd = match &self.sgd {
            Some(path) => SgdTable::load(path)?,
            None => SgdTable::default(),
        };
        let graphs = held_out(&space, self.graphs)?;
        let bar = bar(graphs.len(), common);
        let results: Vec<GraphResult> = graphs
            .iter()
            .map(|graph| {
                let result = GraphResult {
                    name: graph.name.clone(),
                    family: format!("{:?}", graph.style.family).to_lowercase(),
                    norm: format!("{:?}", graph.style.norm).to_lowercase(),
                    activation: format!("{:?}", graph.style.activation).to_lowercase(),
                    parameters: graph.parameters,
                    multiply_accumulates: graph.multiply_accumulates,
                    predicted: predicted(
                        &predictor,
                        &graph.name,
                        graph.onnx.clone(),
                        &test,
                        limit,
                    )?,
                    random: random(graph, &predictor.config.input, &test, limit)?,
                    sgd_epochs: sgd.graphs.get(&graph.name).cloned().unwrap_or_default(),
                };
                bar.inc(1);
                Ok(result)
            })
            .collect::<Result<_, Failure>>()?;
        bar.finish_and_clear();
        let top1 =
            |of: fn(&GraphResult) -> &Scores| Summary::of(results.iter().map(|r| of(r).top1));
        let mut summary = BTreeMap::from([
            ("predicted".to_owned(), top1(|result| &result.predicted)),
            ("random".to_owned(), top1(|result| &result.random)),
        ]);
        let trained: Vec<&GraphResult> =
            results.iter().filter(|r| !r.sgd_epochs.is_empty()).collect();
        if !trained.is_empty() {
            let of = |r: &&GraphResult| r.predicted.top1;
            summary
                .insert("predicted, graphs of sgd".to_owned(), Summary::of(trained.iter().map(of)));
        }
        let epochs: std::collections::BTreeSet<&String> =
            trained.iter().flat_map(|result| result.sgd_epochs.keys()).collect();
        for epochs in epochs {
            let values = trained.iter().filter_map(|r| Some(r.sgd_epochs.get(epochs)?.top1));
            summary.insert(format!("sgd {epochs} epochs"), Summary::of(values));
        }
        let input = &predictor.config.input;
        let plain = match (input.channels(), input.size) {
            (3, 32) => Some(predicted(&predictor, "plain-cnn", plain_cnn().into(), &test, limit)?),
            _ => None,
        };
        let report = serde_json::json!({
            "schema": 1,
            "command": std::env::args().collect::<Vec<_>>().join(" "),
            "seed": common.seed,
            "predictor": predictor.config.name,
            "predictor_hash": predictor.hash,
            "space": space.name,
            "split": "test",
            "data_hash": test.hash,
            "images": test.len().min(limit),
            "summary": summary,
            "plain_cnn": plain,
            "graphs": results,
        });
        if let Some(path) = &self.out {
            save(path, &report)?;
        }
        if common.json {
            print_json(&report)?;
        } else {
            print(
                "top-1 (%)                  graphs   mean    std    min    p10 median    p90    max",
            )?;
            for (name, s) in &summary {
                let cells = [s.mean, s.std, s.min, s.p10, s.median, s.p90, s.max];
                let cells: Vec<String> =
                    cells.iter().map(|cell| format!("{:6.2}", 100.0 * cell)).collect();
                print(&format!("{name:26} {:6} {}", s.count, cells.join(" ")))?;
            }
            if let Some(plain) = plain {
                print(&format!("plain three-convolution CNN: {:.2}", 100.0 * plain.top1))?;
            }
        }
        Ok(Exit::Success)
    }
}

impl Sgd {
    fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let (predictor, space, test) = self.setting.open()?;
        let input = predictor.config.input;
        let train =
            Dataset::open(&self.setting.data, Split::Train)?.with_channels(input.channels())?;
        let augmentation =
            if input.channels() == 1 { Augmentation::Shift } else { Augmentation::Standard };
        let mut table = SgdTable::load(&self.out).unwrap_or_default();
        (table.schema, table.data_hash) = (1, train.hash.clone());
        let jobs: Vec<(SampledGraph, usize)> = self
            .epochs
            .iter()
            .flat_map(|&epochs| {
                held_out(&space, self.graphs)
                    .into_iter()
                    .flatten()
                    .map(move |graph| (graph, epochs))
            })
            .filter(|(graph, epochs)| {
                !table
                    .graphs
                    .get(&graph.name)
                    .is_some_and(|known| known.contains_key(&epochs.to_string()))
            })
            .collect();
        let bar = bar(jobs.len(), common);
        let table = std::sync::Mutex::new(table);
        jobs.par_iter().with_max_len(1).try_for_each(|(graph, epochs)| -> Result<(), Failure> {
            let network = Network::of(
                Model::from_bytes(&graph.name, graph.onnx.clone())?,
                DimBindings::default(),
            )?;
            let program = Program::compile(&network.architecture, registry())?;
            let architecture = &network.architecture;
            let weights = train_with_sgd(
                architecture,
                &program,
                &train,
                &input,
                augmentation,
                *epochs,
                common.seed,
            )?;
            let scores = judge(architecture, &weights, &test, &input, self.setting.limit())?;
            let mut table = table.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            table.graphs.entry(graph.name.clone()).or_default().insert(epochs.to_string(), scores);
            save(&self.out, &*table)?;
            bar.inc(1);
            Ok(())
        })?;
        bar.finish_and_clear();
        let table = table.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if common.json {
            print_json(&table)?;
        } else {
            print(&format!("{} graphs in {}", table.graphs.len(), self.out.display()))?;
        }
        Ok(Exit::Success)
    }
}

impl SgdTable {
    fn load(path: &Path) -> Result<Self, Failure> {
        let refuse = |problem: String| Failure::from(format!("{}: {problem}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))
    }
}

fn save(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    atomic::write(path, |out| out.write_all(&text))
        .map_err(|error| format!("{}: {error}", path.display()).into())
}

pub(super) fn bar(length: usize, common: &Common) -> ProgressBar {
    if common.quiet || common.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} left");
    ProgressBar::new(length as u64).with_style(style.unwrap_or(ProgressStyle::default_bar()))
}
