//! Declaring tensors.

use super::MessageWriter;

/// Writes a `ValueInfoProto`: a tensor whose first axis, before those of `shape`, is perhaps a symbol.
pub(crate) fn value_info(
    out: &mut MessageWriter,
    name: &str,
    data_type: u64,
    symbol: Option<&str>,
    shape: &[usize],
) {
    out.field(1, name);
    out.message(2, |kind| {
        kind.message(1, |tensor| {
            tensor.int(1, data_type);
            tensor.message(2, |axes| {
                if let Some(symbol) = symbol {
                    axes.message(1, |axis| axis.field(2, symbol));
                }
                for &extent in shape {
                    axes.message(1, |axis| axis.int(1, extent as u64));
                }
            });
        });
    });
}
