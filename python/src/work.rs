//! Long work beside the interpreter.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use pyo3::{exceptions::PyRuntimeError, prelude::*};

/// How often Python looks whether somebody pressed Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often memory that nobody uses goes back to the system.
const TIDYING: Duration = Duration::from_millis(250);

/// Does work on a thread of its own while other Python threads go on. Ctrl-C ends the wait; the work
/// itself, which touches nothing of Python's, ends when it is done.
pub fn without_gil<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    while_waiting(py, work, || ())
}

/// As [`without_gil`], and gives memory back as it goes: for work whose stages need much of it one after the other.
pub fn tidily_without_gil<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let mut tidied = Instant::now();
    while_waiting(py, work, || {
        if tidied.elapsed() > TIDYING {
            give_back_memory();
            tidied = Instant::now();
        }
    })
}

fn while_waiting<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
    mut meanwhile: impl FnMut(),
) -> PyResult<T> {
    let (sender, mut receiver) = channel();
    std::thread::spawn(move || sender.send(work()));
    loop {
        meanwhile();
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

/// Gives memory back to the system that other fields of a structure, which are declared before it, have freed.
pub struct Tidied;

impl Drop for Tidied {
    fn drop(&mut self) {
        give_back_memory();
    }
}

/// Gives free memory back to the system. glibc keeps what a thread has freed for that thread alone, so that
/// neither later stages nor PyTorch would have it.
fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: a function of glibc that any thread may call at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
