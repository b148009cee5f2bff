//! What took long to make is not lost: files that are in the way are refused, and stay as they are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};

use super::{
    cli::{self, weightsmith},
    digits::write_idx,
};

/// A folder with a data set in `data`.
struct Workplace(tempfile::TempDir);

impl Workplace {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("data")).unwrap();
        write_idx(&place.path("data"));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Trains one graph for no epoch.
    fn sgd(&self, out: &str, further: &[&str]) -> Output {
        let (data, out) = (self.text("data"), self.text(out));
        let common = ["bench", "sgd", "--data", &data, "--predictor", "mnist", "--graphs", "1"];
        weightsmith(&[&common[..], &["--epochs", "0", "--out", &out], further].concat())
    }

    fn transfer(&self, out: &str, further: &[&str]) -> Output {
        let (data, out) = (self.text("data"), self.text(out));
        let common =
            ["bench", "transfer", "--data", &data, "--predictor", "mnist", "--graphs", "1"];
        weightsmith(&[&common[..], &["--corrupted", "0", "--out", &out], further].concat())
    }
}

/// A command that says no, says why, and leaves a file as it is.
#[track_caller]
fn refused(file: &Path, why: &str, run: impl FnOnce() -> Output) {
    let before = fs::read(file).unwrap();
    let output = run();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    let name = file.file_name().unwrap().to_string_lossy();
    assert!(message.contains(&*name) && message.contains(why), "{message}");
    assert_eq!(fs::read(file).unwrap(), before);
}

#[track_caller]
fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn learning_curves_go_on_in_their_own_table_only() {
    let place = Workplace::new();
    let path = place.path("sgd.json");
    let sgd = |further: &[&str]| place.sgd("sgd.json", further);
    for (text, why) in [
        ("{\"schema\": 1, \"data_hash\"", "is no table of 'bench sgd'"),
        ("{\"schema\": 2, \"splits\": []}", "is no table of 'bench sgd'"),
        ("{\"schema\": 1, \"data_hash\": \"\", \"graphs\": {}}", "other training images"),
    ] {
        fs::write(&path, text).unwrap();
        refused(&path, why, || sgd(&[]));
    }
    fs::remove_file(&path).unwrap();
    succeeds(&sgd(&[]));
    refused(&path, "seed 0", || sgd(&["--seed", "1"]));
    refused(&path, "20 test images", || sgd(&["--limit", "5"]));
    let before = fs::read(&path).unwrap();
    succeeds(&sgd(&[]));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_network_in_the_way_of_a_trained_one_stays() {
    let place = Workplace::new();
    let keep = place.text("trained");
    succeeds(&place.sgd("first.json", &["--keep", &keep]));
    let kept = fs::read_dir(&keep).unwrap().next().unwrap().unwrap().path();
    refused(&kept, "choose another folder", || place.sgd("second.json", &["--keep", &keep]));
    assert!(!place.path("second.json").exists());
}

#[test]
fn a_damaged_table_is_named_as_what_it_is() {
    let place = Workplace::new();
    let table = place.path("table.json");
    let rank = || {
        let table = table.display().to_string();
        weightsmith(&["bench", "rank", "--table", &table, "--by", "flops", "--no-cache"])
    };
    let graphs = json!({"plain-cnn": {"20": {"images": 100, "top1": "half"}}});
    let damaged = json!({"schema": 1, "data_hash": "", "graphs": graphs});
    fs::write(&table, damaged.to_string()).unwrap();
    refused(&table, "damaged table of 'bench sgd'", rank);
    fs::write(&table, &damaged.to_string()[..40]).unwrap();
    refused(&table, "is no table", rank);
}

#[test]
fn a_result_is_replaced_by_the_same_command_only() {
    let place = Workplace::new();
    let path = place.path("result.json");
    fs::write(&path, "{\"notes\": \"of a year\"}").unwrap();
    refused(&path, "--force", || place.transfer("result.json", &[]));
    fs::remove_file(&path).unwrap();
    succeeds(&place.transfer("result.json", &[]));
    succeeds(&place.transfer("result.json", &["--quiet"]));
    refused(&path, "--force", || place.transfer("result.json", &["--limit", "5"]));
    succeeds(&place.transfer("result.json", &["--limit", "5", "--force"]));
    let result: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(result["data"]["images"], 5);
}

#[test]
fn graphs_are_not_exported_over_networks_that_were_filled() {
    let place = Workplace::new();
    let folder = place.text("graphs");
    let export = |further: &[&str]| {
        let common =
            ["bench", "export-graphs", "--like", "mnist", "--graphs", "1", "--out", &folder];
        weightsmith(&[&common[..], &["--json"], further].concat())
    };
    let card = cli::json(&export(&[]));
    succeeds(&export(&[]));
    let name = format!("{}.onnx", card["graphs"][0].as_str().unwrap());
    let graph = place.path("graphs").join(name);
    fs::write(&graph, "filled").unwrap();
    refused(&graph, "--force", || export(&[]));
    succeeds(&export(&["--force"]));
}

#[test]
fn evidence_is_not_written_over_a_state_dict() {
    let place = Workplace::new();
    let graph = format!("{}/architectures/named/plain-cnn.onnx", env!("CARGO_MANIFEST_DIR"));
    let state = place.path("plain-cnn.safetensors");
    fs::write(&state, "a state dict").unwrap();
    let folder = place.0.path().display().to_string();
    let rank = |further: &[&str]| {
        let common = ["rank", &graph, "--by", "synflow", "--no-cache", "--evidence", &folder];
        weightsmith(&[&common[..], further].concat())
    };
    let output = rank(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("plain-cnn.safetensors"));
    assert_eq!(fs::read(&state).unwrap(), b"a state dict");
    succeeds(&rank(&["--force"]));
    succeeds(&rank(&[]));
}
