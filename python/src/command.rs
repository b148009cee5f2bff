//! The commands of the program.

use pyo3::prelude::*;
use weightsmith::cli;

use super::{refusal, work::without_gil};

/// Runs a command with `--json` and returns its exit code and what it prints.
#[pyfunction]
pub fn answer(py: Python<'_>, arguments: Vec<String>) -> PyResult<(u8, String)> {
    let program = std::iter::once("weightsmith".to_owned());
    let arguments: Vec<String> =
        program.chain(arguments).chain(["--json".to_owned(), "--quiet".to_owned()]).collect();
    let (exit, printed) = without_gil(py, move || cli::answer(arguments))?
        .map_err(|failure| refusal(failure.as_ref()))?;
    Ok((exit as u8, printed))
}

/// Runs the program: its arguments, the program's name first. Returns the exit code.
#[pyfunction]
pub fn main(py: Python<'_>, arguments: Vec<String>) -> u8 {
    py.detach(|| cli::run(arguments))
}
