//! Zoos: the same bytes however often growing is interrupted, damage that is found, checkpoints that
//! are what their records say.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};

use approx::assert_abs_diff_eq;
use burn::tensor::Device;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use weightsmith::{
    data::{Dataset, Split},
    evaluate::judge,
    graph::Architecture,
    observer::Silent,
    onnx::Model,
    ops::{Registry, resolve},
    predictor::{Predictor, calibrate},
    train::{RunOptions, TrainConfig, train},
    zoo::{Groups, GrowConfig, GrowOptions, Grown, Zoo, ZooError, align, grow},
};

use super::{
    cli::{json, weightsmith},
    digits::write_idx,
};

/// A data set and a predictor that has seen a little of it.
struct Farm {
    folder: tempfile::TempDir,
}

impl Farm {
    fn new() -> Self {
        let farm = Self { folder: tempfile::tempdir().unwrap() };
        let data = farm.path("data");
        fs::create_dir(&data).unwrap();
        write_idx(&data);
        let text = format!(
            "name = \"parent\"\nspace = \"tiny\"\ndata = {data:?}\nout = {:?}\nmeta_batch = 2\n\
             batch = 8\ngraphs = 2\naugmentation = \"none\"\n\
             [network]\ntrunk = 16\nhidden = 16\ncalibration = 4\n\
             [network.encoder]\nwidth = 8\nheads = 2\nlayers = 1\n\
             [[stages]]\nsteps = 2\nsize = 16\nstatistics = \"calibration\"\n",
            farm.path("run")
        );
        fs::write(farm.path("parent.toml"), text).unwrap();
        let options = RunOptions {
            registry: Registry::standard(),
            devices: vec![Device::flex()],
            resume: false,
            command: "a test".to_owned(),
            stop: Arc::new(AtomicBool::new(false)),
            node_encoder: None,
            observer: Arc::new(Silent),
        };
        train(&TrainConfig::load(&farm.path("parent.toml")).unwrap(), &options).unwrap();
        farm
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file of a configuration that grows a zoo of that name.
    fn config(&self, name: &str, graphs: usize, further: &str) -> PathBuf {
        let (data, out) = (self.path("data"), self.path(name));
        let parent = self.path("run/predictor");
        let text = format!(
            "name = \"small\"\nspace = \"tiny\"\ndata = {data:?}\nout = {out:?}\n\
             graphs = {graphs}\nlargest_macs = 100_000\nprecision = \"f32\"\n{further}\n\
             [training]\nrate = 0.05\nbatch = 16\naugmentation = \"shift\"\n\
             [[parents]]\npredictor = {parent:?}\nfinetune = [0, 4, 40]\n"
        );
        let path = self.path(&format!("{name}-{graphs}.toml"));
        fs::write(&path, text).unwrap();
        path
    }

    fn grow(&self, config: &Path, resume: bool, stop: bool) -> Result<Grown, ZooError> {
        let options = GrowOptions {
            registry: Registry::standard(),
            resume,
            jobs: 2,
            stop: Arc::new(AtomicBool::new(stop)),
            observer: Arc::new(Silent),
        };
        grow(&GrowConfig::load(config).unwrap(), &options)
    }

    /// A zoo of that name with some graphs, grown in one go.
    fn zoo(&self, name: &str, graphs: usize) -> Zoo {
        let grown = self.grow(&self.config(name, graphs, ""), false, false).unwrap();
        assert_eq!((grown.graphs, grown.checkpoints, grown.diverged), (graphs, 3 * graphs, 0));
        assert!(grown.finished);
        Zoo::open(&grown.folder).unwrap()
    }
}

/// All files below a folder.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let below = contents(&path);
            let name = PathBuf::from(path.file_name().unwrap());
            files.extend(below.into_iter().map(|(path, bytes)| (name.join(path), bytes)));
        } else {
            files.insert(path.file_name().unwrap().into(), fs::read(&path).unwrap());
        }
    }
    files
}

