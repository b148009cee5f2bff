//! What commands that write one network say at last.

use std::path::PathBuf;

use crate::fill::Report;

use super::{Common, Exit, Failure, print};

/// Says what the user should know, and the files; with `--json` that was said already. What the network is to
/// be refused for goes to standard error and decides how the command ends.
pub(super) fn tell(report: &Report, files: &[PathBuf], common: &Common) -> Result<Exit, Failure> {
    if !common.json {
        for line in &report.notices {
            print(&format!("note: {line}"))?;
        }
        for path in files {
            print(&format!("wrote {}", path.display()))?;
        }
    }
    for finding in &report.sanity_check.findings {
        tracing::error!("{finding}");
    }
    Ok(if report.is_complete() { Exit::Success } else { Exit::Partial })
}
