//! `weightsmith._native`: what Python cannot do by itself. Results travel as JSON text or bytes; the package
//! around it makes dictionaries and arrays of them.

mod command;
mod fill;
mod progress;
mod work;

use pyo3::prelude::*;

/// As in the program: tensors come and go by the megabyte.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("WeightsmithError", module.py().get_type::<WeightsmithError>())?;
    module.add("BUNDLED", weightsmith::predictor::BUNDLED.to_vec())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<fill::Filled>()?;
    module.add_function(wrap_pyfunction!(fill::fill_network, module)?)?;
    module.add_function(wrap_pyfunction!(command::answer, module)?)?;
    module.add_function(wrap_pyfunction!(command::main, module)?)
}
