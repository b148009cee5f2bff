//! Making a filled network again.

use std::path::{Path, PathBuf};

use crate::{
    FileError,
    condition::Support,
    data::Split,
    onnx::sha256,
    predictor::{Predictor, Watermark},
};

use super::{
    super::{
        Calibration, FillError, FilledNetwork, Network, NetworkImages, Provenance, ReportedNetwork,
        TOOL,
        options::{MeasuredOn, device_name},
    },
    Check, RecordedReport, Verification,
};

/// The data that a network was filled with, and where it is filled again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegenerateOptions {
    /// What statistics are measured on.
    pub calibration: Calibration,
    /// The data set that weights were moved towards, if they were.
    pub support: Option<PathBuf>,
    /// What marks the weights, if anything does.
    pub watermark: Option<Watermark>,
    /// What reports call the device that the predictor computes on, as in
    /// [`FillOptions`](crate::fill::FillOptions).
    pub device: Option<String>,
}

/// Fills a network again as a report says, and compares what comes of it with a file, bit for bit.
///
/// # Errors
///
/// The file or a data set cannot be read, one that the report speaks of is not named, the report
/// contradicts itself, or the network cannot be filled.
pub fn regenerate(
    file: &Path,
    report: &RecordedReport,
    network: &Network,
    predictor: &Predictor,
    options: &RegenerateOptions,
) -> Result<Verification, FillError> {
    report.check_predicted()?;
    let provenance = &report.provenance;
    let device = device_name(options.device.as_deref(), predictor);
    let mut checks = vec![
        Check::equal("the input", &sha256(network.model.bytes()), &report.input.sha256),
        Check::equal("the predictor", &predictor.hash, &provenance.predictor_hash),
        Check::equal("the device", &device, &provenance.device),
    ];
    if options.calibration == Calibration::Usual && report.calibration == "data" {
        return Err(FillError::NeedsCalibrationData);
    }
    let labelled = match (&options.support, &provenance.support) {
        (None, Some(_)) => return Err(FillError::NeedsSupportSet),
        (Some(path), Some(recorded)) => {
            let images = NetworkImages::open(path, Split::Train, network)?;
            checks.push(Check::equal("the support set", &images.data.hash, &recorded.data_hash));
            Some((images, recorded.steering))
        }
        (_, None) => None,
    };
    match (&options.watermark, &provenance.watermark) {
        (None, Some(_)) => return Err(FillError::NeedsWatermark),
        (None, None) => {}
        (own, recorded) => {
            let id = |id: Option<&str>| id.unwrap_or("none").to_owned();
            let own = id(own.as_ref().map(Watermark::id).as_deref());
            checks.push(Check::equal("the watermark", &own, &id(recorded.as_deref())));
        }
    }
    let images = labelled.as_ref().map(|(images, _)| images);
    let MeasuredOn { images, source, .. } =
        options.calibration.images(network, predictor, images)?;
    let support = labelled.as_ref();
    let support = support.map(|(images, steering)| Support::of(predictor, &images.data, *steering));
    let support = support.as_ref();
    let drawn = provenance.drawn;
    let sampling = drawn.map_or_else(|| predictor.sampling(), |drawn| drawn.sampling);
    let samples = FilledNetwork::sample(
        network,
        predictor,
        &images,
        source,
        &sampling,
        support,
        options.watermark.as_ref(),
    )?;
    let sample = drawn.map_or(0, |drawn| drawn.sample);
    let filled = samples.into_iter().nth(sample).ok_or(FillError::NoSuchSample)?;
    let provenance = Provenance {
        tool: TOOL.to_owned(),
        predictor: predictor.config.name.clone(),
        predictor_hash: predictor.hash.clone(),
        device,
        ..provenance.clone()
    };
    let again = ReportedNetwork::new(filled, provenance, report.classes.clone(), None)?;
    let bytes = std::fs::read(file).map_err(FileError::at(file))?;
    checks.push(compare(&again, report, &bytes)?);
    Ok(Verification { checks, notes: Vec::new() })
}

/// What was made again beside the file and its report.
fn compare(
    again: &ReportedNetwork,
    report: &RecordedReport,
    bytes: &[u8],
) -> Result<Check, FillError> {
    let what = "predicted again";
    if again.onnx_bytes()? == bytes {
        return Ok(Check::passed(what));
    }
    let pairs = again.report().tensors.iter().zip(&report.tensors);
    let differ = pairs.filter(|(again, recorded)| {
        again.initializer != recorded.initializer || again.sha256 != recorded.sha256
    });
    let differ: Vec<&str> = differ.map(|(again, _)| again.initializer.as_str()).take(5).collect();
    Ok(match differ.is_empty() {
        true => Check::failed(what, "the tensors are those of the report, but the file differs"),
        false => Check::failed(what, format!("other values in {}", differ.join(", "))),
    })
}
