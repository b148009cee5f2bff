//! `weightsmith bench transfer`

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    data::Dataset,
    evaluate::{Scores, Summary, he_initialisation, judge},
    graph::DimBindings,
    onnx::{Model, splice},
    predictor::{CalibrationSource, InputConfig, Predictor},
    spaces::plain_cnn,
};

use super::{
    super::{
        Common, Exit, Failure, evaluate::stored_weights, network::Network, predict::FilledNetwork,
        print, print_json,
    },
    Setting, bar,
    held_out::{HeldOut, held_out},
    save,
    sgd::{SgdTable, Trained},
};

#[derive(Debug, Args)]
pub(super) struct Transfer {
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

/// One graph's figures.
#[derive(Debug, Serialize)]
struct GraphResult {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<String>,
    family: Option<String>,
    norm: Option<String>,
    activation: Option<String>,
    parameters: u64,
    multiply_accumulates: u64,
    predicted: Scores,
    random: Scores,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sgd_epochs: BTreeMap<String, Trained>,
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
    graph: &HeldOut,
    input: &InputConfig,
    test: &Dataset,
    limit: usize,
) -> Result<Scores, Failure> {
    let network =
        Network::of(Model::from_bytes(&graph.name, graph.onnx.clone())?, DimBindings::default())?;
    let weights = he_initialisation(&network.architecture, graph.seed);
    Ok(judge(&network.architecture, &weights, test, input, limit)?)
}

fn lowercase(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

impl Transfer {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let (predictor, space, test) = self.setting.open()?;
        let limit = self.setting.limit();
        let sgd = match &self.sgd {
            Some(path) => SgdTable::load(path)?,
            None => SgdTable::default(),
        };
        let graphs = held_out(&space, &self.setting.splits, self.graphs)?;
        let bar = bar(graphs.len(), common);
        let results: Vec<GraphResult> = graphs
            .iter()
            .map(|graph| {
                let result = GraphResult {
                    name: graph.name.clone(),
                    split: graph.split.clone(),
                    family: graph.style.map(|style| lowercase(&style.family)),
                    norm: graph.style.map(|style| lowercase(&style.norm)),
                    activation: graph.style.map(|style| lowercase(&style.activation)),
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
        for split in &self.setting.splits {
            let of_split = results.iter().filter(|result| result.split.as_ref() == Some(split));
            let values = of_split.map(|result| result.predicted.top1);
            summary.insert(format!("predicted, {split}"), Summary::of(values));
        }
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
        let splits = &self.setting.splits;
        let report = serde_json::json!({
            "schema": 1,
            "command": std::env::args().collect::<Vec<_>>().join(" "),
            "seed": common.seed,
            "predictor": predictor.config.name,
            "predictor_hash": predictor.hash,
            "space": splits.is_empty().then_some(&space.name),
            "split": if splits.is_empty() { "test".to_owned() } else { splits.join(",") },
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
