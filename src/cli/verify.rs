//! `weightsmith verify`

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    device::{self, DeviceChoice},
    fill::{
        FileHash, FilledNetwork, Network, Provenance, TOOL, file_name, support_set, unlabelled,
    },
    graph::{DimBindings, ParameterId},
    onnx::{self, Model, sha256, splice},
    predictor::{CalibrationSource, Support, bundled},
};

use super::{Common, Exit, Failure, device::device_parser, print, print_json};

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

/// What is read from a report.
#[derive(Debug, Deserialize)]
struct Recorded {
    provenance: Provenance,
    input: FileHash,
    files: Vec<FileHash>,
    calibration: String,
    tensors: Vec<RecordedTensor>,
}

#[derive(Debug, Deserialize)]
struct RecordedTensor {
    initializer: String,
    sha256: Option<String>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: String,
    holds: bool,
    /// What is wrong, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Check {
    fn equal(what: impl Into<String>, found: &str, recorded: &str) -> Self {
        let problem = (found != recorded)
            .then(|| format!("is {}, the report says {}", brief(found), brief(recorded)));
        Self { what: what.into(), holds: problem.is_none(), problem }
    }

    fn failed(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { what: what.into(), holds: false, problem: Some(problem.into()) }
    }
}

/// The beginning of a hash; anything else as it is.
fn brief(text: &str) -> String {
    match text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => format!("{}…", &text[..16]),
        false => format!("'{text}'"),
    }
}

impl Verify {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let report_path = self.report.clone().unwrap_or_else(|| folder.join("report.json"));
        let report = Recorded::load(&report_path)?;
        let bytes = std::fs::read(&self.file)
            .map_err(|error| format!("{}: {error}", self.file.display()))?;
        let mut checks = vec![report.check_file(&self.file, &bytes)];
        let mut notes = Vec::new();
        let state_dict = report.files.iter().find(|file| file.name.ends_with(".safetensors"));
        if let Some(recorded) = state_dict {
            match std::fs::read(folder.join(&recorded.name)) {
                Ok(bytes) => {
                    checks.push(Check::equal(&recorded.name, &sha256(&bytes), &recorded.sha256));
                }
                Err(_) => notes.push(format!("{} is not beside the file", recorded.name)),
            }
        }
        match Model::from_bytes(&self.file.display().to_string(), bytes.clone().into())
            .map_err(Failure::from)
            .and_then(|model| Network::of(model, DimBindings::default()))
        {
            Ok(network) => {
                checks.extend(report.check_metadata(&network.model));
                checks.extend(report.check_tensors(&network)?);
            }
            Err(error) => checks.push(Check::failed("the network", error.to_string())),
        }
        if report.provenance.tool != TOOL {
            notes.push(format!("written by {}, this is {TOOL}", report.provenance.tool));
        }
        if let Some(input) = &self.regenerate {
            checks.extend(self.regenerate(input, &report, &bytes)?);
        }
        let holds = checks.iter().all(|check| check.holds);
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
    fn regenerate(
        &self,
        input: &Path,
        report: &Recorded,
        bytes: &[u8],
    ) -> Result<Vec<Check>, Failure> {
        let network = Network::of(Model::open(input)?, DimBindings::default())?;
        let (device, device_name) = device::choose(self.device)?;
        let name = self.predictor.as_ref().unwrap_or(&report.provenance.predictor);
        let predictor = bundled(name, &device)?;
        let mut checks = vec![
            Check::equal("the input", &sha256(network.model.bytes()), &report.input.sha256),
            Check::equal("the predictor", &predictor.hash, &report.provenance.predictor_hash),
            Check::equal("the device", &device_name, &report.provenance.device),
        ];
        let (images, source) = match (&self.calibrate, report.calibration.as_str()) {
            (None, "data") => {
                let problem = "statistics were measured on a data set; give it with --calibrate";
                return Err(problem.into());
            }
            (None, _) => (predictor.calibration_images(), CalibrationSource::Learned),
            (Some(path), _) => (unlabelled(path, &predictor)?, CalibrationSource::Data),
        };
        let drawn = report.provenance.drawn;
        let sampling = drawn.map_or_else(|| predictor.sampling(), |drawn| drawn.sampling);
        let data = match (&self.support, &report.provenance.steered) {
            (None, Some(_)) => {
                return Err("weights were moved towards a data set; give it with --support".into());
            }
            (Some(path), Some(steered)) => {
                let data = support_set(path, &predictor)?;
                checks.push(Check::equal("the support set", &data.hash, &steered.data_hash));
                Some((data, steered.steering))
            }
            (_, None) => None,
        };
        let support = data.as_ref().map(|(data, steering)| Support::new(data, *steering));
        let support = support.as_ref();
        let samples =
            FilledNetwork::sample(&network, &predictor, &images, source, &sampling, support)?;
        let filled = match drawn.map_or(Some(0), |drawn| drawn.sample) {
            None => FilledNetwork::average(&network, samples, &images)?,
            Some(sample) => samples
                .into_iter()
                .nth(sample)
                .ok_or("the report names a sample beyond those that it says were drawn")?,
        };
        let provenance = Provenance {
            tool: TOOL.to_owned(),
            predictor: predictor.config.name.clone(),
            predictor_hash: predictor.hash.clone(),
            device: device_name,
            ..report.provenance.clone()
        };
        let again = filled.report(&network, provenance)?;
        let mut written = Vec::new();
        splice::write(&network.model, &filled.changes(&network, &again), &mut written)?;
        let differ = again.tensors.iter().zip(&report.tensors).filter(|(again, recorded)| {
            again.initializer != recorded.initializer || again.sha256 != recorded.sha256
        });
        let differ: Vec<&str> =
            differ.map(|(again, _)| again.initializer.as_str()).take(5).collect();
        checks.push(match (written == bytes, differ.is_empty()) {
            (true, _) => Check { what: "predicted again".to_owned(), holds: true, problem: None },
            (false, true) => Check::failed(
                "predicted again",
                "the tensors are those of the report, but the file differs",
            ),
            (false, false) => Check::failed("predicted again", list(&differ)),
        });
        Ok(checks)
    }
}

