//! `weightsmith adapt`

use std::path::PathBuf;

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::{
    data::Split,
    fill::{AdaptOptions, Adaptation, NetworkImages, Outputs, SCHEMA, WriteOptions, adapt},
    predictor::{BUNDLED, bundled},
};

use super::{
    Common, Exit, Failure,
    flags::with_flags,
    network::NetworkArgs,
    print, print_json,
    progress::watch,
    sign::{Signing, SigningArgs},
    tuning::TuningArgs,
    written,
};

/// Adapt a trained network to other images, by changing little of it. Writes what `finetune` writes and, of low-rank
/// differences, adapter_model.safetensors and adapter_config.json as PEFT reads them, and NAME.adapter.onnx, in which they
/// are tensors beside the weights of the input. The head is solved at the start and trained along; for another number of
/// classes it is replaced. Statistics of norms are measured anew.
#[derive(Debug, Args)]
pub struct Adapt {
    #[command(flatten)]
    network: NetworkArgs,
    /// Labelled images: the training images of a data set are adapted to, its validation images choose the
    /// epoch
    #[arg(long, value_name = "DATA")]
    support: PathBuf,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What is changed
    #[arg(long, value_enum, default_value_t = Method::LowRank)]
    method: Method,
    /// Rank of the differences
    #[arg(long, value_name = "R", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    rank: u16,
    /// Differences are multiplied by ALPHA / RANK [default: twice the rank]
    #[arg(long, value_name = "ALPHA")]
    alpha: Option<f32>,
    #[command(flatten)]
    tuning: TuningArgs,
    /// The predictor whose normalisation the images get where the file does not say
    #[arg(long, default_value = BUNDLED[0])]
    predictor: String,
    #[command(flatten)]
    signing: SigningArgs,
    /// Replace results of an earlier run
    #[arg(long)]
    force: bool,
}

/// An [`Adaptation`] by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    /// The head, in closed form
    Head,
    /// The head, and gains and shifts of norms
    Norms,
    /// The head, and a low-rank difference of every dense weight
    LowRank,
    /// Everything, as `finetune` does
    Full,
}

impl Adapt {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let network = self.network.read()?;
        Outputs::new(&network, &self.out, 1, false).check(self.force).map_err(with_flags)?;
        let signing = self.signing.prepare(&self.out, self.force)?;
        let train = NetworkImages::open(&self.support, Split::Train, &network)?;
        let classes = train.data.classes.len();
        let network = match network.class_count()? == classes {
            true => network,
            false => network.for_classes(classes, &self.network.options())?,
        };
        let usual = bundled(&self.predictor, &Device::flex())?.config.input;
        let rank = usize::from(self.rank);
        let alpha = self.alpha.unwrap_or(2.0 * f32::from(self.rank));
        if !alpha.is_finite() || alpha <= 0.0 {
            return Err("--alpha must be positive".into());
        }
        let adaptation = match self.method {
            Method::Head => Adaptation::Head,
            Method::Norms => Adaptation::Norms,
            Method::LowRank => Adaptation::LowRank { rank, alpha },
            Method::Full => Adaptation::Full,
        };
        let options = AdaptOptions {
            data: self.support.clone(),
            adaptation,
            tuning: self.tuning.tuning(adaptation.usual_tuning())?,
            seed: common.seed,
            observer: watch("steps", common),
        };
        let adapted = adapt(&network, &usual, train, &options)?;
        let writing = WriteOptions { overwrite: self.force };
        let mut files = adapted.write_with(&self.out, &writing).map_err(with_flags)?;
        files.extend(signing.map(Signing::sign).transpose()?);
        let report = adapted.filled.report();
        let run = report.provenance.finetuned.as_ref().map(|record| &record.run);
        let best = run.and_then(|run| run.epochs[run.best].top1).unwrap_or(f64::NAN);
        let share = 100.0 * adapted.trained as f64 / adapted.parameters.max(1) as f64;
        if common.json {
            print_json(&json!({
                "schema": SCHEMA,
                "seed": common.seed,
                "adaptation": options.adaptation,
                "head": adapted.head,
                "trained": adapted.trained,
                "parameters": adapted.parameters,
                "start": adapted.start,
                "finetuned": run,
                "classes": report.classes,
                "notices": report.notices,
                "sanity_checks": [&report.sanity_check],
                "files": files,
            }))?;
        } else {
            print(&format!(
                "validation {:.2} % with the solved head, {:.2} % adapted; {} of {} parameters changed ({share:.1} %)",
                100.0 * adapted.start,
                100.0 * best,
                adapted.trained,
                adapted.parameters,
            ))?;
        }
        written::tell(report, &files, common)
    }
}
