//! `weightsmith predict`

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use serde_json::json;

use crate::{
    device::{self, DeviceChoice},
    fill::{
        Counts, Drawn, FileHash, FilledNetwork, Network, Provenance, Report, SCHEMA, Steered,
        support_set, unlabelled,
    },
    memory,
    onnx::{
        Sha256Writer, atomic, ensemble, safetensors as st,
        splice::{self, Changes},
    },
    predictor::{BUNDLED, CalibrationSource, Steering, Support, bundled},
};

use super::{
    Common, Exit, Failure, bar,
    device::device_parser,
    drawn::DrawingArgs,
    network::{NetworkArgs, stem},
    print, print_json,
};

/// Write the weights of a graph: DIR/<stem>.onnx, DIR/<stem>.safetensors, DIR/report.json; of further
/// samples DIR/<stem>.1.onnx and so on.
#[derive(Debug, Args)]
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
    /// Move the weights towards labelled images of a data set: gradient steps on its training images
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
        let sampling = self.drawing.sampling(&predictor, common.seed);
        let outputs = self.outputs(&self.network.model, self.drawing.networks())?;
        let load = watch.lap();
        let images = match &self.calibrate {
            None => predictor.calibration_images(),
            Some(path) => unlabelled(path, &predictor)?,
        };
        let source = match &self.calibrate {
            None => CalibrationSource::Learned,
            Some(_) => CalibrationSource::Data,
        };
        let steering = Steering {
            steps: self.support_steps.into(),
            batch: self.support_batch.into(),
            rate: self.support_rate,
            spread: self.support_spread,
        };
        let data = self.support.as_ref().map(|path| support_set(path, &predictor)).transpose()?;
        let support = data.as_ref().map(|data| {
            let bar = bar(steering.steps * sampling.samples, common);
            Support { data, steering, bar }
        });
        let support = support.as_ref();
        let samples =
            FilledNetwork::sample(&network, &predictor, &images, source, &sampling, support)?;
        if let Some(support) = support {
            support.bar.finish_and_clear();
        }
        let data = self.support.as_ref().or(self.calibrate.as_ref()).map(PathBuf::as_path);
        let chosen = self.drawing.choose(&network, samples, &predictor, &images, data)?;
        let sampled = predictor.config.network.diffusion.is_some();
        let provenance = |sample| Provenance {
            tool: TOOL.to_owned(),
            predictor: predictor.config.name.clone(),
            predictor_hash: predictor.hash.clone(),
            seed: common.seed,
            drawn: sampled.then_some(Drawn { sampling, sample }),
            steered: support.map(|support| Steered::by(support)),
            device: device_name.clone(),
            weights: match support {
                None => "generated by a predictor, not trained".to_owned(),
                Some(_) => "generated by a predictor, then moved by gradient steps".to_owned(),
            },
        };
        let mut written = Vec::with_capacity(chosen.len());
        for (sample, mut filled) in chosen {
            filled.notices.splice(0..0, network.architecture.notices.iter().cloned());
            let report = filled.report(&network, provenance(sample))?;
            written.push((filled, report));
        }
        let fill = watch.lap();
        for stand_in in written.first().iter().flat_map(|(_, report)| &report.stand_ins) {
            tracing::warn!("{stand_in}");
        }
        std::fs::create_dir_all(&self.out)
            .map_err(|error| format!("{}: {error}", self.out.display()))?;
        for ((filled, report), files) in written.iter_mut().zip(&outputs.networks) {
            write(&network, filled, report, files)?;
        }
        if let Some(path) = &outputs.ensemble {
            let members: Vec<Changes> =
                written.iter().map(|(filled, report)| filled.changes(&network, report)).collect();
            hashed(path, |out| ensemble::write(&network.model, &members, out)).map_err(at(path))?;
        }
        let written_in = watch.lap();

        let Some((_, report)) = written.first() else {
            return Err("nothing was drawn".into());
        };
        let partial = !report.unsupported.is_empty() || report.parameters.skipped > 0;
        let files: Vec<&PathBuf> =
            outputs.networks.iter().flatten().chain(&outputs.ensemble).collect();
        if common.json {
            print_json(&json!({
                "schema": SCHEMA,
                "predictor": self.predictor,
                "seed": common.seed,
                "drawn": written.iter().map(|(_, report)| report.provenance.drawn).collect::<Vec<_>>(),
                "device": device_name,
                "seconds": fill,
                "timings": { "read": read, "load": load, "fill": fill, "write": written_in },
                "peak_memory_bytes": memory::peak(),
                "parameters": report.parameters,
                "calibration": report.calibration,
                "notices": report.notices,
                "stand_ins": report.stand_ins,
                "unsupported": report.unsupported,
                "files": files,
            }))?;
        } else {
            let Counts { predicted, kept, default, calibrated, skipped } = report.parameters;
            let drawn = match sampled {
                true => format!(
                    ", {} of {} samples in {} steps",
                    written.len(),
                    sampling.samples,
                    sampling.steps
                ),
                false => String::new(),
            };
            print(&format!(
                "{predicted} values predicted, {calibrated} calibrated, {kept} kept, {default} default, {skipped} skipped in {fill:.2} s (seed {}{drawn}, {device_name})",
                common.seed
            ))?;
            for line in report.notices.iter().chain(&report.unsupported) {
                print(&format!("note: {line}"))?;
            }
            for path in files {
                print(&format!("wrote {}", path.display()))?;
            }
        }
        Ok(if partial { Exit::Partial } else { Exit::Success })
    }

    /// The files to be written for so many networks; existing ones need `--force`, and the input is
    /// never among them.
    fn outputs(&self, input: &Path, networks: usize) -> Result<Outputs, Failure> {
        let stem = stem(input);
        let of = |network: usize| {
            let number = if network == 0 { String::new() } else { format!(".{network}") };
            [
                format!("{stem}{number}.onnx"),
                format!("{stem}{number}.safetensors"),
                format!("report{number}.json"),
            ]
            .map(|name| self.out.join(name))
        };
        let ensemble =
            self.drawing.ensemble.then(|| self.out.join(format!("{stem}.ensemble.onnx")));
        let outputs = Outputs { networks: (0..networks).map(of).collect(), ensemble };
        let input = input.canonicalize()?;
        for file in outputs.networks.iter().flatten().chain(&outputs.ensemble) {
            if file.canonicalize().is_ok_and(|file| file == input) {
                return Err(
                    format!("{}: is the input; choose another --out", file.display()).into()
                );
            }
            if file.exists() && !self.force {
                return Err(format!(
                    "{}: exists already; add --force to replace it",
                    file.display()
                )
                .into());
            }
        }
        Ok(outputs)
    }
}

