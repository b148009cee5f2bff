//! The binary as its users call it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use super::{beside, digits::write_idx};

pub fn weightsmith(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weightsmith"));
    command.args(arguments).env("RUST_BACKTRACE", "0").output().unwrap()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn named(name: &str) -> String {
    format!("{}/architectures/named/{name}.onnx", env!("CARGO_MANIFEST_DIR"))
}

fn shared(path: &str) -> Option<String> {
    beside::shared(path).map(|path| path.display().to_string())
}

fn predict(model: &str, out: &Path, further: &[&str]) -> Output {
    let out = out.display().to_string();
    let mut arguments = vec!["predict", model, "--out", &out, "--device", "flex", "--json"];
    arguments.extend(further);
    weightsmith(&arguments)
}

fn files(out: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn predict_writes_its_files_and_the_same_bytes_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a", "b"].map(|name| folder.path().join(name));
    let output = predict(&named("resnet-20"), &first, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result = json(&output);
    for key in ["schema", "predictor", "seed", "device", "seconds", "parameters", "files"] {
        assert!(!result[key].is_null(), "{key} is missing");
    }
    assert!(result["parameters"]["predicted"].as_u64().unwrap() > 270_000);
    assert!(result["parameters"]["calibrated"].as_u64().unwrap() > 0);
    assert_eq!(result["parameters"]["skipped"], 0);
    assert!(predict(&named("resnet-20"), &second, &[]).status.success());
    assert_eq!(files(&first), files(&second));
    let names: Vec<_> = files(&first).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        names,
        ["README.md", "bom.json", "report.json", "resnet-20.onnx", "resnet-20.safetensors"]
            .map(PathBuf::from)
    );
}

#[test]
fn verify_holds_for_what_predict_wrote_and_finds_a_single_flipped_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (named("plain-cnn"), folder.path());
    assert!(predict(&model, out, &["--seed", "7"]).status.success());
    let filled = out.join("plain-cnn.onnx");
    let file = filled.display().to_string();
    let verify = |further: &[&str]| weightsmith(&[&["verify", &file, "--json"], further].concat());
    let again = ["--regenerate", &model, "--device", "flex"];
    for further in [&[][..], &again[..]] {
        let output = verify(further);
        assert_eq!(output.status.code(), Some(0), "{}", json(&output));
        assert_eq!(json(&output)["holds"], true);
    }
    let other = named("resnet-20");
    let output = verify(&["--regenerate", &other, "--device", "flex"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(json(&output)["checks"].to_string().contains("the input"));

    let whole = fs::read(&filled).unwrap();
    let report: Value =
        serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    let weight =
        report["tensors"].as_array().unwrap().iter().find(|tensor| tensor["role"] == "weight");
    let name = weight.unwrap()["initializer"].as_str().unwrap();
    let state = fs::read(out.join("plain-cnn.safetensors")).unwrap();
    let state = safetensors::SafeTensors::deserialize(&state).unwrap();
    let values = &state.tensor(name).unwrap().data()[..64];
    let at = whole.windows(values.len()).position(|window| window == values).unwrap();
    for (position, bit) in [(at + 40, 0), (at + 41, 7)] {
        let mut flipped = whole.clone();
        flipped[position] ^= 1 << bit;
        fs::write(&filled, flipped).unwrap();
        let output = verify(&[]);
        assert_eq!(output.status.code(), Some(1));
        let result = json(&output);
        assert_eq!(result["holds"], false);
        assert!(result["checks"].to_string().contains(&format!("tensor '{name}'")), "{result}");
    }
    for position in (0..whole.len()).step_by(whole.len() / 7) {
        let mut flipped = whole.clone();
        flipped[position] ^= 16;
        fs::write(&filled, flipped).unwrap();
        assert_eq!(verify(&[]).status.code(), Some(1), "byte {position}");
    }
    fs::write(&filled, &whole).unwrap();
    fs::write(out.join("plain-cnn.safetensors"), b"other").unwrap();
    assert_eq!(verify(&[]).status.code(), Some(1));
    fs::remove_file(out.join("report.json")).unwrap();
    assert_eq!(verify(&[]).status.code(), Some(2));
}

#[test]
fn results_are_replaced_only_by_force_and_the_input_never() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    assert!(predict(&named("plain-cnn"), &out, &[]).status.success());
    let again = predict(&named("plain-cnn"), &out, &[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"));
    assert!(predict(&named("plain-cnn"), &out, &["--force"]).status.success());
    let copy = folder.path().join("net.onnx");
    fs::copy(named("plain-cnn"), &copy).unwrap();
    let onto = predict(&copy.display().to_string(), folder.path(), &["--force"]);
    assert_eq!(onto.status.code(), Some(2));
    assert_eq!(fs::read(&copy).unwrap(), fs::read(named("plain-cnn")).unwrap());
}

#[test]
fn the_state_dict_has_pytorch_names_and_shapes() {
    let folder = tempfile::tempdir().unwrap();
    assert!(predict(&named("resnet-20"), folder.path(), &[]).status.success());
    let bytes = fs::read(folder.path().join("resnet-20.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("conv1.weight").unwrap().shape(), [16, 3, 3, 3]);
    assert!(tensors.names().iter().any(|name| name.ends_with(".num_batches_tracked")));
    assert!(tensors.names().iter().any(|name| name.ends_with(".running_var")));
    let report: Value =
        serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(report["calibration"], "learned");
    for tensor in report["tensors"].as_array().unwrap() {
        assert!(tensor["label"].is_string() && tensor["initializer"].is_string());
    }
}

#[test]
fn a_filled_network_is_evaluated_above_chance_from_either_file() {
    let Some(data) = shared("data/cifar10_jpeg.tar.xz") else { return };
    let folder = tempfile::tempdir().unwrap();
    assert!(predict(&named("resnet-20"), folder.path(), &[]).status.success());
    let filled = folder.path().join("resnet-20.onnx").display().to_string();
    let state = folder.path().join("resnet-20.safetensors").display().to_string();
    let base = ["--data", &data, "--limit", "500", "--json"];
    let from_onnx = weightsmith(&[&["evaluate", &filled], &base[..]].concat());
    assert!(from_onnx.status.success(), "{}", String::from_utf8_lossy(&from_onnx.stderr));
    let original = named("resnet-20");
    let from_state =
        weightsmith(&[&["evaluate", &original, "--weights", &state], &base[..]].concat());
    let result = json(&from_onnx);
    assert_eq!(result, json(&from_state));
    assert_eq!(result["images"], 500);
    assert!(result["top1"].as_f64().unwrap() > 0.2, "{result}");
    for key in ["schema", "cross_entropy", "ece"] {
        assert!(!result[key].is_null(), "{key} is missing");
    }
}

#[test]
fn inspect_says_what_is_not_supported() {
    let Some(model) = shared("onnx/shufflenet-v2-12-int8.onnx") else { return };
    let output = weightsmith(&["inspect", &model, "--json"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(json(&output)["unsupported"].to_string().contains("quantised"));
    let folder = tempfile::tempdir().unwrap();
    let dot = folder.path().join("graph.dot").display().to_string();
    assert!(weightsmith(&["inspect", &named("plain-cnn"), "--dot", &dot]).status.success());
    assert!(fs::read_to_string(dot).unwrap().starts_with("digraph"));
}

#[test]
fn inspect_counts_by_family_and_draws_a_picture_that_stands_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("graph.svg").display().to_string();
    let output = weightsmith(&["inspect", &named("resnet-20"), "--svg", &svg, "--json"]);
    let summary = &json(&output)["summary"];
    // He et al. 2016: 0.27 M parameters, 40.8 M multiply-accumulates.
    assert_eq!(summary["families"]["convolution"]["parameters"], 270_256);
    assert_eq!(summary["total"]["multiply_accumulates"], 40_813_184);
    assert_eq!(summary["weighted_depth"], 20);
    let text = String::from_utf8(weightsmith(&["inspect", &named("resnet-20")]).stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("convolution")).unwrap();
    assert!(line.contains("270 256") && line.contains("81.6 M"), "{line}");
    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("layer1.0.conv1.weight: 16 × 16 × 3 × 3, weights: predicted"));
    assert!(svg.contains("weights: measured") && !svg.contains("not supported"));
    for foreign in ["<script", "href", "url(http", "@font-face"] {
        assert!(!svg.contains(foreign), "{foreign}");
    }
}

#[test]
fn bad_input_is_one_line_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.onnx");
    let whole = fs::read(named("plain-cnn")).unwrap();
    let contents: [&[u8]; 4] = [b"", b"not a model", &whole[..whole.len() / 2], &[0xff; 4096]];
    for bytes in contents {
        fs::write(&file, bytes).unwrap();
        let out = folder.path().join("out");
        let output = predict(&file.display().to_string(), &out, &[]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.trim().lines().count(), 1, "{message}");
        assert!(message.contains("broken.onnx"), "{message}");
        assert!(!out.exists());
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
    let unused = weightsmith(&["inspect", &named("plain-cnn"), "--dim", "height=3"]);
    assert_eq!(unused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unused.stderr).contains("'batch'"));
}

#[test]
fn a_corpus_that_is_not_there_cannot_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let output = weightsmith(&["corpus", "generate", "--check", "--out", &out]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("named.archs.xz"), "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_tiny_training_run_stops_resumes_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    write_idx(&data);
    let run = |out: &str, steps: u64, further: &[&str]| {
        let config = folder.path().join(format!("{out}.toml"));
        let text = format!(
            "name = \"smoke\"\nspace = \"tiny\"\ndata = {data:?}\nout = {:?}\nmeta_batch = 2\n\
             batch = 4\ngraphs = 4\nvalidate_every = 100\naugmentation = \"shift\"\n\
             [network]\ntrunk = 16\nhidden = 16\ncalibration = 2\n\
             [network.encoder]\nwidth = 16\nheads = 2\nlayers = 1\n\
             [[stages]]\nsteps = 2\nsize = 16\nstatistics = \"batch\"\n\
             [[stages]]\nsteps = {}\nsize = 16\nstatistics = \"calibration\"\n",
            folder.path().join(out),
            steps - 2,
        );
        fs::write(&config, text).unwrap();
        let config = config.display().to_string();
        let output =
            weightsmith(&[&["train", &config, "--device", "flex", "--json"], further].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&output)
    };
    let whole = run("whole", 4, &[]);
    assert_eq!(whole["progress"]["step"], 4);
    let again = run("again", 4, &[]);
    let bytes =
        |out: &str| fs::read(folder.path().join(out).join("predictor/model.safetensors")).unwrap();
    assert!(again["finished"].as_bool().unwrap());
    assert_eq!(bytes("whole"), bytes("again"));
    let resumed = run("again", 6, &["--resume"]);
    assert_eq!(resumed["progress"]["step"], 6);
    let predictor = folder.path().join("again/predictor").display().to_string();
    let out = folder.path().join("out");
    let output = predict(&named("plain-cnn"), &out, &["--predictor", &predictor]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn bench_step_times_graphs_with_and_without_kernels() {
    let (plain, transformer) = (named("plain-cnn"), named("vit-tiny"));
    for further in [vec![], vec!["--without-kernels"]] {
        let command = ["bench", "step", &plain, &transformer, "--batch", "4", "--repeat", "2"];
        let output = weightsmith(&[&command[..], &["--json"], &further[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let result = json(&output);
        for timing in result["timings"].as_array().unwrap() {
            assert_eq!(timing["seconds"].as_array().unwrap().len(), 2);
            assert!(timing["median"].as_f64().unwrap() > 0.0);
        }
    }
}

#[test]
fn the_page_of_commands_says_what_help_says() {
    if cfg!(feature = "remote") {
        return; // has a command more
    }
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("commands.md");
    assert!(weightsmith(&["manual", "--out", page.to_str().unwrap()]).status.success());
    let [made, kept] = [page, beside::repository("docs/commands.md")]
        .map(|page| fs::read_to_string(page).unwrap());
    assert!(made == kept, "run 'weightsmith manual --out docs/commands.md'");
    let man = folder.path().join("man");
    assert!(weightsmith(&["manual", "--out", man.to_str().unwrap()]).status.success());
    assert!(fs::read_to_string(man.join("weightsmith-predict.1")).unwrap().contains("calibrate"));
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = weightsmith(&["completions", shell]).stdout;
        assert!(String::from_utf8(script).unwrap().contains("predict"), "{shell}");
    }
}
