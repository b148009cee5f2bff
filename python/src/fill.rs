//! Filling a network in memory.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use pyo3::{
    prelude::*,
    types::{PyByteArray, PyBytes},
};
use self_cell::self_cell;
use weightsmith::{
    cli::Failure,
    condition::Steering,
    device,
    encoder::NodeEncoder,
    fill::{self, Calibration, FillOptions, Network, OpenOptions, SupportSet, WriteOptions},
    graph::DimBindings,
    observer::{Observer, Silent},
    onnx::Model,
    predictor::{Watermark, bundled},
};

use super::{
    encoder::{Features, PythonEncoder},
    progress::Bar,
    refusal,
    work::{Tidied, tidily_without_gil, without_gil},
};

type FilledOf<'a> = fill::Filled<'a>;

self_cell!(
    struct Owned {
        owner: Network,
        #[covariant]
        dependent: FilledOf,
    }
);

/// A network with its weights.
#[pyclass(frozen)]
pub struct Filled(Arc<Owned>, Tidied);

impl Filled {
    fn filled(&self) -> &FilledOf<'_> {
        self.0.borrow_dependent()
    }
}

#[pymethods]
impl Filled {
    /// The report, as JSON.
    fn report(&self) -> PyResult<String> {
        serde_json::to_string(self.filled().report()).map_err(|error| refusal(&error))
    }

    /// Whether every weight was written and the network is alive.
    fn complete(&self) -> bool {
        self.filled().report().is_complete()
    }

    /// Extents of every tensor of the state dict, by name.
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let entries = self.filled().state_dict();
        entries.iter().map(|entry| (entry.name().to_owned(), entry.shape().to_vec())).collect()
    }

    /// Calls `take(name, type, extents, values)` for every tensor of the state dict, one after the other;
    /// values are little-endian and row-major.
    fn each(&self, py: Python<'_>, take: Bound<'_, PyAny>) -> PyResult<()> {
        for entry in self.filled().state_dict() {
            let bytes = entry.bytes().map_err(|error| refusal(&error))?;
            let values = PyByteArray::new(py, &bytes);
            take.call1((entry.name(), format!("{:?}", entry.dtype()), entry.shape(), values))?;
        }
        Ok(())
    }

    /// The ONNX file.
    fn onnx_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.filled().onnx_bytes().map_err(|error| refusal(&error))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes network, state dict and report into a folder; returns their paths.
    fn write(&self, py: Python<'_>, folder: PathBuf, overwrite: bool) -> PyResult<Vec<PathBuf>> {
        let owned = Arc::clone(&self.0);
        let options = WriteOptions { overwrite };
        without_gil(py, move || owned.borrow_dependent().write_with(folder, &options))?
            .map_err(|error| refusal(&error))
    }
}

/// Where a network comes from.
#[derive(FromPyObject)]
pub enum Source {
    /// The file itself, and a name for it.
    Bytes(Vec<u8>, String),
    /// A path.
    Path(PathBuf),
}

/// How it is filled; see `weightsmith predict --help`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings {
    predictor: String,
    seed: u64,
    keep: Vec<String>,
    dims: Vec<(String, usize)>,
    support: Option<PathBuf>,
    support_steps: Option<usize>,
    calibrate: Option<PathBuf>,
    bake_normalization: bool,
    watermark: Option<PathBuf>,
    device: String,
    encoder: Option<Features>,
    bar: Option<Py<PyAny>>,
}

/// Writes the weights of a network.
#[pyfunction(name = "fill")]
pub fn fill_network(py: Python<'_>, source: Source, mut settings: Settings) -> PyResult<Filled> {
    let encoder = settings.encoder.take();
    let encoder = encoder.map(|features| PythonEncoder::new(features, Arc::default()));
    let further = encoder.clone();
    let filled = tidily_without_gil(py, move || filled(source, settings, further))?;
    encoder.map_or(Ok(()), |encoder| encoder.check())?;
    filled.map(|owned| Filled(Arc::new(owned), Tidied)).map_err(|failure| refusal(failure.as_ref()))
}

fn filled(
    source: Source,
    settings: Settings,
    encoder: Option<Arc<PythonEncoder>>,
) -> Result<Owned, Failure> {
    let model = match source {
        Source::Path(path) => Model::open(&path)?,
        Source::Bytes(bytes, name) => Model::from_bytes(&name, Bytes::from(bytes))?,
    };
    let Settings { predictor, seed, keep, dims, support, support_steps, .. } = settings;
    let open = OpenOptions { dims: DimBindings::new(dims), keep, ..OpenOptions::default() };
    let network = Network::resolved(model, &open)?;
    let (device, name) = device::choose(settings.device.parse()?)?;
    let mut predictor = bundled(&predictor, &device)?;
    predictor.node_encoder = encoder.map(|encoder| encoder as Arc<dyn NodeEncoder>);
    let steering = Steering::of_steps(support_steps);
    let observer: Arc<dyn Observer> = match settings.bar {
        Some(bar) => Arc::new(Bar(bar)),
        None => Arc::new(Silent),
    };
    let options = FillOptions {
        seed,
        support: support.map(|data| SupportSet { data, steering }),
        calibration: settings.calibrate.map_or(Calibration::Usual, Calibration::Data),
        bake_normalisation: settings.bake_normalization,
        watermark: settings.watermark.as_deref().map(Watermark::open).transpose()?,
        device: Some(name),
        observer,
        ..FillOptions::default()
    };
    Owned::try_new(network, |network| Ok(fill::fill(network, &predictor, &options)?))
}
