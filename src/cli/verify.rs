//! `weightsmith verify`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    device::{self, DeviceChoice},
    fill::{
        Calibration, Check, Network, Provenance, RecordedReport, RegenerateOptions, Verification,
        file_name, regenerate, verify,
    },
    predictor::{Watermark, bundled},
    signing::{Bundle, PublicKey, SIGNATURE, SigningError},
};

use super::{
    Common, Exit, Failure, device::device_parser, flags::with_flags, print, print_json,
    sign::usual_signature,
};

/// Check a filled network against the report that was written with it: its bytes, every tensor, and
/// what it says of its origin. With --key, check the signature of the folder: that every file is there and as it was
/// signed, and no other. Exit code 1 if anything differs.
#[derive(Debug, Args)]
pub struct Verify {
    /// The filled network; with --key also any other file, or a folder
    #[arg(value_name = "FILE.onnx")]
    file: PathBuf,
    /// The report; by default report.json beside the file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The public key of whoever signed the files
    #[arg(long, value_name = "PUB.pem")]
    key: Option<PathBuf>,
    /// The signature; by default FILE.sig, or model.sig in the folder
    #[arg(long, value_name = "FILE", requires = "key")]
    signature: Option<PathBuf>,
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
    /// The key that the weights were marked with, if they were
    #[arg(long, value_name = "KEY", requires = "regenerate")]
    watermark: Option<PathBuf>,
    /// Where to predict again
    #[arg(long, default_value = "auto", value_parser = device_parser())]
    device: DeviceChoice,
}

impl Verify {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let mut verification = Verification::default();
        let report_path = self.report_path();
        let report = report_path.as_deref().map(RecordedReport::open).transpose()?;
        match &report {
            Some(report) => verification = verify(&self.file, report)?,
            None => verification
                .notes
                .push("no report.json was compared, only the signature".to_owned()),
        }
        let signature = self.key.as_deref().map(|key| self.check_signature(key, &mut verification));
        let signature = signature.transpose()?;
        if let (Some(input), Some(report)) = (&self.regenerate, &report) {
            verification.checks.extend(self.regenerate(input, report)?.checks);
        }
        let holds = verification.holds();
        let Verification { checks, notes } = verification;
        if common.json {
            print_json(&json!({
                "schema": 1,
                "seed": common.seed,
                "file": self.file,
                "report": report_path,
                "signature": signature,
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
            if holds && let Some(report) = &report {
                let Provenance { weights, predictor, seed, tool, .. } = &report.provenance;
                print(&format!("weights {weights}: '{predictor}', seed {seed}, {tool}"))?;
            }
        }
        Ok(if holds { Exit::Success } else { Exit::Negative })
    }

    /// Where the report is; `None` where there need be none, because a signature is checked.
    fn report_path(&self) -> Option<PathBuf> {
        if self.report.is_some() {
            return self.report.clone();
        }
        let beside = self.file.parent().unwrap_or(Path::new("")).join("report.json");
        let needed = self.key.is_none() || self.regenerate.is_some();
        (needed || !self.file.is_dir() && beside.exists()).then_some(beside)
    }

    /// Compares files with their signature.
    fn check_signature(
        &self,
        key: &Path,
        verification: &mut Verification,
    ) -> Result<Value, Failure> {
        let key = PublicKey::open(key)?;
        let folder = match self.file.parent() {
            _ if self.file.is_dir() => &self.file,
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let signature = self.signature.clone().unwrap_or_else(|| {
            let own = usual_signature(&self.file);
            if own.exists() { own } else { folder.join(SIGNATURE) }
        });
        let mut check = |what: String, problem: Option<String>| {
            verification.checks.push(Check { what, holds: problem.is_none(), problem });
        };
        match Bundle::open(&signature)?.verify(&key) {
            Ok(manifest) => {
                check(format!("signature by key {}", key.hint()), None);
                let is_file = !self.file.is_dir() && manifest.is_of_file(&file_name(&self.file));
                let model = if is_file { &self.file } else { folder };
                let differences = manifest.differences(model, &signature)?;
                for difference in &differences {
                    check("signed files".to_owned(), Some(difference.to_string()));
                }
                if differences.is_empty() {
                    check(format!("{} signed files", manifest.resources.len()), None);
                }
            }
            Err(error @ SigningError::Signature { .. }) => {
                check("signature".to_owned(), Some(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(json!({ "file": signature, "key": key.hint() }))
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
            watermark: self.watermark.as_deref().map(Watermark::open).transpose()?,
            device: Some(device_name),
        };
        regenerate(&self.file, report, &network, &predictor, &options).map_err(with_flags)
    }
}
