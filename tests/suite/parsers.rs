//! Every parser beside mutated files: an error or a result, never a panic. The same mutations every time, and with
//! `WEIGHTSMITH_FUZZ=N` N of them for each parser.

use std::{fs, io::Write, panic::catch_unwind, path::Path};

use image::{ImageFormat, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{beside::repository, digits::write_idx};

#[path = "../../fuzz/src/lib.rs"]
mod fuzzed;

/// Mutations for each parser.
const CASES: u64 = 600;

/// Sound files of a parser to begin with.
fn seeds(parser: &str) -> Vec<Vec<u8>> {
    let read = |path: &str| fs::read(repository(path)).unwrap();
    match parser {
        "onnx" => vec![
            read("architectures/named/plain-cnn.onnx"),
            read("architectures/named/vit-tiny.onnx"),
        ],
        "safetensors" => vec![safetensors()],
        "npz" => {
            ["keras", "objects"].map(|it| read(&format!("tests/fixtures/data/{it}.npz"))).into()
        }
        "parquet" => vec![read("tests/fixtures/data/whole.parquet")],
        "tar" => vec![tar()],
        "cifar" => vec![vec![3; 2 * 3073]],
        "idx" => vec![idx()],
        "picture" => pictures(),
        "signature" => vec![signature()],
        "key" => vec![PUBLIC_KEY.as_bytes().to_vec()],
        "report" => vec![report()],
        "training" => vec![read("predictors/cifar10/train.toml")],
        "zoo" => vec![read("benches/configs/zoo.toml")],
        "texts" => vec![
            read("architectures/spaces/real.toml"),
            read("predictors/ranker.toml"),
            read("predictors/cifar10/README.md"),
            b"arch,accuracy\n|nor_conv_3x3~0|+|skip_connect~0|none~1|,91.5\n".to_vec(),
        ],
        "sketch" => vec![read("predictors/mnist/graphs.sketch")[..2048].to_vec()],
        other => panic!("no seeds for '{other}'"),
    }
}

/// Of the key whose number is one.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";

fn safetensors() -> Vec<u8> {
    let header =
        br#"{"__metadata__":{"format":"pt"},"a":{"data_offsets":[0,8],"dtype":"F32","shape":[2]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header);
    file.extend([0; 8]);
    file
}

fn idx() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    write_idx(folder.path());
    let mut bytes = fs::read(folder.path().join("t10k-images-idx3-ubyte")).unwrap();
    // Two images, as many as there are labels.
    bytes[7] = 2;
    bytes.truncate(16 + 2 * 256);
    bytes
}

fn tar() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (label, picture) in pictures().iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_size(picture.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, format!("test/{label}/a.png"), picture.as_slice())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

fn pictures() -> Vec<Vec<u8>> {
    let formats = [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff];
    let formats = formats.into_iter().chain([ImageFormat::Jpeg, ImageFormat::WebP]);
    let picture = RgbImage::from_fn(5, 4, |x, y| image::Rgb([x as u8 * 50, y as u8 * 60, 9]));
    let encoded = formats.map(|format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    });
    encoded.collect()
}

fn signature() -> Vec<u8> {
    br#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":
    {"hint":"00"},"tlogEntries":[]},"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json",
    "signatures":[{"sig":"MAA=","keyid":""}]}}"#
        .to_vec()
}

fn report() -> Vec<u8> {
    br#"{"provenance":{"tool":"t","predictor":"p","predictor_hash":"h","seed":1,"device":"d","weights":"w"},"input":
    {"name":"a","sha256":"b"},"files":[],"calibration":"none","tensors":[{"initializer":"w","sha256":null}]}"#
        .to_vec()
}

/// Changes a few bytes, cuts the end off, copies a piece over another, or claims a large number.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let length = bytes.len();
    if length == 0 {
        return bytes.push(random.random());
    }
    let at = random.random_range(0..length);
    match random.random_range(0..8) {
        0 => bytes.truncate(at),
        1 => {
            let piece = random.random_range(1..64).min(length - at);
            let from = random.random_range(0..=length - piece);
            bytes.copy_within(from..from + piece, at);
        }
        2 => drop(bytes.splice(at..at + 1, [0xff; 8])),
        3 => drop(bytes.splice(at..at, *b"999999999")),
        4 => drop(bytes.splice(at..at, *b"[[[[{{{{\"")),
        _ => {
            for _ in 0..random.random_range(1..6) {
                // Structure is at the ends more often than in the middle of data.
                let near = random.random_range(0..length.min(512));
                let at = if random.random() { near } else { length - 1 - near };
                bytes[at] ^= 1 << random.random_range(0..8);
            }
        }
    }
}

#[test]
fn no_parser_panics_on_mutated_files() {
    let cases = std::env::var("WEIGHTSMITH_FUZZ").ok().and_then(|it| it.parse().ok());
    let cases = cases.unwrap_or(CASES);
    for (name, _) in fuzzed::PARSERS {
        let seeds = seeds(name);
        (0..cases).into_par_iter().for_each(|case| {
            let mut random = ChaCha8Rng::seed_from_u64(case);
            let mut bytes = seeds[case as usize % seeds.len()].clone();
            for _ in 0..random.random_range(0..4) {
                mutate(&mut bytes, &mut random);
            }
            if catch_unwind(|| fuzzed::run(name, &bytes)).is_err() {
                keep(name, &bytes);
                panic!("the parser of {name} panicked in case {case}");
            }
        });
    }
}

/// Keeps a file that a parser cannot take, to look at.
fn keep(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("panic-{name}"));
    if fs::write(&path, bytes).is_ok() {
        let _ = writeln!(std::io::stderr(), "kept {}", path.display());
    }
}
