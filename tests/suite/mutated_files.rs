//! Mutated real files, and mutated files that users bring: an error or a result, never a panic, never a file
//! of a network that cannot be filled.

use burn::tensor::Device;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use weightsmith::{
    fill::{FillOptions, Network, fill},
    graph::Architecture,
    onnx::Model,
    ops::{Registry, resolve},
    predictor::bundled,
};

use super::{
    beside::{all_onnx_files, onnx_files, shared},
    cli::weightsmith,
};

/// Mutations of all files together.
const CASES: u64 = 12_000;
/// Files up to this many bytes are mutated.
const LARGEST: u64 = 150_000;

/// Mutations of the files that users bring.
const BROUGHT: u64 = 20_000;
/// Every so many of those that still resolve are filled, too.
const FILLED: u64 = 50;
/// So many of them are given to the program.
const GIVEN: u64 = 24;

/// Changes a few bytes, cuts the end off, or copies a piece over another.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    match random.random_range(0..6) {
        0 => bytes.truncate(random.random_range(0..bytes.len())),
        1 => {
            let (from, to) =
                (random.random_range(0..bytes.len()), random.random_range(0..bytes.len()));
            let length = random.random_range(1..64).min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + length, to);
        }
        2 => {
            // A length or an extent that claims far more than there is.
            let at = random.random_range(0..bytes.len());
            bytes.splice(at..at + 1, [0xff, 0xff, 0xff, 0xff, 0x0f]);
        }
        _ => {
            for _ in 0..random.random_range(1..8) {
                // Structure is at the ends more often than in the middle of tensor data.
                let near = random.random_range(1..=bytes.len().min(4096));
                let at = if random.random() { near - 1 } else { bytes.len() - near };
                bytes[at] = random.random();
            }
        }
    }
}

/// One of the files with a few changes.
fn mutated(files: &[Vec<u8>], case: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(case);
    let mut bytes = files[case as usize % files.len()].clone();
    for _ in 0..random.random_range(1..4) {
        if !bytes.is_empty() {
            mutate(&mut bytes, &mut random);
        }
    }
    bytes
}

/// The files of all cases, and a folder with the data that some of them keep beside themselves.
fn brought() -> Option<(Vec<Vec<u8>>, tempfile::TempDir)> {
    let cases = shared("cases")?;
    let folders = std::fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    let beside = tempfile::tempdir().unwrap();
    for folder in &folders {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "data") {
                std::fs::copy(&path, beside.path().join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let files: Vec<Vec<u8>> = onnx_files(&folders)
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .filter(|bytes| bytes.len() as u64 <= 2 * LARGEST)
        .collect();
    assert!(files.len() >= 40);
    Some((files, beside))
}

#[test]
fn mutated_files_of_users_never_panic() {
    let Some((files, beside)) = brought() else { return };
    let predictor = bundled("cifar10", &Device::flex()).unwrap();
    let read: usize = (0..BROUGHT)
        .into_par_iter()
        .map(|case| {
            let path = beside.path().join(format!("mutated-{case}.onnx"));
            std::fs::write(&path, mutated(&files, case)).unwrap();
            let network = Network::open(&path);
            std::fs::remove_file(&path).unwrap();
            let Ok(network) = network else { return 0 };
            if case % FILLED == 0
                && let Ok(filled) = fill(&network, &predictor, &FillOptions::default())
            {
                let _ = filled.onnx_bytes();
                filled.state_dict().iter().for_each(|tensor| assert!(!tensor.name().is_empty()));
            }
            1
        })
        .sum();
    println!("{read} of {BROUGHT} mutated files still resolve");
    assert!(read > 0 && read < BROUGHT as usize);
}

#[test]
fn a_file_that_cannot_be_filled_leaves_none() {
    let Some((files, beside)) = brought() else { return };
    let mut refused = 0;
    for case in 0..GIVEN {
        let path = beside.path().join("given.onnx");
        std::fs::write(&path, mutated(&files, case * 7)).unwrap();
        let out = beside.path().join(format!("out-{case}"));
        let [file, folder] = [&path, &out].map(|path| path.display().to_string());
        let output = weightsmith(&["predict", &file, "--out", &folder, "--device", "flex", "-q"]);
        match output.status.code() {
            Some(0 | 3) => assert!(out.join("report.json").exists(), "{case}"),
            Some(2) => {
                refused += 1;
                assert!(!out.exists() || out.read_dir().unwrap().next().is_none(), "{case}");
                assert!(!output.stderr.is_empty(), "{case}");
            }
            other => panic!("{case}: {other:?}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }
    assert!(refused > 0 && refused < GIVEN, "{refused}");
}

#[test]
fn mutated_real_files_never_panic() {
    let files: Vec<Vec<u8>> = all_onnx_files()
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .filter(|bytes| bytes.len() as u64 <= LARGEST)
        .collect();
    assert!(files.len() >= 20);
    let read: usize = (0..CASES)
        .into_par_iter()
        .map(|case| {
            let bytes = mutated(&files, case);
            let Ok(model) = Model::from_bytes("mutated.onnx", bytes.into()) else { return 0 };
            let Ok(mut architecture) = Architecture::from_model(&model) else { return 0 };
            usize::from(resolve(&mut architecture, &Registry::standard()).is_ok())
        })
        .sum();
    // Some mutations only touch weights; most must be noticed or survived.
    println!("{read} of {CASES} mutated files still resolve");
    assert!(read > 0);
}
