//! Training on other devices than the CPU, and on several at once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicBool},
};

use approx::assert_abs_diff_eq;
use burn::tensor::Device;
use serde_json::Value;
use weightsmith::{
    device::{DeviceChoice, choose},
    observer::Silent,
    ops::Registry,
    predictor::{LearnedLabels, Predictor},
    spaces::{Named, Space},
    train::{GraphFolder, RunOptions, TrainConfig, train},
};

use super::{
    cli::{json, weightsmith},
    digits::write_idx,
};

/// A tiny run that logs every step; its folder. At higher rates differences in the last digit grow
/// tenfold every ten steps, on any two devices.
fn config(folder: &Path, name: &str, steps: usize) -> (PathBuf, PathBuf) {
    let data = folder.join("data");
    if !data.exists() {
        fs::create_dir(&data).unwrap();
        write_idx(&data);
    }
    let out = folder.join(name);
    let text = format!(
        "name = {name:?}\nspace = \"tiny\"\ndata = {data:?}\nout = {out:?}\nmeta_batch = 8\n\
         batch = 16\ngraphs = 2\nvalidate_every = 1000\nlog_every = 1\naugmentation = \"none\"\n\
         [network]\ntrunk = 32\nhidden = 32\ncalibration = 4\n\
         [network.encoder]\nwidth = 16\nheads = 2\nlayers = 1\n\
         [optimiser]\nlearning_rate = 5e-4\n\
         [[stages]]\nsteps = {steps}\nsize = 16\nstatistics = \"calibration\"\n"
    );
    let config = folder.join(format!("{name}.toml"));
    fs::write(&config, text).unwrap();
    (config, out)
}

fn options(devices: Vec<Device>) -> RunOptions {
    RunOptions {
        registry: Registry::standard(),
        devices,
        resume: false,
        command: "a test".to_owned(),
        stop: Arc::new(AtomicBool::new(false)),
        node_encoder: None,
        observer: Arc::new(Silent),
    }
}

/// The lines of training metrics of a run, one a step.
fn metrics(out: &Path) -> Vec<Value> {
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == "train").collect()
}

fn number(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap()
}

/// A process of its own, so that nothing else moves its memory.
#[test]
fn training_on_wgpu_has_the_losses_of_flex_and_stops_growing() {
    match choose(DeviceChoice::Wgpu) {
        Ok((_, name)) => println!("training on {name}"),
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    }
    const STEPS: usize = 160;
    let folder = tempfile::tempdir().unwrap();
    let [on_gpu, on_cpu] = ["wgpu", "flex"].map(|device| {
        let (config, out) = config(folder.path(), device, STEPS);
        let output = Command::new(env!("CARGO_BIN_EXE_weightsmith"))
            .arg("train")
            .arg(config)
            .args(["--device", device, "-q"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        metrics(&out)
    });
    assert_eq!((on_gpu.len(), on_cpu.len()), (STEPS, STEPS));
    // Rounding grows from step to step: by a factor of about three in five of them.
    for (gpu, cpu) in on_gpu.iter().zip(&on_cpu).take(15) {
        assert_abs_diff_eq!(number(gpu, "loss"), number(cpu, "loss"), epsilon = 1e-3);
    }
    if cfg!(target_os = "linux") {
        let mebibytes = |step: usize| number(&on_gpu[step], "resident_memory") / f64::from(1 << 20);
        let (half, end) = (mebibytes(STEPS / 2), mebibytes(STEPS - 1));
        println!("{half:.0} MiB after half of the steps, {end:.0} MiB at the end");
        assert!(end - half < 0.1 * half, "{half:.0} MiB became {end:.0} MiB");
    }
}

#[test]
fn a_seed_of_zero_is_a_seed() {
    let folder = tempfile::tempdir().unwrap();
    let (config, out) = config(folder.path(), "seeded", 1);
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("seed = 5\n{text}")).unwrap();
    let config = config.display().to_string();
    let seed = |further: &[&str]| {
        let train = ["train", &config, "--device", "flex", "--json"];
        let seed = json(&weightsmith(&[&train[..], further].concat()))["seed"].clone();
        fs::remove_dir_all(&out).unwrap();
        seed
    };
    assert_eq!([seed(&[]), seed(&["--seed", "0"]), seed(&["--seed", "7"])], [5, 0, 7]);
}

#[test]
fn two_replicas_train_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, devices: Vec<Device>| {
        let (config, out) = config(folder.path(), name, 40);
        let config = TrainConfig::load(&config).unwrap();
        assert!(train(&config, &options(devices)).unwrap().finished);
        let losses: Vec<f64> = metrics(&out).iter().map(|line| number(line, "loss")).collect();
        (losses, fs::read(out.join("predictor/model.safetensors")).unwrap())
    };
    let (one, weights) = run("one", vec![Device::flex()]);
    assert_eq!((one.clone(), weights), run("two", vec![Device::flex(), Device::flex()]));
    assert!(one[39] < one[0]);
}

