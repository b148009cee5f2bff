//! The commands, on a zoo small enough to be grown here.

#[path = "../../tests/suite/digits.rs"]
mod digits;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    sync::{Arc, atomic::AtomicBool},
};

use approx::assert_abs_diff_eq;
use burn::tensor::Device;
use serde_json::Value;
use weightsmith::{
    data::{Dataset, Split},
    evaluate::judge,
    observer::Silent,
    ops::Registry,
    train::{RunOptions, TrainConfig, train},
    zoo::{GrowConfig, GrowOptions, Zoo, grow},
};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weightsmith-experiments"));
    command.args(arguments).output().unwrap()
}

/// A data set, two predictors that have seen a little of it, and a zoo.
struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("data")).unwrap();
        digits::write_idx(&place.path("data"));
        place.train("parent", "", "");
        let text = format!(
            "name = \"zoo\"\nspace = \"tiny\"\ndata = {:?}\nout = {:?}\ngraphs = 2\nprecision = \"f32\"\nlargest_macs = 100_000\n\
             [training]\nbatch = 8\naugmentation = \"none\"\n\
             [[parents]]\npredictor = {:?}\nfinetune = [0, 2]\n",
            place.path("data"),
            place.path("zoo"),
            place.predictor("parent")
        );
        fs::write(place.path("zoo.toml"), text).unwrap();
        let options = GrowOptions {
            registry: Registry::standard(),
            resume: false,
            jobs: 2,
            stop: Arc::new(AtomicBool::new(false)),
            observer: Arc::new(Silent),
        };
        grow(&GrowConfig::load(&place.path("zoo.toml")).unwrap(), &options).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn predictor(&self, name: &str) -> PathBuf {
        self.path(name).join("predictor")
    }

    fn train(&self, name: &str, network: &str, further: &str) {
        let text = format!(
            "name = {name:?}\nspace = \"tiny\"\ndata = {:?}\nout = {:?}\nmeta_batch = 2\nbatch = 8\n\
             graphs = 2\naugmentation = \"none\"\n{further}\n\
             [network]\ntrunk = 16\nhidden = 16\ncalibration = 4\n\
             [network.encoder]\nwidth = 8\nheads = 2\nlayers = 1\n{network}\n\
             [[stages]]\nsteps = 2\nsize = 16\nstatistics = \"calibration\"\n",
            self.path("data"),
            self.path(name)
        );
        let config = self.path(&format!("{name}.toml"));
        fs::write(&config, text).unwrap();
        let options = RunOptions {
            registry: Registry::standard(),
            devices: vec![Device::flex()],
            resume: false,
            command: "a test".to_owned(),
            stop: Arc::new(AtomicBool::new(false)),
            node_encoder: None,
            observer: Arc::new(Silent),
        };
        assert!(train(&TrainConfig::load(&config).unwrap(), &options).unwrap().finished);
    }
}

#[test]
fn rows_are_set_side_by_side() {
    let place = Workplace::new();
    let initial = format!("initial = {:?}", place.predictor("parent"));
    let denoiser = format!(
        "[network.diffusion]\nlatent = 2\npatch = 4\nmirror = true\n\
         [denoising]\nmembers = 2\ntogether = 0.5\nzoo = {:?}\ncheckpoints = 1",
        place.path("zoo")
    );
    place.train("denoiser", &denoiser, &initial);
    let row = |name: &str, predictor: &str, further: &str| {
        format!("[[rows]]\nname = \"{name}\"\npredictor = {predictor:?}\n{further}\n")
    };
    let [parent, denoiser] =
        ["parent", "denoiser"].map(|name| place.predictor(name).display().to_string());
    let mut rows = row("parent", &parent, "");
    for combine in ["each", "consensus", "ensemble", "average", "oracle", "agreement"] {
        let further = format!("samples = 2\nsteps = 2\ncombine = \"{combine}\"");
        rows += &row(combine, &denoiser, &further);
    }
    for quality in [0.1, 0.5, 0.9] {
        rows += &row("quality", &denoiser, &format!("quality = {quality}"));
    }
    for from in ["nearest", "mean"] {
        rows += &row(from, &format!("{from}:{}", place.text("zoo")), "");
    }
    rows += &row("random", "he", "");
    let text = format!("splits = []\ngraphs = 2\nimages = 20\ndraws = 2\n{rows}");
    fs::write(place.path("rows.toml"), text).unwrap();
    let [config, data, out, plot] =
        ["rows.toml", "data", "result.json", "quality.svg"].map(|name| place.text(name));
    let ablate = |further: &[&str]| {
        let common = ["ablate", &config, "--data", &data, "--json", "--resume", "--out", &out];
        run(&[&common[..], further].concat())
    };
    let output = ablate(&["--plot", &plot]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!place.path("result.json.part").exists());
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 13);
    assert!(rows.iter().all(|row| (0.0..=1.0).contains(&row["top1"]["mean"].as_f64().unwrap())));
    let mean = |row: usize| rows[row]["top1"]["mean"].as_f64().unwrap();
    assert!(mean(1) <= mean(5), "the best of two is no worse than their mean");
    assert!(report["quality_control"].is_number());
    assert!(fs::read_to_string(plot).unwrap().contains("svg"));

    let few = ["--skip", "1", "--graphs", "1", "--row", "parent"];
    let refused = ablate(&few);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"));
    let kept: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(kept, report);
    let replaced = ablate(&[&few[..], &["--force"]].concat());
    let replaced: Value = serde_json::from_slice(&replaced.stdout).unwrap();
    assert_eq!(replaced["rows"][0]["graphs"].as_object().unwrap().len(), 1);
}

#[test]
fn a_shuffled_zoo_computes_the_same_with_other_weights() {
    let place = Workplace::new();
    let output = run(&["shuffle-zoo", &place.text("zoo"), &place.text("shuffled")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [zoo, shuffled] = ["zoo", "shuffled"].map(|name| Zoo::open(&place.path(name)).unwrap());
    let input = &zoo.header().input;
    let data = Dataset::open(&place.path("data"), Split::Test).unwrap();
    let data = data.with_channels(input.channels()).unwrap();
    assert_eq!(zoo.records().len(), shuffled.records().len());
    for (own, other) in zoo.records().iter().zip(shuffled.records()) {
        let (_, architecture) = zoo.graph(own, &Registry::standard()).unwrap();
        let [a, b] = [(&zoo, own), (&shuffled, other)]
            .map(|(zoo, record)| zoo.weights(record, &architecture).unwrap());
        assert_ne!(a, b);
        let registry = Registry::standard();
        let of = |weights| {
            judge(&architecture, &registry, weights, &data, input, 20).unwrap().cross_entropy
        };
        assert_abs_diff_eq!(of(&a), of(&b), epsilon = 1e-3);
    }
}
