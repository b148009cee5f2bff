//! Writes the named graphs of `benches/graphs`, the fixed list that throughput is measured on:
//! `cargo run --release --example bench_graphs`. The sampled graphs beside them were drawn from an
//! earlier CIFAR-10 space and stay what they are, so that figures remain comparable.

use std::{error::Error, fs, path::Path};

use weightsmith::spaces::{NAMED, residual_network};

/// Networks with a name.
const NAMES: [&str; 3] = ["plain-cnn", "resnet-20", "vit-tiny"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/graphs");
    fs::create_dir_all(&folder)?;
    for named in NAMED.iter().filter(|named| NAMES.contains(&named.name)) {
        fs::write(folder.join(format!("{}.onnx", named.name)), named.onnx())?;
    }
    let wide = "wide-resnet-20";
    fs::write(folder.join(format!("{wide}.onnx")), residual_network(wide, 32))?;
    Ok(())
}