#[test]
fn episodes_train_trunks_in_colour_and_grey() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, episodes: &str| {
        let (config, out) = config(folder.path(), name, 6);
        let recipe =
            fs::read_to_string(&config).unwrap().replace("meta_batch = 8", "meta_batch = 1");
        fs::write(&config, recipe + episodes).unwrap();
        let outcome = train(&TrainConfig::load(&config).unwrap(), &options(vec![Device::flex()]));
        outcome.map(|outcome| (outcome.progress, out)).map_err(|error| error.to_string())
    };
    let data = folder.path().join("data");
    let episodes = |further: &str| {
        format!(
            "[episodes]\nper_step = 3\nimages = 24\nclasses = [2, 5]\ngrey = 0.5\nchanged = 0.5\n\
             [[episodes.data]]\npath = {data:?}\n{further}"
        )
    };
    let (progress, out) = run("episodes", &episodes("without = [\"3\"]\n")).unwrap();
    assert_eq!((progress.architecture_steps, progress.skipped), (24, 0));
    for line in metrics(&out) {
        assert!(number(&line, "loss").is_finite() && number(&line, "episode_loss").is_finite());
        assert!((0.0..=1.0).contains(&number(&line, "episode_accuracy")));
    }
    let weights = |out: &Path| fs::read(out.join("predictor/model.safetensors")).unwrap();
    let (_, again) = run("again", &episodes("without = [\"3\"]\n")).unwrap();
    assert_eq!(weights(&out), weights(&again));
    let (_, others) = run("others", &episodes("")).unwrap();
    assert_ne!(weights(&out), weights(&others));

    let refusal = |name: &str, text: &str| run(name, text).unwrap_err();
    let unknown = refusal("unknown", &episodes("without = [\"ten\"]\n"));
    assert!(unknown.contains("has no class 'ten'"), "{unknown}");
    let all: Vec<String> = (0..9).map(|class| class.to_string()).collect();
    let one = refusal("one", &episodes(&format!("without = {all:?}\n")));
    assert!(one.contains("two classes of two images"), "{one}");
}

#[test]
fn labels_of_the_calibration_batch_are_learned_along() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, labels: &str, further: &str| {
        let (config, out) = config(folder.path(), name, 8);
        let recipe = fs::read_to_string(&config).unwrap();
        fs::write(&config, further.to_owned() + &recipe.replace("calibration = 4", labels))
            .unwrap();
        let outcome = train(&TrainConfig::load(&config).unwrap(), &options(vec![Device::flex()]));
        outcome.map(|_| out.join("predictor")).map_err(|error| error.to_string())
    };
    let learned = |folder: &Path| {
        let predictor = Predictor::load(folder, &Device::flex()).unwrap();
        LearnedLabels::of(&predictor.network)
    };
    let without = run("without", "calibration = 4", "").unwrap();
    assert_eq!(learned(&without), None);
    let started = format!("initial = {without:?}\n");
    let labelled = run("labelled", "calibration = 20\nlabels = 10", &started).unwrap();
    let labels = learned(&labelled).unwrap();
    assert_eq!((labels.targets.len(), labels.classes), (200, 10));
    assert!(labels.targets.iter().any(|target| target.fract() != 0.0), "{labels:?}");
    assert!(labels.penalty.abs() > 0.0);
    let refused = run("refused", "calibration = 20\nlabels = 3", "").unwrap_err();
    assert!(refused.contains("has 10 classes, but network.labels is 3"), "{refused}");
}

