//! What `predict` and `verify` have in common: errors of the library, with the flags that help.

use crate::fill::FillError;

use super::Failure;

/// The failure that a command ends with; where a flag is the way out, it says which.
pub(super) fn with_flags(error: FillError) -> Failure {
    match error {
        FillError::Exists { path } => {
            format!("{}: exists already; add --force to replace it", path.display()).into()
        }
        FillError::IsInput { path } => {
            format!("{}: is the input; choose another --out", path.display()).into()
        }
        FillError::NeedsCalibrationData => {
            "statistics were measured on a data set; give it with --calibrate".into()
        }
        FillError::NeedsSupportSet => {
            "weights were fitted to a data set; give it with --support".into()
        }
        FillError::NeedsWatermark => {
            "the weights carry a watermark; give its key with --watermark".into()
        }
        other => other.into(),
    }
}
