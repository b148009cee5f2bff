//! `weightsmith evaluate`

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::{
    data::{Dataset, Split},
    evaluate::{ClassAccuracy, batches, run_reference, tally},
    fill::{Network, NetworkImages},
    graph::Weights,
    onnx::atomic,
    predictor::{BUNDLED, InputConfig, bundled},
};

use super::{Common, Exit, Failure, network::NetworkArgs, print, print_json};

/// Measure a filled network on a data set: top-1, also of each class, cross-entropy, expected calibration
/// error.
#[derive(Debug, Args)]
pub struct Evaluate {
    #[command(flatten)]
    network: NetworkArgs,
    /// Take the weights from a state dict instead of the file
    #[arg(long, value_name = "F.safetensors")]
    weights: Option<PathBuf>,
    /// The data set, by path
    #[arg(long)]
    data: PathBuf,
    /// Which images
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// Use the first N images only
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Write the first image and what the network returns for it by our executor, as JSON
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
    /// The predictor whose normalisation the images get where the file does not say
    #[arg(long, default_value = BUNDLED[0])]
    predictor: String,
}

/// A split by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Part {
    /// Test images
    Test,
    /// Images held out of the training set
    Val,
}

impl From<Part> for Split {
    fn from(part: Part) -> Self {
        match part {
            Part::Test => Self::Test,
            Part::Val => Self::Val,
        }
    }
}

impl Evaluate {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let network = self.network.read()?;
        if let Some(why) = network.unsupported().first() {
            return Err(format!("{}: cannot be run: {why}", network.model.name()).into());
        }
        let usual = bundled(&self.predictor, &Device::flex())?.config.input;
        let input = network.input_config(&usual);
        let images = NetworkImages::open(&self.data, self.split.into(), &network)?;
        let (data, matched) = network.by_class_names(images.data);
        let notices: Vec<String> = images.notices.into_iter().chain(matched).collect();
        let weights = match &self.weights {
            None => network.stored_weights()?,
            Some(path) => network.state_dict_weights(path)?,
        };
        if let Some(path) = &self.logits {
            write_logits(&network, &weights, &data, &input, path)?;
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        let tally = tally(&network.architecture, &network.registry, &weights, &data, &input, limit)
            .map_err(|error| format!("{}: {error}", network.model.name()))?;
        let scores = tally.scores();
        let by_class = ClassAccuracy::of(&data.classes, &data.labels, tally.wrong());
        if common.json {
            print_json(&json!({
                "schema": 1,
                "seed": common.seed,
                "scores": network.architecture.scores,
                "top1": scores.top1,
                "cross_entropy": scores.cross_entropy,
                "ece": scores.ece,
                "brier": scores.brier,
                "images": scores.images,
                "non_finite": scores.non_finite,
                "classes": data.classes,
                "by_class": by_class,
                "notices": notices,
            }))?;
        } else {
            print(&format!(
                "top-1 {:.2} %, cross-entropy {:.4}, calibration error {:.4} on {} images (seed {})",
                100.0 * scores.top1,
                scores.cross_entropy,
                scores.ece,
                scores.images,
                common.seed
            ))?;
            for notice in notices {
                print(&format!("note: {notice}"))?;
            }
            print(table(&by_class).trim_end())?;
        }
        Ok(Exit::Success)
    }
}

/// Top-1 of every class, in the order of the outputs.
fn table(classes: &[ClassAccuracy]) -> String {
    let widest = classes.iter().map(|it| it.class.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!("{:<widest$}  {:>6}  {:>8}\n", "class", "images", "top-1");
    for ClassAccuracy { class, images, top1 } in classes {
        let top1 = top1.map_or("-".to_owned(), |top1| format!("{:.2} %", 100.0 * top1));
        text += &format!("{class:<widest$}  {images:>6}  {top1:>8}\n");
    }
    text
}

/// Runs the reference executor on the first image.
fn write_logits(
    network: &Network,
    weights: &Weights,
    data: &Dataset,
    input: &InputConfig,
    path: &Path,
) -> Result<(), Failure> {
    let architecture = &network.architecture;
    let shape = architecture.inputs.first().and_then(|input| input.shape.clone());
    let shape = shape.unwrap_or_default();
    let (image, _) = batches(architecture, data, input)?.range(0..1);
    let logits = run_reference(architecture, &network.registry, weights, &shape, &image)?;
    let scores = architecture.scores.of_logits(&logits);
    let result = json!({
        "input": { "shape": shape, "values": image },
        "output": { "shape": [1, scores.len()], "values": scores },
    });
    atomic::write(path, |out| out.write_all(result.to_string().as_bytes()))
        .map_err(|error| format!("{}: {error}", path.display()).into())
}
