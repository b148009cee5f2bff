//! `weightsmith predict`

use std::{collections::BTreeSet, path::PathBuf, time::Instant};

use clap::Args;
use serde_json::json;

use crate::{
    data::class_list,
    device::{self, DeviceChoice},
    fill::{
        Calibration, Counts, FillOptions, Outputs, Report, ReportedNetwork, SCHEMA, WriteOptions,
        fill,
    },
    memory,
    predictor::{BUNDLED, Watermark, bundled},
};

use super::{
    Common, Exit, Failure,
    device::device_parser,
    drawn::DrawingArgs,
    flags::with_flags,
    network::NetworkArgs,
    print, print_json,
    progress::watch,
    sign::{Signing, SigningArgs},
    support::SupportArgs,
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
/// samples DIR/<stem>.1.onnx and so on. DIR/bom.json (CycloneDX) and DIR/README.md (a model card) say what they
/// descend from.
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
    /// support set, or else the batch that the predictor learned
    #[arg(long, value_name = "DATA")]
    calibrate: Option<PathBuf>,
    #[command(flatten)]
    support: SupportArgs,
    /// Put the normalisation of images into the graph, which then takes pixels from 0 to 1
    #[arg(long)]
    bake_normalization: bool,
    /// Mark the weights for the holder of a key, a secret file of at least 16 random bytes: see trace --watermark
    #[arg(long, value_name = "KEY")]
    watermark: Option<PathBuf>,
    #[command(flatten)]
    drawing: DrawingArgs,
    /// Where the predictor computes
    #[arg(long, default_value = "auto", value_parser = device_parser())]
    device: DeviceChoice,
    #[command(flatten)]
    signing: SigningArgs,
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
        let signing = self.signing.prepare(&self.out, self.force)?;
        let predictor = bundled(&self.predictor, &device)?;
        let options = self.options(&device_name, common)?;
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
        let mut files = filled.write_with(&self.out, &writing).map_err(with_flags)?;
        files.extend(signing.map(Signing::sign).transpose()?);
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
            let Counts { predicted, kept, default, calibrated, solved, skipped, .. } =
                report.parameters;
            let drawn = report.provenance.drawn.map_or_else(String::new, |drawn| {
                format!(
                    ", {} of {} samples in {} steps",
                    filled.networks().len(),
                    drawn.sampling.samples,
                    drawn.sampling.steps
                )
            });
            print(&format!(
                "{predicted} values predicted, {solved} solved, {calibrated} calibrated, {kept} kept, {default} default, {skipped} skipped in {fill:.2} s (seed {}{drawn}, {device_name})",
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
    fn options(&self, device: &str, common: &Common) -> Result<FillOptions, Failure> {
        Ok(FillOptions {
            seed: common.seed,
            sampling: self.drawing.sampling(),
            selection: self.drawing.selection(),
            ensemble: self.drawing.ensemble,
            calibration: self.calibrate.clone().map_or(Calibration::Usual, Calibration::Data),
            support: self.support.set(),
            bake_normalisation: self.bake_normalization,
            watermark: self.watermark.as_deref().map(Watermark::open).transpose()?,
            device: Some(device.to_owned()),
            observer: watch("steps", common),
        })
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
