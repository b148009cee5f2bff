//! `weightsmith edit`

use std::path::PathBuf;

use burn::tensor::Device;
use clap::{ArgGroup, Args};

use crate::{
    fill::{FillError, MergeOptions, Network, Outputs, Parent, merge},
    merge::{Alignment, Method, Pattern, Recipe},
    predictor::{BUNDLED, bundled},
};

use super::{
    Common, Exit, Failure, flags::with_flags, merge::tell, output::Replace, sign::SigningArgs,
};

/// Add to a network what others have learned beyond it, or take it away: task vectors (Ilharco et al. 2023). A
/// network that was trained on adds a skill, one that was trained on a class alone takes it away. Writes
/// DIR/<stem>.onnx, DIR/<stem>.safetensors and DIR/report.json.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("tasks").required(true).multiple(true)))]
pub struct Edit {
    /// The network, with weights
    #[arg(value_name = "BASE.onnx")]
    base: PathBuf,
    /// Add what a network has learned beyond the base, times a scale
    #[arg(long, value_name = "TUNED.onnx[:SCALE]", value_parser = task, group = "tasks")]
    add: Vec<Task>,
    /// Take it away
    #[arg(long, value_name = "TUNED.onnx[:SCALE]", value_parser = task, group = "tasks")]
    negate: Vec<Task>,
    /// Change only tensors of such a name in the file or in PyTorch's state dict; '*' stands for any letters
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    layers: Vec<Pattern>,
    /// A data set: statistics are measured on its training images, and the network is judged on its test images
    /// before and after
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    /// Judge on the first N test images only
    #[arg(long, value_name = "N", requires = "data")]
    limit: Option<usize>,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The predictor whose normalisation the images get where the file does not say
    #[arg(long, value_name = "PREDICTOR", default_value = BUNDLED[0])]
    predictor: String,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    replace: Replace,
}

/// A network and how much its task vector counts.
type Task = (PathBuf, f64);

fn task(text: &str) -> Result<Task, String> {
    let scaled = text.rsplit_once(':').and_then(|(path, scale)| Some((path, scale.parse().ok()?)));
    let (path, scale): (&str, f64) = scaled.unwrap_or((text, 1.0));
    match scale.is_finite() && !path.is_empty() {
        true => Ok((path.into(), scale)),
        false => Err("expected a file, perhaps with a number behind a colon".to_owned()),
    }
}

impl Edit {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let graph = Network::open(&self.base)?;
        let negated = self.negate.iter().map(|(path, scale)| (path, -scale));
        let tasks: Vec<(&PathBuf, f64)> =
            self.add.iter().map(|(path, scale)| (path, *scale)).chain(negated).collect();
        let outputs = Outputs::new(&graph, &self.out, 1, false);
        let outputs = outputs.made_from(tasks.iter().map(|(path, _)| (*path).clone()));
        outputs.check(self.replace.force).map_err(with_flags)?;
        let signing = self.signing.prepare(&self.out, self.replace.force)?;
        let base = Parent::read(&self.base, &graph)?;
        let tuned = tasks.iter().map(|(path, _)| Parent::read(path, &graph));
        let tuned: Vec<Parent> = tuned.collect::<Result<_, FillError>>()?;
        let predictor = bundled(&self.predictor, &Device::flex())?;
        let recipe = Recipe {
            weight: tasks.iter().map(|&(_, scale)| scale).collect(),
            seed: common.seed,
            ..Recipe::usual(Method::TaskArithmetic, tasks.len())
        };
        let options = MergeOptions {
            // What was trained from the base has its order of channels.
            align: Alignment::None,
            data: self.data.clone(),
            limit: self.limit.unwrap_or(usize::MAX),
            layers: self.layers.clone(),
            ..MergeOptions::new(recipe)
        };
        let edited = merge(&graph, &tuned, Some(&base), &predictor, &options)?;
        tell(&edited, &self.out, self.replace.force, signing, common)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_stands_behind_a_colon() {
        assert_eq!(task("a.onnx"), Ok(("a.onnx".into(), 1.0)));
        assert_eq!(task("a.onnx:0.5"), Ok(("a.onnx".into(), 0.5)));
        assert_eq!(task("C:\\a.onnx:2"), Ok(("C:\\a.onnx".into(), 2.0)));
        assert_eq!(task("C:\\a.onnx"), Ok(("C:\\a.onnx".into(), 1.0)));
        assert!(task(":2").is_err() && task("a.onnx:inf").is_err());
    }
}
