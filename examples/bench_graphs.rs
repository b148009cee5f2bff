//! Writes the named graphs of `benches/graphs`, the fixed list that throughput is measured on:
//! `cargo run --release --example bench_graphs`. The sampled graphs beside them were drawn from an
//! earlier CIFAR-10 space and stay what they are, so that figures remain comparable.

use std::{error::Error, fs, path::Path};

use weightsmith::spaces::{plain_cnn, resnet20, vit_tiny, wide_resnet20};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/graphs");
    fs::create_dir_all(&folder)?;
    for (name, onnx) in [
        ("plain-cnn", plain_cnn()),
        ("resnet-20", resnet20()),
        ("wide-resnet-20", wide_resnet20()),
        ("vit-tiny", vit_tiny()),
    ] {
        fs::write(folder.join(format!("{name}.onnx")), onnx)?;
    }
    Ok(())
}
