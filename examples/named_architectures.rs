//! Writes `architectures/named/*.onnx`: `cargo run --release --example named_architectures`.

use std::{fs, io, path::Path};

use weightsmith::spaces;

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures/named");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("plain-cnn.onnx"), spaces::plain_cnn())?;
    fs::write(folder.join("resnet-20.onnx"), spaces::resnet20())?;
    fs::write(folder.join("vit-tiny.onnx"), spaces::vit_tiny())
}
