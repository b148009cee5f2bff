//! Every parser of files, as a function of bytes that must neither panic nor take memory without bounds. The fuzz targets
//! call them, and so does the smoke test in `tests/suite/parsers.rs`.

use std::{cell::OnceCell, fs, path::Path};

use tempfile::TempDir;
use weightsmith::{
    data::{Cache, Dataset, Sketch, Split},
    fill::RecordedReport,
    graph::Architecture,
    onnx::Model,
    ops::{Registry, resolve},
    predictor::Card,
    rank::learned::Ranker,
    signing::{Bundle, PublicKey},
    spaces::{Space, Table},
    train::TrainConfig,
    zoo::{Foreign, GrowConfig},
};

/// A parser, its name, and a function that gives it bytes.
pub type Parser = (&'static str, fn(&[u8]));

/// All of them.
pub const PARSERS: [Parser; 15] = [
    ("onnx", onnx),
    ("safetensors", safetensors),
    ("npz", |bytes| images("a.npz", bytes)),
    ("parquet", |bytes| images("a.parquet", bytes)),
    ("tar", |bytes| images("a.tar", bytes)),
    ("cifar", |bytes| images("test_batch.bin", bytes)),
    ("idx", idx),
    ("picture", picture),
    ("signature", signature),
    ("key", key),
    ("report", |bytes| in_file("report.json", bytes, |path| drop(RecordedReport::open(path)))),
    ("training", |bytes| in_file("train.toml", bytes, |path| drop(TrainConfig::load(path)))),
    ("zoo", |bytes| in_file("zoo.toml", bytes, |path| drop(GrowConfig::load(path)))),
    ("texts", texts),
    ("sketch", |bytes| drop(Sketch::from_bytes(bytes))),
];

/// Gives bytes to the parser of a name.
pub fn run(name: &str, bytes: &[u8]) {
    if let Some((_, parse)) = PARSERS.iter().find(|(known, _)| *known == name) {
        parse(bytes);
    }
}

fn onnx(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes("fuzzed.onnx", bytes.to_vec().into()) else { return };
    let Ok(mut architecture) = Architecture::from_model(&model) else { return };
    let _ = resolve(&mut architecture, &Registry::standard());
}

fn safetensors(bytes: &[u8]) {
    in_file("weights.safetensors", bytes, |path| drop(Foreign::read(path, &[])));
}

/// A data set in one file.
fn images(name: &str, bytes: &[u8]) {
    in_file(name, bytes, |path| drop(Dataset::open_with(path, Split::Test, &Cache::none())));
}

/// The images of a folder in IDX, beside sound labels.
fn idx(bytes: &[u8]) {
    in_file("t10k-images-idx3-ubyte", bytes, |path| {
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 1, 0];
        let folder = path.parent().unwrap_or(path);
        if fs::write(folder.join("t10k-labels-idx1-ubyte"), labels).is_ok() {
            drop(Dataset::open_with(folder, Split::Test, &Cache::none()));
        }
    });
}

/// A picture in a folder of classes, which formats of all kinds are told apart in.
fn picture(bytes: &[u8]) {
    in_file("test/class/picture.png", bytes, |path| {
        let Some(folder) = path.ancestors().nth(3) else { return };
        drop(Dataset::open_with(folder, Split::Test, &Cache::none()));
    });
}

fn signature(bytes: &[u8]) {
    let _ = Bundle::parse(Path::new("model.sig"), bytes);
}

fn key(bytes: &[u8]) {
    in_file("key.pem", bytes, |path| drop(PublicKey::open(path)));
}

/// What is parsed from text in memory.
fn texts(bytes: &[u8]) {
    let _ = Table::parse(bytes, None);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Space::parse("fuzzed", text);
    let _ = Ranker::parse(text);
    let _ = Card::parse(text);
}

thread_local! {
    static FOLDER: OnceCell<Option<TempDir>> = const { OnceCell::new() };
}

/// Gives a parser of files a file with these bytes, alone in a folder.
fn in_file(name: &str, bytes: &[u8], parse: impl FnOnce(&Path)) {
    FOLDER.with(|folder| {
        let Some(folder) = folder.get_or_init(|| tempfile::tempdir().ok()) else { return };
        let (root, path) = (folder.path().join("root"), folder.path().join("root").join(name));
        let written = fs::create_dir_all(path.parent().unwrap_or(&root));
        if written.and_then(|()| fs::write(&path, bytes)).is_ok() {
            parse(&path);
        }
        let _ = fs::remove_dir_all(root);
    });
}
