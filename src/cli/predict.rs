//! `weightsmith predict`

use std::{collections::BTreeSet, path::PathBuf, time::Instant};

use clap::Args;
use serde_json::json;

use crate::{
    data::class_list,
    device::{self, DeviceChoice},
    fill::{
        Calibration, Counts, FillOptions, Outputs, Report, ReportedNetwork, SCHEMA, SupportSet,
        WriteOptions, fill,
    },
    memory,
    predictor::{BUNDLED, Steering, bundled},
};

use super::{
    Common, Exit, Failure, device::device_parser, drawn::DrawingArgs, flags::with_flags,
    network::NetworkArgs, print, print_json, progress::watch,
};

/// What `--help` says last.
const EXIT_CODES: &str = "\
Exit codes:
  0  The network is filled and, as far as could be seen, alive
  2  Usage or input is wrong; nothing is written
  3  Files are written, but not to be used as they are: part of the graph is not supported, weights
     keep what the file held or have no values, statistics keep their defaults, or the network is
     dead. Messages, --json and report.json say why and what to do";

/// Write the weights of a graph: DIR/<stem>.onnx, DIR/<stem>.safetensors, DIR/report.json; of further
/// samples DIR/<stem>.1.onnx and so on.
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub struct Predict {
    #[command(flatten)]
    network: NetworkArgs,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A bundled predictor, or a folder with config.json and model.safetensors
    #[arg(long, default_value = BUNDLED[0])]
    predictor: String,
    /// Measure batch-normalisation statistics on unlabelled images of a data set instead of the
    /// batch that the predictor learned
    #[arg(long, value_name = "DATA")]
    calibrate: Option<PathBuf>,
    /// Move the weights towards labelled images of a data set: gradient steps on its training images. Its
    /// classes become those of the outputs
    #[arg(long, value_name = "DATA")]
    support: Option<PathBuf>,
    /// Such steps
    #[arg(long, value_name = "N", requires = "support", default_value_t = Steering::default().steps as u16)]
    support_steps: u16,
    /// Images of a step
    #[arg(long, value_name = "N", requires = "support", default_value_t = Steering::default().batch as u16, value_parser = clap::value_parser!(u16).range(1..))]
    support_batch: u16,
    /// Norm of the first step of a matrix beside the norm of the matrix; steps that do harm are taken back
    #[arg(long, value_name = "R", requires = "support", default_value_t = Steering::default().rate, value_parser = rate)]
    support_rate: f32,
    /// Largest factor by which the step size of a sample may differ from the usual one; it is drawn
    #[arg(long, value_name = "F", requires = "support", default_value_t = 1.0, value_parser = factor)]
    support_spread: f32,
    #[command(flatten)]
    drawing: DrawingArgs,
    /// Where the predictor computes
    #[arg(long, default_value = "auto", value_parser = device_parser())]
    device: DeviceChoice,
    /// Replace results of an earlier run
    #[arg(long)]
    force: bool,
}

impl Predict {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let mut watch = Stopwatch::start();
        let network = self.network.read()?;
        let read = watch.lap();
        let (device, device_name) = device::choose(self.device)?;
        tracing::info!("seed {}, device {device_name}", common.seed);
        let predictor = bundled(&self.predictor, &device)?;
        let options = self.options(&device_name, common);
        let sampling = options.sampling(&predictor);
        let writing = WriteOptions { overwrite: self.force };
        let kept = options.selection.keeps(sampling.samples);
        Outputs::new(&network, &self.out, kept, options.ensemble)
            .check(writing.overwrite)
            .map_err(with_flags)?;
        let load = watch.lap();
        let filled = fill(&network, &predictor, &options)?;
        let report = filled.report();
        let fill = watch.lap();
        for stand_in in &report.stand_ins {
            tracing::warn!("{stand_in}");
        }
        let files = filled.write_with(&self.out, &writing).map_err(with_flags)?;
        let written_in = watch.lap();

        let reports = || filled.networks().iter().map(ReportedNetwork::report);
        let drawn = reports().map(|report| report.provenance.drawn);
        let sanity_checks: Vec<_> = reports().map(|report| &report.sanity_check).collect();
        if common.json {
            print_json(&json!({
                "schema": SCHEMA,
                "predictor": self.predictor,
                "seed": common.seed,
                "drawn": drawn.collect::<Vec<_>>(),
                "device": device_name,
                "seconds": fill,
                "timings": { "read": read, "load": load, "fill": fill, "write": written_in },
                "peak_memory_bytes": memory::peak(),
                "parameters": report.parameters,
                "calibration": report.calibration,
                "classes": report.classes,
                "notices": report.notices,
                "stand_ins": report.stand_ins,
                "outlook": report.outlook,
                "unsupported": report.unsupported,
                "sanity_checks": sanity_checks,
                "files": files,
            }))?;
        } else {
            let Counts { predicted, kept, default, calibrated, skipped } = report.parameters;
            let drawn = report.provenance.drawn.map_or_else(String::new, |drawn| {
                format!(
                    ", {} of {} samples in {} steps",
                    filled.networks().len(),
                    drawn.sampling.samples,
                    drawn.sampling.steps
                )
            });
            print(&format!(
                "{predicted} values predicted, {calibrated} calibrated, {kept} kept, {default} default, {skipped} skipped in {fill:.2} s (seed {}{drawn}, {device_name})",
                common.seed
            ))?;
            if let Some(classes) = &report.classes {
                print(&format!("outputs stand for {}", class_list(classes)))?;
            }
            if let Some(outlook) = &report.outlook {
                print(&format!("outlook: {outlook}"))?;
            }
            for line in report.notices.iter().chain(&report.unsupported) {
                print(&format!("note: {line}"))?;
            }
            for path in files {
                print(&format!("wrote {}", path.display()))?;
            }
        }
        let findings: BTreeSet<String> = sanity_checks
            .iter()
            .flat_map(|check| &check.findings)
            .map(ToString::to_string)
            .collect();
        for finding in &findings {
            tracing::error!("{finding}");
        }
        let complete = reports().all(Report::is_complete);
        Ok(if complete { Exit::Success } else { Exit::Partial })
    }

    /// How the network is filled.
    fn options(&self, device: &str, common: &Common) -> FillOptions {
        let steering = Steering {
            steps: self.support_steps.into(),
            batch: self.support_batch.into(),
            rate: self.support_rate,
            spread: self.support_spread,
        };
        FillOptions {
            seed: common.seed,
            sampling: self.drawing.sampling(),
            selection: self.drawing.selection(),
            ensemble: self.drawing.ensemble,
            calibration: self.calibrate.clone().map_or(Calibration::Learned, Calibration::Data),
            support: self.support.clone().map(|data| SupportSet { data, steering }),
            device: Some(device.to_owned()),
            observer: watch("steps", common),
        }
    }
}

fn factor(text: &str) -> Result<f32, String> {
    number(text, |value| value >= 1.0, "must be 1 or more")
}

fn rate(text: &str) -> Result<f32, String> {
    number(text, |value| value > 0.0, "must be positive")
}

/// A finite number within a range.
fn number(text: &str, fits: fn(f32) -> bool, otherwise: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|error| format!("{error}"))?;
    match value.is_finite() && fits(value) {
        true => Ok(value),
        false => Err(otherwise.to_owned()),
    }
}

/// Seconds from one moment to the next.
struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut self.0, now)).as_secs_f64()
    }
}
