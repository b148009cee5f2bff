//! `weightsmith finetune`

use std::{fs, path::PathBuf};

use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use crate::{
    condition::{Epoch, FineTuning},
    fill::{FineTuneOptions, Outputs, SCHEMA, WriteOptions, checkpoint_path, finetune},
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

/// Train a network on labelled images from the weights in its file, as `predict` leaves them. Writes
/// DIR/<stem>.onnx, DIR/<stem>.safetensors and DIR/report.json with the epoch that classifies most of the
/// validation images right, and what they descend from in DIR/bom.json and DIR/README.md. A run that was
/// interrupted goes on where it stood.
#[derive(Debug, Args)]
pub struct FineTune {
    #[command(flatten)]
    network: NetworkArgs,
    /// Labelled images: the training images of a data set are trained on, its validation images choose the
    /// epoch
    #[arg(long, value_name = "DATA")]
    support: PathBuf,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
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

impl FineTune {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let network = self.network.read()?;
        let outputs = Outputs::new(&network, &self.out, 1, false);
        outputs.check(self.force).map_err(with_flags)?;
        let signing = self.signing.prepare(&self.out, self.force)?;
        fs::create_dir_all(&self.out)
            .map_err(|error| format!("{}: {error}", self.out.display()))?;
        let usual = bundled(&self.predictor, &Device::flex())?.config.input;
        let checkpoint = checkpoint_path(&network, &self.out);
        let options = FineTuneOptions {
            data: self.support.clone(),
            tuning: self.tuning.tuning(FineTuning::default())?,
            seed: common.seed,
            checkpoint: Some(checkpoint.clone()),
            observer: watch("steps", common),
        };
        let tuned = finetune(&network, &usual, &options)?;
        let report = tuned.report();
        let writing = WriteOptions { overwrite: self.force };
        let mut files = tuned.write_with(&self.out, &writing).map_err(with_flags)?;
        // The run is over: what it would go on from is of no use any more.
        let _ = fs::remove_file(checkpoint);
        files.extend(signing.map(Signing::sign).transpose()?);
        let run = report.provenance.finetuned.as_ref().map(|record| &record.run);
        if common.json {
            print_json(&json!({
                "schema": SCHEMA,
                "seed": common.seed,
                "finetuned": run,
                "classes": report.classes,
                "notices": report.notices,
                "sanity_checks": [&report.sanity_check],
                "files": files,
            }))?;
        } else if let Some(run) = run {
            for Epoch { number, loss, top1 } in &run.epochs {
                let loss = loss.map_or("-".to_owned(), |loss| format!("{loss:.4}"));
                let best = if *number == run.best { "  <- kept" } else { "" };
                print(&format!(
                    "epoch {number:>3}  loss {loss:>7}  validation {:>6.2} %{best}",
                    100.0 * top1.unwrap_or(f64::NAN)
                ))?;
            }
        }
        written::tell(report, &files, common)
    }
}
