//! Predictors that are small to carry, and what they build on.

use std::{fs, path::Path};

use burn::tensor::Device;
use weightsmith::{
    neural::{self, Entry},
    predictor::{BUNDLED, Network, Predictor, PredictorConfig, Seen},
};

use super::predictor::config;

fn entries() -> Vec<Entry> {
    let PredictorConfig { network, input, vocabulary, .. } = config();
    neural::entries(&Network::new(&network, &input, vocabulary.len(), &Device::flex()))
}

fn load(folder: &Path) -> Predictor {
    Predictor::load(folder, &Device::flex()).unwrap()
}

fn refusal(folder: &Path) -> String {
    Predictor::load(folder, &Device::flex()).unwrap_err().to_string()
}

fn size(folder: &Path) -> u64 {
    fs::metadata(folder.join("model.safetensors")).unwrap().len()
}

/// Folders `base` and `derived`, as training writes them: all tensors but the last are the same.
fn trained(folder: &Path) {
    let entries = entries();
    let mut values = neural::initialise(&entries, 3);
    values.iter_mut().for_each(|value| *value *= 3.0);
    let save = |name: &str, values: &[f32], graphs: std::ops::Range<u64>| {
        Predictor::save(&folder.join(name), &config(), &entries, values).unwrap();
        let seen = Seen { graphs: Some(graphs.collect()), images: Some((0..9).collect()) };
        seen.save(&folder.join(name)).unwrap();
    };
    save("base", &values, 0..100);
    let last = entries.last().unwrap().len();
    let start = values.len() - last;
    values[start..].iter_mut().for_each(|value| *value += 0.5);
    save("derived", &values, 50..110);
}

#[test]
fn a_published_predictor_is_close_and_smaller_and_builds_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    trained(folder.path());
    Predictor::publish(&place("base"), &place("small/base"), None).unwrap();
    Predictor::publish(&place("derived"), &place("small/derived"), Some("base")).unwrap();
    assert!(size(&place("small/base")) < size(&place("base")) * 2 / 3);
    assert!(size(&place("small/derived")) < size(&place("small/base")) / 2);
    let [base, derived] = ["small/base", "small/derived"].map(|name| load(&place(name)));
    assert_eq!(derived.config.base.as_ref().unwrap().hash, base.hash);
    assert_ne!(derived.hash, base.hash);
    let values = |name: &str| neural::values(&load(&place(name)).network);
    for name in ["base", "derived"] {
        let (small, whole) = (values(&format!("small/{name}")), values(name));
        let mut pairs = small.iter().zip(&whole);
        for entry in entries() {
            // Pixels of learned images, here of up to twelve, take six bits.
            let most = if entry.name == "calibration" { 0.2 } else { 0.1 };
            for (small, whole) in pairs.by_ref().take(entry.len()) {
                assert!((small - whole).abs() < most, "{} {small} {whole}", entry.name);
            }
        }
    }
    let shared = values("base").len() - entries().last().unwrap().len();
    assert_eq!(values("small/base")[..shared], values("small/derived")[..shared]);
    assert_eq!(derived.seen.graphs, Some((0..110).collect()));
    assert_eq!(derived.seen.images, Some((0..9).collect()));

    // Once more, with and without a base, it stays as it is.
    Predictor::publish(&place("small/derived"), &place("whole"), None).unwrap();
    Predictor::publish(&place("whole"), &place("small/again"), Some("base")).unwrap();
    let model = |name: &str| fs::read(place(name).join("model.safetensors")).unwrap();
    assert_eq!(values("whole"), values("small/derived"));
    assert_eq!(model("small/again"), model("small/derived"));
}

#[test]
fn a_base_that_is_missing_or_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    trained(folder.path());
    let error = Predictor::publish(&place("derived"), &place("small"), Some("nobody")).unwrap_err();
    assert!(error.to_string().contains("'nobody'"), "{error}");
    Predictor::publish(&place("derived"), &place("small"), Some("base")).unwrap();
    load(&place("small"));

    Predictor::publish(&place("derived"), &place("base"), None).unwrap();
    let error = refusal(&place("small"));
    assert!(error.contains("config.json") && error.contains("same release"), "{error}");
    fs::rename(place("base"), place("gone")).unwrap();
    let error = refusal(&place("small"));
    assert!(error.contains("config.json") && error.contains("'base'"), "{error}");
}

#[test]
fn what_training_saves_stands_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    trained(folder.path());
    Predictor::publish(&place("derived"), &place("small"), Some("base")).unwrap();
    let small = load(&place("small"));
    let values = neural::values(&small.network);
    Predictor::save(&place("saved"), &small.config, &entries(), &values).unwrap();
    fs::remove_dir_all(place("base")).unwrap();
    assert_eq!(load(&place("saved")).config.base, None);
}

#[test]
fn the_bundled_predictors_are_small_together() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("predictors");
    let files =
        ["config.json", "model.safetensors", "graphs.sketch", "images.sketch", "outlook.json"];
    let size = |name: &str| -> u64 {
        let metadata =
            files.iter().filter_map(|file| fs::metadata(folder.join(name).join(file)).ok());
        metadata.map(|metadata| metadata.len()).sum()
    };
    let sizes = BUNDLED.map(size);
    // The default one and what it is built on.
    assert!(sizes[0] + sizes[1] <= 8_000_000, "{sizes:?}");
    // What leaves room for the source in a package of crates.io.
    assert!(sizes.iter().sum::<u64>() <= 9_000_000, "{sizes:?}");
}