#[test]
fn spaces_beside_are_trained_on_at_their_own_size_and_cost() {
    let folder = tempfile::tempdir().unwrap();
    let (config, out) = config(folder.path(), "mixed", 6);
    let text = fs::read_to_string(&config).unwrap();
    let beside = "[[beside]]\nspace = \"tiny\"\nshare = 0.5\nsize = 24\n\
                  [cost]\nparameters = 1_000_000\nimage = 100_000_000\npass = 1\n";
    fs::write(&config, text.replace("[network]\n", &format!("{beside}[network]\n"))).unwrap();
    assert!(
        train(&TrainConfig::load(&config).unwrap(), &options(vec![Device::flex()]))
            .unwrap()
            .finished
    );
    assert_eq!(metrics(&out).len(), 6);
    let lines = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let sizes: Vec<_> = lines
        .filter(|line| line["event"] == "validation")
        .map(|line| line["size"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [16, 24]);

    let dear = fs::read_to_string(&config).unwrap().replace("image = 100_000_000", "image = 1");
    fs::write(&config, dear).unwrap();
    let mut config = TrainConfig::load(&config).unwrap();
    config.out = out.with_extension("dear");
    let error = train(&config, &options(vec![Device::flex()])).unwrap_err().to_string();
    assert!(error.contains("at the cost that 'cost' allows"), "{error}");
}

#[test]
fn a_folder_of_graphs_is_trained_on_or_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let graphs = folder.path().join("graphs");
    fs::create_dir_all(graphs.join("validation")).unwrap();
    let open = || GraphFolder::open(&graphs, &Registry::standard());
    let refusal = || open().unwrap_err().to_string();
    assert!(refusal().contains("graphs: holds no .onnx file"), "{}", refusal());
    let save = |name: &str, onnx: &[u8]| fs::write(graphs.join(name), onnx).unwrap();
    let sampled = |seed| Space::load("tiny").unwrap().sample(seed).unwrap().onnx;
    save("0.onnx", &sampled(0));
    save("1.onnx", &sampled(1));
    save("validation/2.onnx", &sampled(2));
    let opened = open().unwrap();
    assert_eq!((opened.training().len(), opened.validation().len()), (2, 1));
    assert_eq!((opened.channels(), opened.classes()), (3, 10));

    let (config, _) = config(folder.path(), "folder", 2);
    let recipe = fs::read_to_string(&config).unwrap();
    fs::write(&config, recipe.replace("\"tiny\"", &format!("{graphs:?}"))).unwrap();
    let outcome = train(&TrainConfig::load(&config).unwrap(), &options(vec![Device::flex()]));
    let outcome = outcome.unwrap();
    assert_eq!((outcome.finished, outcome.progress.architecture_steps), (true, 16));

    save("1.onnx", &Named::find("lenet-5").unwrap().onnx());
    assert!(refusal().contains("1.onnx: reads 1 channels and has 10 outputs"), "{}", refusal());
    save("1.onnx", &sampled(2));
    assert!(refusal().contains("1.onnx: is a graph that is held out"), "{}", refusal());
    save("1.onnx", b"no graph");
    assert!(refusal().contains("1.onnx"), "{}", refusal());
}

/// Processes that end with the test.
#[cfg(feature = "remote")]
struct Worker(std::process::Child);

#[cfg(feature = "remote")]
impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(feature = "remote")]
#[test]
fn two_workers_on_loopback_have_the_losses_of_one_process() {
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let workers = [free(), free()].map(|port| {
        let child = Command::new(env!("CARGO_BIN_EXE_weightsmith"))
            .args(["worker", "--device", "flex", "--port", &port.to_string()])
            .spawn()
            .unwrap();
        (Worker(child), port)
    });
    for (_, port) in &workers {
        let address = ("127.0.0.1", *port);
        let up = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            std::net::TcpStream::connect(address).is_ok()
        });
        assert!(up, "no worker on port {port}");
    }
    let folder = tempfile::tempdir().unwrap();
    let train = |name: &str, further: &[String]| {
        let (config, out) = config(folder.path(), name, 20);
        let output = Command::new(env!("CARGO_BIN_EXE_weightsmith"))
            .arg("train")
            .arg(config)
            .arg("-q")
            .args(further)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        metrics(&out)
    };
    let alone = train("alone", &["--device".to_owned(), "flex".to_owned()]);
    let urls = workers.iter().map(|(_, port)| format!("--worker=ws://127.0.0.1:{port}"));
    let shared = train("shared", &urls.collect::<Vec<_>>());
    for (alone, shared) in alone.iter().zip(&shared) {
        assert_abs_diff_eq!(number(alone, "loss"), number(shared, "loss"), epsilon = 1e-4);
    }
}
