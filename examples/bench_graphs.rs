//! Writes `benches/graphs/*.onnx`, the fixed list that throughput is measured on:
//! `cargo run --release --example bench_graphs`.

use std::{error::Error, fs, path::Path};

use weightsmith::spaces::{NAMED, Space, residual_network};

/// Held-out seeds of the CIFAR-10 space, by what they are.
const SAMPLED: [(&str, u64); 8] = [
    ("plain-norm-free", 2_000_024),
    ("residual", 2_000_015),
    ("residual-group-norm", 2_000_019),
    ("bottleneck-tanh", 2_000_006),
    ("inverted-silu", 2_000_016),
    ("separable", 2_000_037),
    ("dense-gelu", 2_000_083),
    ("grouped", 2_000_017),
];

/// Networks with a name.
const NAMES: [&str; 3] = ["plain-cnn", "resnet-20", "vit-tiny"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/graphs");
    fs::create_dir_all(&folder)?;
    let space = Space::load("cifar10")?;
    for (name, seed) in SAMPLED {
        fs::write(folder.join(format!("{name}.onnx")), space.sample(seed)?.onnx)?;
    }
    for named in NAMED.iter().filter(|named| NAMES.contains(&named.name)) {
        fs::write(folder.join(format!("{}.onnx", named.name)), named.onnx())?;
    }
    let wide = "wide-resnet-20";
    fs::write(folder.join(format!("{wide}.onnx")), residual_network(wide, 32))?;
    Ok(())
}
