//! Fine-tuning filled networks.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use approx::assert_abs_diff_eq;
use burn::tensor::Device;
use safetensors::SafeTensors;
use serde_json::Value;
use weightsmith::{
    condition::{FineTuning, Optimiser},
    fill::{FillOptions, FineTuneOptions, Network, fill, finetune},
    observer::Observer,
    onnx::sha256,
    predictor::{BUNDLED, bundled},
};

use super::{
    cli::{json, weightsmith},
    digits::write_idx,
};

/// A filled network and labelled images beside it.
fn filled(folder: &Path) -> PathBuf {
    write_idx(folder);
    let file = format!("{}/architectures/named/plain-cnn.onnx", env!("CARGO_MANIFEST_DIR"));
    let network = Network::open(file).unwrap();
    let predictor = bundled(BUNDLED[0], &Device::flex()).unwrap();
    let filled = fill(&network, &predictor, &FillOptions::default()).unwrap();
    filled.write(folder.join("filled")).unwrap().swap_remove(0)
}

/// Copies a checkpoint in the middle of the second epoch.
#[derive(Debug)]
struct Copies {
    checkpoint: PathBuf,
    copy: PathBuf,
    steps: AtomicU64,
}

impl Observer for Copies {
    fn advance(&self, steps: u64) {
        if self.steps.fetch_add(steps, Ordering::Relaxed) == 4 {
            fs::copy(&self.checkpoint, &self.copy).unwrap();
        }
    }
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::open(filled(folder.path())).unwrap();
    let usual = bundled(BUNDLED[0], &Device::flex()).unwrap().config.input;
    let [checkpoint, copy] = ["run", "copy"].map(|name| folder.path().join(name));
    let observer =
        Copies { checkpoint: checkpoint.clone(), copy: copy.clone(), steps: AtomicU64::new(0) };
    let options = FineTuneOptions {
        tuning: FineTuning { epochs: 3, batch: 16, ..FineTuning::default() },
        checkpoint: Some(checkpoint.clone()),
        observer: Arc::new(observer),
        ..FineTuneOptions::new(folder.path().to_owned())
    };
    let whole = finetune(&network, &usual, &options).unwrap();
    let run = &whole.report().provenance.finetuned.as_ref().unwrap().run;
    assert_eq!(run.epochs.len(), 4);
    assert!(run.epochs[3].loss < run.epochs[1].loss, "{:?}", run.epochs);
    let best = run.epochs.iter().map(|epoch| epoch.top1.unwrap()).fold(0.0, f64::max);
    assert_eq!(run.epochs[run.best].top1, Some(best));

    fs::rename(&copy, &checkpoint).unwrap();
    let rest = finetune(&network, &usual, &options).unwrap();
    assert_eq!(rest.onnx_bytes().unwrap(), whole.onnx_bytes().unwrap());

    let other = FineTuneOptions { seed: 1, ..options };
    let refusal = finetune(&network, &usual, &other).unwrap_err().to_string();
    assert!(refusal.contains("other settings; delete it"), "{refusal}");
}

