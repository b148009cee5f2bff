//! `weightsmith merge`

mod config;
mod result;

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;

use crate::{
    fill::{MergeOptions, Network, Outputs, Parent, merge},
    merge::{Alignment, MergeError, Method, Recipe, Repair},
    onnx::folder::is_onnx,
    predictor::{BUNDLED, bundled},
};

pub(super) use result::tell;

use super::{
    Common, Exit, Failure, flags::with_flags, output::Replace, progress::watch, sign::SigningArgs,
};

/// Merge networks of one graph into one: their channels are brought into one order, their tensors are merged,
/// and activations are brought back. Networks with fewer channels or layers than the first one are brought to its
/// graph before. Writes DIR/<stem>.onnx, DIR/<stem>.safetensors and DIR/report.json; with --path DIR/path.svg, too.
/// Methods and parameters have the names and the meaning that they have in mergekit.
#[derive(Debug, Args)]
pub struct Merge {
    /// The networks, ONNX files with weights or state dicts; the result is in the form of the first one
    #[arg(value_name = "MODEL.onnx|MODEL.safetensors", required_unless_present = "config")]
    models: Vec<PathBuf>,
    /// The graph of state dicts; the result is in its form
    #[arg(long, value_name = "GRAPH.onnx")]
    graph: Option<PathBuf>,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A configuration of mergekit: merge_method, models, base_model, parameters
    #[arg(
        long,
        value_name = "FILE.yaml",
        conflicts_with_all = ["models", "method", "base", "weights", "density", "lambda", "normalize", "t"]
    )]
    config: Option<PathBuf>,
    /// mean (mergekit: linear), slerp, task-arithmetic, ties, dare-ties, dare-linear, soup or learned-soup
    #[arg(long, value_name = "METHOD", default_value_t = Method::Mean)]
    method: Method,
    /// The network that the others were trained from, for task-arithmetic, ties and dare
    #[arg(long, value_name = "BASE.onnx")]
    base: Option<PathBuf>,
    /// How much each network counts; 1 for each if not given
    #[arg(long, value_name = "W,W…", value_delimiter = ',', allow_negative_numbers = true)]
    weights: Vec<f64>,
    /// Share of each network's change that is kept, one for all or one for each; 1 if not given
    #[arg(long, value_name = "D,D…", value_delimiter = ',')]
    density: Vec<f64>,
    /// Factor of the sum of changes
    #[arg(long, value_name = "L", default_value_t = 1.0, allow_negative_numbers = true)]
    lambda: f64,
    /// Divide sums by the sum of weights; true for mean and ties if not given
    #[arg(long, value_name = "true|false")]
    normalize: Option<bool>,
    /// How far from the first network to the second, for slerp
    #[arg(long, value_name = "T", default_value_t = 0.5)]
    t: f64,
    /// What tells which channels correspond: weights, activations or none. If not given: activations for mean and
    /// slerp with --data, weights otherwise
    #[arg(long, value_name = "HOW")]
    align: Option<Alignment>,
    /// How activations are brought back: regression, statistics, rescale, closed-form or none. If not given:
    /// regression with --data (of a soup rescale, of a learned one statistics), closed-form without; where changes are
    /// added to a base, statistics with --data, none without
    #[arg(long, value_name = "HOW")]
    repair: Option<Repair>,
    /// A data set: statistics are measured and shares of a learned soup fitted on its training images, soups are chosen
    /// on its validation images, networks are judged on its test images
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    /// Judge networks on the first N test images only
    #[arg(long, value_name = "N", requires = "data")]
    limit: Option<usize>,
    /// Judge N networks on the way from the first network to the second, the two included, and draw them
    #[arg(long, value_name = "N", requires = "data", value_parser = clap::value_parser!(u8).range(3..))]
    path: Option<u8>,
    /// The predictor whose normalisation the images get where the file does not say
    #[arg(long, value_name = "PREDICTOR", default_value = BUNDLED[0])]
    predictor: String,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    replace: Replace,
}

/// What is merged, and how.
struct Plan {
    models: Vec<PathBuf>,
    base: Option<PathBuf>,
    recipe: Recipe,
}

impl Merge {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let Plan { models, base, mut recipe } = match &self.config {
            Some(path) => config::read(path)?,
            None => self.plan(),
        };
        recipe.seed = common.seed;
        recipe.check(models.len(), base.is_some())?;
        let graph = self.graph.as_ref().or(models.first()).filter(|path| is_onnx(path));
        let graph = graph.ok_or_else(|| MergeError::NoGraph {
            file: models.first().map_or_else(String::new, |path| path.display().to_string()),
        })?;
        let graph = Network::open(graph)?;
        let drawing = self.path.map(|_| self.out.join("path.svg"));
        let outputs = Outputs::new(&graph, &self.out, 1, false);
        let inputs = models.iter().chain(&base).cloned();
        outputs.made_from(inputs).check(self.replace.force).map_err(with_flags)?;
        let signing = self.signing.prepare(&self.out, self.replace.force)?;
        self.replace.vacant(&drawing.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        let parents: Vec<Parent> =
            models.iter().map(|path| Parent::read(path, &graph)).collect::<Result<_, _>>()?;
        let base = base.map(|path| Parent::read(&path, &graph)).transpose()?;
        let predictor = bundled(&self.predictor, &Device::flex())?;
        let options = MergeOptions {
            align: self
                .align
                .unwrap_or_else(|| Alignment::usual(recipe.method, self.data.is_some())),
            repair: self.repair,
            data: self.data.clone(),
            limit: self.limit.unwrap_or(usize::MAX),
            path: self.path.map(usize::from),
            observer: watch("steps", common),
            ..MergeOptions::new(recipe)
        };
        let filled = merge(&graph, &parents, base.as_ref(), &predictor, &options)?;
        tell(&filled, &self.out, self.replace.force, signing, common)
    }

    /// What the command line says.
    fn plan(&self) -> Plan {
        let models = self.models.clone();
        let usual = Recipe::usual(self.method, models.len());
        let each = |given: &Vec<f64>, usual: &Vec<f64>| match given[..] {
            [] => usual.clone(),
            [one] => vec![one; models.len()],
            _ => given.clone(),
        };
        let weight =
            if self.weights.is_empty() { usual.weight.clone() } else { self.weights.clone() };
        let recipe = Recipe {
            weight,
            density: each(&self.density, &usual.density),
            lambda: self.lambda,
            normalize: self.normalize.unwrap_or(usual.normalize),
            t: self.t,
            ..usual
        };
        Plan { models, base: self.base.clone(), recipe }
    }
}
