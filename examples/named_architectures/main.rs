//! Writes `architectures/named/*.onnx` and the table of them in `architectures/README.md`:
//! `cargo run --release --example named_architectures`.

mod table;

use std::{fs, io, path::Path};

use weightsmith::spaces::NAMED;

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures");
    fs::create_dir_all(folder.join("named"))?;
    for named in NAMED {
        fs::write(folder.join(format!("named/{}.onnx", named.name)), named.onnx())?;
    }
    let readme = folder.join("README.md");
    let text = fs::read_to_string(&readme)?;
    // The first table is the one of the named networks.
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let row = |line: &&&str| line.starts_with('|');
    let before = lines.iter().take_while(|line| !row(line)).count();
    let rows = lines.iter().skip(before).take_while(row).count();
    let (head, tail) = (lines[..before].concat(), lines[before + rows..].concat());
    fs::write(readme, head + &table::markdown() + &tail)
}
