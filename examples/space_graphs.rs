//! Writes graphs of the spaces that rankings are learned from, to be trained elsewhere:
//! `cargo run --release --example space_graphs -- SPACES.toml GRAPHS OUT` writes the first seeds of every space
//! as `OUT/<space>-<seed>.onnx`.

use std::{error::Error, fs, path::Path};

use weightsmith::rank::labels::ranking_spaces;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [spaces, graphs, out] = arguments.as_slice() else {
        return Err("usage: space_graphs SPACES.toml GRAPHS OUT".into());
    };
    fs::create_dir_all(out)?;
    let graphs: u64 = graphs.parse()?;
    for space in ranking_spaces(Some(Path::new(spaces)))? {
        for seed in 0..graphs {
            let graph = space.sample(seed)?;
            fs::write(Path::new(out).join(format!("{}-{seed}.onnx", space.name)), graph.onnx)?;
        }
    }
    Ok(())
}
