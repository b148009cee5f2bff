//! Long work beside the interpreter.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

use pyo3::{exceptions::PyRuntimeError, prelude::*};

/// How often Python looks whether somebody pressed Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(50);

/// Does work on a thread of its own while other Python threads go on. Ctrl-C ends the wait; the work
/// itself, which touches nothing of Python's, ends when it is done.
pub fn without_gil<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (sender, mut receiver) = channel();
    std::thread::spawn(move || sender.send(work()));
    loop {
        // Receivers may be sent to another thread, not shared with it.
        let receiver = &mut receiver;
        match py.detach(move || receiver.recv_timeout(PATIENCE)) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("weightsmith ended without a result"));
            }
        }
    }
}
