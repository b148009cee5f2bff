//! `weightsmith._native`: what Python cannot do by itself. Results travel as JSON text or bytes; the package
//! around it makes dictionaries and arrays of them.

mod command;
mod encoder;
mod fill;
mod progress;
mod train;
mod work;

use std::{borrow::Cow, collections::BTreeMap};

use pyo3::prelude::*;

pyo3::create_exception!(
    weightsmith,
    WeightsmithError,
    pyo3::exceptions::PyException,
    "What weightsmith refuses, in the words of the command line."
);

/// An error and its causes, as an exception of one line.
fn refusal(error: &(dyn std::error::Error + 'static)) -> PyErr {
    WeightsmithError::new_err(weightsmith::cli::one_line(error))
}

/// The files of a bundled predictor, by name.
#[pyfunction]
fn bundled_files(name: &str) -> PyResult<BTreeMap<&'static str, Cow<'static, [u8]>>> {
    let files = weightsmith::predictor::bundled_files(name)
        .ok_or_else(|| WeightsmithError::new_err(format!("no predictor '{name}' is bundled")))?;
    Ok(files.into_iter().map(|(name, bytes)| (name, Cow::Borrowed(bytes))).collect())
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("WeightsmithError", module.py().get_type::<WeightsmithError>())?;
    module.add("BUNDLED", weightsmith::predictor::BUNDLED.to_vec())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<fill::Filled>()?;
    module.add_function(wrap_pyfunction!(fill::fill_network, module)?)?;
    module.add_function(wrap_pyfunction!(train::train_predictor, module)?)?;
    module.add_function(wrap_pyfunction!(bundled_files, module)?)?;
    module.add_function(wrap_pyfunction!(command::answer, module)?)?;
    module.add_function(wrap_pyfunction!(command::main, module)?)
}