impl Recorded {
    fn load(path: &Path) -> Result<Self, Failure> {
        let refuse = |problem: String| Failure::from(format!("{}: {problem}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            refuse(format!("not a report that files can be checked against: {error}"))
        })
    }

    /// The file as a whole. It may have another name than when it was written.
    fn check_file(&self, path: &Path, bytes: &[u8]) -> Check {
        let what = file_name(path);
        match self.files.iter().find(|file| file.name.ends_with(".onnx")) {
            Some(recorded) => Check::equal(what, &sha256(bytes), &recorded.sha256),
            None => Check::failed(what, "the report names no ONNX file"),
        }
    }

    /// What the file says of its origin.
    fn check_metadata(&self, model: &Model) -> Vec<Check> {
        let Provenance { tool, predictor, predictor_hash, seed, drawn, steered, device, weights } =
            &self.provenance;
        let seed = seed.to_string();
        let drawn = drawn.map(|drawn| drawn.to_string());
        let steered = steered.as_ref().map(ToString::to_string);
        let entries = [
            ("tool", tool),
            ("weights", weights),
            ("predictor", predictor),
            ("predictor_hash", predictor_hash),
            ("seed", &seed),
            ("device", device),
        ];
        let drawn = drawn.iter().map(|drawn| ("drawn", drawn));
        let steered = steered.iter().map(|steered| ("steered", steered));
        entries
            .into_iter()
            .chain(drawn)
            .chain(steered)
            .map(|(key, recorded)| {
                let found = model.metadata(&format!("weightsmith.{key}")).unwrap_or_default();
                Check::equal(format!("metadata '{key}'"), found, recorded)
            })
            .collect()
    }

    /// Every tensor; those that are as recorded are one check.
    fn check_tensors(&self, network: &Network) -> Result<Vec<Check>, Failure> {
        let parameters = &network.architecture.parameters;
        let mut checks = Vec::new();
        let mut equal = 0;
        for tensor in &self.tensors {
            let Some(recorded) = &tensor.sha256 else { continue };
            let what = format!("tensor '{}'", tensor.initializer);
            let index = parameters.iter().position(|own| own.name == tensor.initializer);
            let Some(index) = index else {
                checks.push(Check::failed(what, "is not in the file"));
                continue;
            };
            let check = match network.architecture.value_in(&network.model, ParameterId(index)) {
                Ok(Some(value)) => {
                    let bytes = onnx::encode(&value.data, parameters[index].dtype.to_onnx());
                    Check::equal(what, &sha256(&bytes.unwrap_or_default()), recorded)
                }
                Ok(None) => Check::failed(what, "has no value"),
                Err(error) => Check::failed(what, error.to_string()),
            };
            if check.holds {
                equal += 1;
            } else {
                checks.push(check);
            }
        }
        if equal > 0 {
            checks.push(Check { what: format!("{equal} tensors"), holds: true, problem: None });
        }
        Ok(checks)
    }
}

fn list(names: &[&str]) -> String {
    format!("other values in {}", names.join(", "))
}
