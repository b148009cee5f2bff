//! The reader on mutated real files: an error or an architecture, never a panic.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use weightsmith::{
    graph::Architecture,
    onnx::Model,
    ops::{Registry, resolve},
};

use super::beside::all_onnx_files;

/// Mutations of all files together.
const CASES: u64 = 12_000;
/// Files up to this many bytes are mutated.
const LARGEST: u64 = 150_000;

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
            let mut random = ChaCha8Rng::seed_from_u64(case);
            let mut bytes = files[case as usize % files.len()].clone();
            for _ in 0..random.random_range(1..4) {
                if !bytes.is_empty() {
                    mutate(&mut bytes, &mut random);
                }
            }
            let Ok(model) = Model::from_bytes("mutated.onnx", bytes.into()) else { return 0 };
            let Ok(mut architecture) = Architecture::from_model(&model) else { return 0 };
            usize::from(resolve(&mut architecture, &Registry::standard()).is_ok())
        })
        .sum();
    // Some mutations only touch weights; most must be noticed or survived.
    println!("{read} of {CASES} mutated files still resolve");
    assert!(read > 0);
}