/// Kills a growing process without warning once a graph is done.
fn kill(mut child: Child, folder: &Path) {
    let done =
        || fs::read_dir(folder.join("records")).is_ok_and(|mut files| files.next().is_some());
    for _ in 0..3000 {
        if done() || child.try_wait().unwrap().is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn interruptions_do_not_show() {
    let farm = Farm::new();
    let whole = contents(farm.zoo("whole", 3).folder());
    assert_eq!(whole.len(), 1 + 3 + 9);

    let stopped = farm.grow(&farm.config("parts", 1, ""), false, true).unwrap();
    assert!(!stopped.finished && stopped.checkpoints == 0);
    for (graphs, checkpoints) in [(1, 3), (2, 6), (3, 9), (3, 9)] {
        let config = farm.config("parts", graphs, "");
        assert_eq!(farm.grow(&config, true, false).unwrap().checkpoints, checkpoints);
    }
    assert!(contents(&farm.path("parts")) == whole);

    let config = farm.config("killed", 3, "").display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weightsmith"));
    let child = command.args(["zoo", "grow", &config, "-q"]).spawn().unwrap();
    kill(child, &farm.path("killed"));
    fs::write(farm.path("killed/weights/.tmp1234"), b"half of a tens").unwrap();
    let output = weightsmith(&["zoo", "grow", &config, "--resume", "--json"]);
    assert_eq!(json(&output)["checkpoints"], 9);
    assert!(contents(&farm.path("killed")) == whole);
}

#[test]
fn another_configuration_does_not_grow_on() {
    let farm = Farm::new();
    farm.zoo("zoo", 1);
    let refused = |config: &Path, resume| farm.grow(config, resume, false).unwrap_err().to_string();
    assert!(refused(&farm.config("zoo", 1, ""), false).contains("add --resume"));
    assert!(refused(&farm.config("zoo", 1, "seed = 1"), true).contains("another configuration"));
    let none = farm.config("none", 1, "").display().to_string();
    let text = fs::read_to_string(&none).unwrap().replace("100_000", "10");
    fs::write(&none, text.replace("\"tiny\"", "\"mnist\"")).unwrap();
    let output = weightsmith(&["zoo", "grow", &none, "-q"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("channels"));
}

#[test]
fn a_checkpoint_is_what_its_record_says() {
    let farm = Farm::new();
    let zoo = farm.zoo("zoo", 2);
    let header = zoo.header();
    let held_out = Dataset::open(&farm.path("data"), Split::Val).unwrap();
    let held_out = held_out.with_channels(3).unwrap();
    let predictor = Predictor::load(&farm.path("run/predictor"), &Device::flex()).unwrap();
    for fingerprint in zoo.graphs() {
        let records = zoo.of_graph(fingerprint);
        assert_eq!(records.iter().map(|record| record.step).collect::<Vec<_>>(), [0, 4, 40]);
        for record in records {
            let (_, architecture) = zoo.graph(record, &Registry::standard()).unwrap();
            let weights = zoo.weights(record, &architecture).unwrap();
            let count = weights.values().count();
            assert_eq!((record.fingerprint, record.parameters), (fingerprint, count as u64));
            assert_eq!(record.train.is_none(), record.step == 0);
            let lineage = record.lineage.as_ref().unwrap();
            assert_eq!(lineage.hash, predictor.hash);
            let scores = judge(
                &architecture,
                &Registry::standard(),
                &weights,
                &held_out,
                &header.input,
                500,
            )
            .unwrap();
            let validation = record.validation.unwrap();
            assert_abs_diff_eq!(scores.top1, validation.accuracy, epsilon = 1e-9);
            assert_abs_diff_eq!(scores.cross_entropy, validation.loss, epsilon = 1e-4);
            if record.step == 0 {
                let mut exported =
                    predictor.predict(&architecture, &Registry::standard(), |_| false).unwrap();
                let images = predictor.calibration_images();
                calibrate(&architecture, &Registry::standard(), &mut exported, &images).unwrap();
                for (stored, exported) in
                    weights.by_parameter().zip(exported.weights.by_parameter())
                {
                    assert_abs_diff_eq!(stored.unwrap(), exported.unwrap(), epsilon = 1e-5);
                }
            }
        }
    }
}

#[test]
fn damage_is_found() {
    let farm = Farm::new();
    let zoo = farm.zoo("zoo", 1);
    let folder = farm.path("zoo").display().to_string();
    let verify = || weightsmith(&["zoo", "verify", "--zoo", &folder, "--json"]);
    let sound = verify();
    assert_eq!((sound.status.code(), &json(&sound)["sound"]), (Some(0), &Value::Bool(true)));

    let [first, second, third] = zoo.records() else { panic!("three checkpoints") };
    let mut bytes = fs::read(zoo.path(first)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(zoo.path(first), bytes).unwrap();
    fs::remove_file(zoo.path(second)).unwrap();
    fs::copy(zoo.path(third), farm.path("zoo/weights/stray.safetensors")).unwrap();
    let broken = verify();
    assert_eq!(broken.status.code(), Some(1));
    let problems = json(&broken)["problems"].to_string();
    for (of, what) in
        [(&first.tensors[..], "damaged"), (&second.tensors, "No such file"), ("stray", "no record")]
    {
        assert!(problems.contains(of) && problems.contains(what), "{problems}");
    }
    assert_eq!(json(&broken)["problems"].as_array().unwrap().len(), 3);

    let records = farm.path("zoo/records").join(format!("{:016x}.pb", first.fingerprint));
    let mut bytes = fs::read(&records).unwrap();
    bytes[100] ^= 4;
    fs::write(&records, bytes).unwrap();
    let unreadable = verify();
    assert_eq!(unreadable.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unreadable.stderr).contains(".pb: "));
}

#[test]
fn an_exported_checkpoint_has_the_weights_of_the_zoo() {
    let farm = Farm::new();
    let zoo = farm.zoo("zoo", 1);
    let record = &zoo.records()[2];
    let folder = farm.path("zoo").display().to_string();
    let out = farm.path("net.onnx");
    let arguments = ["zoo", "export", &record.tensors[..20], "--zoo", &folder, "--out"];
    let output = weightsmith(&[&arguments[..], &[&out.display().to_string()]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        fs::read(farm.path("net.safetensors")).unwrap(),
        fs::read(zoo.path(record)).unwrap()
    );
    let model = Model::open(&out).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    let weights = zoo.weights(record, &architecture).unwrap();
    assert_eq!(weights.tensors().count(), architecture.parameters.len());
    for (id, values) in weights.tensors() {
        let read = architecture.value_in(&model, id).unwrap().unwrap();
        assert_eq!(read.data, values);
    }
    // A network in the way stays.
    fs::write(&out, "another network").unwrap();
    let again = weightsmith(&[&arguments[..], &[&out.display().to_string()]].concat());
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(fs::read(&out).unwrap(), b"another network");
    let arguments = ["zoo", "export", &format!("{:016x}", record.fingerprint), "--zoo", &folder];
    let output = weightsmith(&[&arguments[..], &["--out", "x.onnx"]].concat());
    assert!(String::from_utf8_lossy(&output.stderr).contains("3 checkpoints"));
}

#[test]
fn a_shuffled_checkpoint_of_a_zoo_comes_back() {
    let farm = Farm::new();
    let zoo = farm.zoo("zoo", 2);
    let parent = Predictor::load(&farm.path("run/predictor"), &Device::flex()).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for record in zoo.records() {
        let (_, architecture) = zoo.graph(record, &Registry::standard()).unwrap();
        let weights = zoo.weights(record, &architecture).unwrap();
        let groups = Groups::of(&architecture, &Registry::standard());
        let mut permutations = groups.identity();
        permutations.iter_mut().for_each(|permutation| permutation.shuffle(&mut random));
        let moved = groups.permute(&weights, &permutations).unwrap();
        // The gauge is that of the parent's prediction, not of the checkpoint itself.
        let gauge =
            parent.predict(&architecture, &Registry::standard(), |_| false).unwrap().weights;
        let back = align(&architecture, &Registry::standard(), &moved, &gauge).unwrap();
        let near = |(own, other): (&f32, &f32)| (own - other).abs() <= 1e-4 * (1.0 + other.abs());
        let near: Vec<bool> = back.weights.values().zip(weights.values()).map(near).collect();
        let (same, all) = (near.iter().filter(|near| **near).count(), near.len());
        assert!(same * 100 >= all * 95, "{same} of {all} values are back, step {}", record.step);
    }
}

#[test]
fn a_denoiser_learns_from_a_zoo() {
    let farm = Farm::new();
    farm.zoo("zoo", 2);
    let [data, zoo, parent] = ["data", "zoo", "run/predictor"].map(|name| farm.path(name));
    for (name, further) in [("cosine", ""), ("flow", "process = \"flow\"")] {
        let text = format!(
            "name = \"{name}\"\nspace = \"tiny\"\ndata = {data:?}\nout = {:?}\ninitial = {parent:?}\n\
             meta_batch = 2\nbatch = 8\ngraphs = 2\naugmentation = \"none\"\nlog_every = 1\n\
             [network]\ntrunk = 16\nhidden = 16\ncalibration = 4\n\
             [network.encoder]\nwidth = 8\nheads = 2\nlayers = 1\n\
             [network.diffusion]\nlatent = 2\npatch = 4\nmirror = true\n{further}\n\
             [denoising]\nmembers = 2\ntogether = 0.5\nrefine = 0.5\nzoo = {zoo:?}\ncheckpoints = 2\n\
             [[stages]]\nsteps = 3\nsize = 16\nstatistics = \"calibration\"\n",
            farm.path(name)
        );
        let recipe = farm.path(&format!("{name}.toml"));
        fs::write(&recipe, text).unwrap();
        let output =
            weightsmith(&["train", &recipe.display().to_string(), "--device", "flex", "-q"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metrics = fs::read_to_string(farm.path(name).join("metrics.jsonl")).unwrap();
        let mut lines = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let first = lines.find(|line| line["event"] == "train").unwrap();
        for key in ["loss", "together", "recovery"] {
            assert!(first[key].as_f64().is_some_and(f64::is_finite), "{key}: {first}");
        }
        let written = Predictor::load(&farm.path(name).join("predictor"), &Device::flex()).unwrap();
        let [low, high] = written.config.training.quality_range.unwrap();
        assert!(0.0 <= low && low <= high && high <= 1.0);
    }
}

#[test]
fn a_zoo_can_be_looked_at() {
    let farm = Farm::new();
    let zoo = farm.zoo("zoo", 2);
    let folder = farm.path("zoo").display().to_string();
    let summary = farm.path("summary.json");
    let summary_text = summary.display().to_string();
    let list = ["zoo", "list", "--zoo", &folder, "--summary", &summary_text, "--json"];
    let list = json(&weightsmith(&list));
    let written: Value = serde_json::from_slice(&fs::read(&summary).unwrap()).unwrap();
    assert_eq!(list["summary"], written);
    assert_eq!((&written["graphs"], &written["checkpoints"]), (&2.into(), &6.into()));
    assert_eq!(written["parents"][0]["steps"].as_array().unwrap().len(), 3);
    assert_eq!(list["graphs"].as_array().unwrap().len(), 2);
    let record = &zoo.records()[0];
    let fingerprint = format!("{:016x}", record.fingerprint);
    let show = |id: &str| weightsmith(&["zoo", "show", id, "--zoo", &folder, "--json"]);
    assert_eq!(json(&show(&fingerprint))["records"].as_array().unwrap().len(), 3);
    let one = &json(&show(&record.tensors))["records"];
    assert_eq!((&one[0]["step"], &one[0]["fingerprint"]), (&0.into(), &fingerprint.into()));
    assert_eq!(show("0").status.code(), Some(2));
}
