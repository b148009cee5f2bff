//! Training a predictor.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use pyo3::{exceptions::PyValueError, prelude::*};
use weightsmith::{
    cli::Failure,
    device::{self, DeviceChoice},
    encoder::NodeEncoder,
    observer::{Observer, Silent},
    ops::Registry,
    train::{RunOptions, TrainConfig, train},
};

use super::{
    encoder::{Features, PythonEncoder},
    progress::Bar,
    refusal,
    work::without_gil,
};

/// Trains a predictor as a configuration says, on features of Python's if there are any; returns its folder and, as
/// JSON, how far it got. Ctrl-C and the end of time stop it after the current step, with everything saved.
#[pyfunction(name = "train")]
#[pyo3(signature = (config, *, resume, seconds, encoder, bar))]
pub fn train_predictor(
    py: Python<'_>,
    config: PathBuf,
    resume: bool,
    seconds: Option<f64>,
    encoder: Option<Features>,
    bar: Option<Py<PyAny>>,
) -> PyResult<(PathBuf, String)> {
    let stop = Arc::new(AtomicBool::new(false));
    let encoder = encoder.map(|features| PythonEncoder::new(features, Arc::clone(&stop)));
    let observer: Arc<dyn Observer> = match bar {
        Some(bar) => Arc::new(Bar(bar)),
        None => Arc::new(Silent),
    };
    let (device, _) = device::choose(DeviceChoice::Flex).map_err(|error| refusal(&error))?;
    let options = RunOptions {
        registry: Registry::standard(),
        devices: vec![device],
        resume,
        command: format!("weightsmith.train({:?})", config.display().to_string()),
        stop: Arc::clone(&stop),
        node_encoder: encoder.clone().map(|encoder| encoder as Arc<dyn NodeEncoder>),
        observer,
    };
    let seconds = seconds.map(Duration::try_from_secs_f64).transpose();
    let seconds = seconds.map_err(|error| PyValueError::new_err(format!("seconds: {error}")))?;
    let ended = Arc::clone(&stop);
    let work = move || -> Result<(PathBuf, String), Failure> {
        let config = TrainConfig::load(&config)?;
        if let Some(seconds) = seconds {
            thread::spawn(move || {
                thread::sleep(seconds);
                ended.store(true, Ordering::Relaxed);
            });
        }
        let outcome = train(&config, &options)?;
        Ok((outcome.predictor, serde_json::to_string(&outcome.progress)?))
    };
    let trained = without_gil(py, work).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
    let trained = trained.map_err(|failure| refusal(failure.as_ref()));
    // A function that fails ends the run early, and says more than its end.
    encoder.map_or(Ok(()), |encoder| encoder.check())?;
    trained
}
