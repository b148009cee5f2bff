//! Progress bars of Python.

use pyo3::prelude::*;
use weightsmith::observer::Observer;

/// Tells a Python object with the methods `begin(steps)`, `advance(steps)` and `end()`, such as the
/// package's wrapper of tqdm.
#[derive(Debug)]
pub struct Bar(pub Py<PyAny>);

impl Bar {
    /// A bar that fails is no reason to stop.
    fn tell(&self, method: &str, steps: Option<u64>) {
        Python::attach(|py| {
            let told = match steps {
                Some(steps) => self.0.call_method1(py, method, (steps,)),
                None => self.0.call_method0(py, method),
            };
            if let Err(error) = told {
                error.write_unraisable(py, None);
            }
        });
    }
}

impl Observer for Bar {
    fn begin(&self, steps: u64, _done: u64) {
        self.tell("begin", Some(steps));
    }

    fn advance(&self, steps: u64) {
        self.tell("advance", Some(steps));
    }

    fn end(&self) {
        self.tell("end", None);
    }
}
