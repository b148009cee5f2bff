//! The argument `--device`.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::device::DeviceChoice;

/// Parses the name of a device.
pub(super) fn device_parser() -> impl TypedValueParser<Value = DeviceChoice> {
    let names = DeviceChoice::ALL.map(|(name, _)| name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<DeviceChoice>())
}