/// What `predict` writes.
struct Outputs {
    /// Network, state dict and report of every network.
    networks: Vec<[PathBuf; 3]>,
    /// All networks as one.
    ensemble: Option<PathBuf>,
}

/// Writes the files of one network, and their hashes into its report.
fn write(
    network: &Network,
    filled: &FilledNetwork,
    report: &mut Report,
    [onnx_path, tensors_path, report_path]: &[PathBuf; 3],
) -> Result<(), Failure> {
    let changes = filled.changes(network, report);
    let sha256 = hashed(onnx_path, |out| splice::write(&network.model, &changes, out))
        .map_err(at(onnx_path))?;
    drop(changes);
    report.files.push(FileHash { name: file_name(onnx_path), sha256 });
    let entries = filled.state_dict(network);
    let sha256 = hashed(tensors_path, |out| st::write(out, &entries)).map_err(at(tensors_path))?;
    report.files.push(FileHash { name: file_name(tensors_path), sha256 });
    let mut text = serde_json::to_vec_pretty(&report)?;
    text.push(b'\n');
    Ok(atomic::write(report_path, |out| out.write_all(&text)).map_err(at(report_path))?)
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

/// Names the file that could not be written.
fn at(path: &Path) -> impl FnOnce(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
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

/// Writes a file and returns the SHA-256 of its content.
fn hashed(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<String> {
    let mut sha256 = String::new();
    atomic::write(path, |out| {
        let mut out = Sha256Writer::new(out);
        fill(&mut out)?;
        sha256 = out.finish();
        Ok(())
    })?;
    Ok(sha256)
}
