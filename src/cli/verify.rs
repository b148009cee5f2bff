//! `weightsmith verify`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::{
    device::{self, DeviceChoice},
    fill::{
        Calibration, Network, Provenance, RecordedReport, RegenerateOptions, Verification,
        regenerate, verify,
    },
    predictor::bundled,
};

use super::{Common, Exit, Failure, device::device_parser, flags::with_flags, print, print_json};

/// Check a filled network against the report that was written with it: its bytes, every tensor, and
/// what it says of its origin. Exit code 1 if anything differs.
#[derive(Debug, Args)]
pub struct Verify {
    /// The filled network
    #[arg(value_name = "FILE.onnx")]
    file: PathBuf,
    /// The report; by default report.json beside the file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Predict again from the network that was filled, and compare bit for bit
    #[arg(long, value_name = "INPUT.onnx")]
    regenerate: Option<PathBuf>,
    /// The predictor to predict again with; by default the one that the report names
    #[arg(long, requires = "regenerate")]
    predictor: Option<String>,
    /// The data set that statistics were measured on, if they were
    #[arg(long, value_name = "DATA", requires = "regenerate")]
    calibrate: Option<PathBuf>,
    /// The data set that weights were moved towards, if they were
    #[arg(long, value_name = "DATA", requires = "regenerate")]
    support: Option<PathBuf>,
    /// Where to predict again
    #[arg(long, default_value = "auto", value_parser = device_parser())]
    device: DeviceChoice,
}

impl Verify {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let report_path = self.report.clone().unwrap_or_else(|| folder.join("report.json"));
        let report = RecordedReport::open(&report_path)?;
        let mut verification = verify(&self.file, &report)?;
        if let Some(input) = &self.regenerate {
            verification.checks.extend(self.regenerate(input, &report)?.checks);
        }
        let holds = verification.holds();
        let Verification { checks, notes } = verification;
        if common.json {
            print_json(&json!({
                "schema": 1,
                "seed": common.seed,
                "file": self.file,
                "report": report_path,
                "holds": holds,
                "checks": checks,
                "notes": notes,
            }))?;
        } else {
            for check in &checks {
                match &check.problem {
                    None => print(&format!("holds    {}", check.what))?,
                    Some(problem) => print(&format!("DIFFERS  {}: {problem}", check.what))?,
                }
            }
            for note in notes {
                print(&format!("note: {note}"))?;
            }
            let Provenance { weights, predictor, seed, tool, .. } = &report.provenance;
            if holds {
                print(&format!("weights {weights}: '{predictor}', seed {seed}, {tool}"))?;
            }
        }
        Ok(if holds { Exit::Success } else { Exit::Negative })
    }

    /// Predicts again and compares.
    fn regenerate(&self, input: &Path, report: &RecordedReport) -> Result<Verification, Failure> {
        report.check_predicted()?;
        let network = Network::open(input)?;
        let (device, device_name) = device::choose(self.device)?;
        let name = self.predictor.as_ref().unwrap_or(&report.provenance.predictor);
        let predictor = bundled(name, &device)?;
        let options = RegenerateOptions {
            calibration: self.calibrate.clone().map_or(Calibration::Usual, Calibration::Data),
            support: self.support.clone(),
            device: Some(device_name),
        };
        regenerate(&self.file, report, &network, &predictor, &options).map_err(with_flags)
    }
}