#[test]
fn the_command_writes_what_evaluates_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let model = filled(folder.path()).display().to_string();
    let [data, out] = [folder.path().to_owned(), folder.path().join("tuned")]
        .map(|path| path.display().to_string());
    let arguments = ["finetune", &model, "--support", &data, "--out", &out, "--epochs", "2"];
    let output = weightsmith(&[&arguments[..], &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = json(&output);
    assert_eq!(said["finetuned"]["epochs"].as_array().unwrap().len(), 3);
    assert_eq!(said["files"].as_array().unwrap().len(), 5);
    assert!(!Path::new(&out).join("plain-cnn.checkpoint").exists());
    let file = format!("{out}/plain-cnn.onnx");
    assert!(weightsmith(&["verify", &file]).status.success());
    let again = weightsmith(&["verify", &file, "--regenerate", &model]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("was fine-tuned"));
    // Images are normalised as the file says, whatever predictor is named.
    let evaluate = |predictor| {
        let arguments = ["evaluate", &file, "--data", &data, "--predictor", predictor, "--json"];
        json(&weightsmith(&arguments))["cross_entropy"].clone()
    };
    assert_eq!(evaluate("cifar10"), evaluate("mnist"));
    assert_eq!(weightsmith(&arguments).status.code(), Some(2), "results are not overwritten");
}

/// An adapter's file, merged as PEFT merges it, gives the written weights.
#[test]
fn low_rank_differences_are_what_changes() {
    let folder = tempfile::tempdir().unwrap();
    let model = filled(folder.path());
    let out = folder.path().join("adapted");
    let [file, data, to] = [&model, folder.path(), &out].map(|path| path.display().to_string());
    let arguments = ["adapt", &file, "--support", &data, "--out", &to, "--epochs", "2", "--json"];
    let output = weightsmith(&[&arguments[..], &["--rank", "2", "--alpha", "3"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = json(&output);
    let [trained, parameters] = ["trained", "parameters"].map(|key| said[key].as_u64().unwrap());
    assert!(0 < trained && trained < parameters / 2, "{trained} of {parameters}");

    let read = |path: PathBuf| fs::read(path).unwrap();
    let bytes = [
        read(model.with_extension("safetensors")),
        read(out.join("plain-cnn.safetensors")),
        read(out.join("adapter_model.safetensors")),
    ];
    let [before, after, adapter] =
        bytes.each_ref().map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let values = |file: &SafeTensors, name: &str| -> Vec<f32> {
        let data = file.tensor(name).unwrap_or_else(|_| panic!("{name}")).data().chunks_exact(4);
        data.map(|it| f32::from_le_bytes(it.try_into().unwrap())).collect()
    };
    let config: Value = serde_json::from_slice(&read(out.join("adapter_config.json"))).unwrap();
    assert_eq!((config["peft_type"].as_str(), config["r"].as_u64()), (Some("LORA"), Some(2)));
    let modules = config["target_modules"].as_array().unwrap();
    assert!(!modules.is_empty());
    for module in modules {
        let module = module.as_str().unwrap();
        let weight = format!("{module}.weight");
        let [base, own] = [&before, &after].map(|file| values(file, &weight));
        let thin = ["lora_A", "lora_B"]
            .map(|it| values(&adapter, &format!("base_model.model.{module}.{it}.weight")));
        let (rows, columns) = (thin[1].len() / 2, thin[0].len() / 2);
        for row in 0..rows {
            for column in 0..columns {
                let product: f32 =
                    (0..2).map(|at| thin[1][row * 2 + at] * thin[0][at * columns + column]).sum();
                let place = row * columns + column;
                assert_abs_diff_eq!(own[place], base[place] + 1.5 * product, epsilon = 1e-5);
            }
        }
    }
    // The network has them, too.
    let evaluated = |file: &Path, weights: &[&str]| {
        let file = file.display().to_string();
        json(&weightsmith(&[&["evaluate", &file, "--data", &data, "--json"], weights].concat()))
    };
    let network = out.join("plain-cnn.onnx");
    let state = out.join("plain-cnn.safetensors").display().to_string();
    let [stored, loaded] = [evaluated(&network, &[]), evaluated(&network, &["--weights", &state])];
    assert_eq!(stored["cross_entropy"], loaded["cross_entropy"]);
    // So has the file in which they are tensors of their own, beside the weights of the parent.
    let beside = out.join("plain-cnn.adapter.onnx");
    let separate = evaluated(&beside, &[]);
    let entropies = [&stored, &separate].map(|it| it["cross_entropy"].as_f64().unwrap());
    assert_abs_diff_eq!(entropies[0], entropies[1], epsilon = 1e-4);
    let bytes = read(beside);
    let text = String::from_utf8_lossy(&bytes);
    for module in modules.iter().map(|module| module.as_str().unwrap()) {
        let named = |it: &&str| text.contains(&format!("{module}.weight.{it}"));
        assert!(["lora_A", "lora_B", "lora_scaling"].iter().all(named), "{module}");
    }
    for module in config["modules_to_save"].as_array().unwrap() {
        let weight = format!("{}.weight", module.as_str().unwrap());
        let saved = values(&adapter, &format!("base_model.model.{weight}"));
        assert_eq!(saved, values(&after, &weight));
    }
}

#[test]
fn other_ways_to_adapt_change_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let model = filled(folder.path());
    let [file, data] = [&model, folder.path()].map(|path| path.display().to_string());
    let trained = |method: &str| {
        let to = folder.path().join(method).display().to_string();
        let arguments = ["adapt", &file, "--support", &data, "--out", &to, "--method", method];
        let output = weightsmith(&[&arguments[..], &["--epochs", "1", "--json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = json(&output);
        assert!((0.0..=1.0).contains(&said["start"].as_f64().unwrap()));
        [said["trained"].as_u64().unwrap(), said["parameters"].as_u64().unwrap()]
    };
    let [head, all] = trained("head");
    let [norms, _] = trained("norms");
    let [full, _] = trained("full");
    assert!(head <= norms && norms < full && full == all, "{head} {norms} {full} {all}");
}

#[test]
fn low_rank_differences_are_for_adamw_without_averages() {
    let folder = tempfile::tempdir().unwrap();
    let model = filled(folder.path());
    let [file, data] = [&model, folder.path()].map(|path| path.display().to_string());
    let to = folder.path().join("out").display().to_string();
    for further in [["--optimiser", "muon"], ["--averaging", "0.1"]] {
        let arguments = ["adapt", &file, "--support", &data, "--out", &to];
        let output = weightsmith(&[&arguments[..], &further].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains("--averaging out"), "{error}");
        assert!(!Path::new(&to).exists());
    }
}

#[test]
fn every_optimiser_learns() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::open(filled(folder.path())).unwrap();
    let usual = bundled(BUNDLED[0], &Device::flex()).unwrap().config.input;
    for optimiser in [Optimiser::AdamW, Optimiser::Sgd, Optimiser::Muon] {
        let tuning = FineTuning { epochs: 3, batch: 16, ..FineTuning::ordinary(optimiser) };
        let options = FineTuneOptions { tuning, ..FineTuneOptions::new(folder.path().to_owned()) };
        let tuned = finetune(&network, &usual, &options).unwrap();
        let run = &tuned.report().provenance.finetuned.as_ref().unwrap().run;
        assert!(run.epochs[3].loss < run.epochs[1].loss, "{optimiser:?}: {:?}", run.epochs);
    }
}

#[test]
fn a_head_for_other_classes_takes_the_place_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let model = filled(folder.path());
    let data = folder.path().join("colours");
    for (class, colour) in
        ["blue", "green", "red"].iter().zip([[20, 30, 220], [30, 210, 40], [230, 20, 30]])
    {
        for (split, count) in [("train", 12_u32), ("test", 5)] {
            let to = data.join(split).join(class);
            fs::create_dir_all(&to).unwrap();
            for index in 0..count {
                let noisy = |x: u32, y: u32, it: u8| {
                    it.saturating_add(((x * 7 + y * 13 + index * 29) % 23) as u8)
                };
                let image = image::RgbImage::from_fn(32, 32, |x, y| {
                    image::Rgb(colour.map(|it| noisy(x, y, it)))
                });
                image.save(to.join(format!("{index}.png"))).unwrap();
            }
        }
    }
    let out = folder.path().join("adapted");
    let [file, data, to] = [&model, &data, &out].map(|path| path.display().to_string());
    let arguments = ["adapt", &file, "--support", &data, "--out", &to, "--epochs", "1", "--json"];
    let output = weightsmith(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = json(&output);
    assert_eq!(said["classes"].as_array().unwrap().len(), 3);
    assert!(
        said["notices"].to_string().contains("head for 10 classes was replaced by one for 3"),
        "{said}"
    );
    let adapted = out.join("plain-cnn.onnx");
    let network = Network::open(&adapted).unwrap();
    assert_eq!(network.class_count().unwrap(), 3);
    let head = network.names.iter().position(|name| name == "fc.weight").unwrap();
    assert_eq!(network.architecture.parameters[head].shape.as_deref(), Some(&[3, 128][..]));
    let adapted = adapted.display().to_string();
    assert!(weightsmith(&["verify", &adapted]).status.success());
    let evaluated = json(&weightsmith(&["evaluate", &adapted, "--data", &data, "--json"]));
    assert!(evaluated["top1"].as_f64().unwrap() > 0.9, "{evaluated}");
    // The record names the file, not what it became.
    let report: Value =
        serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    let parent = &report["provenance"]["finetuned"]["base_model"];
    assert_eq!(*parent, Value::from(sha256(&fs::read(&model).unwrap())));
}
