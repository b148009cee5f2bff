//! Fine-tuning filled networks.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use burn::tensor::Device;
use weightsmith::{
    condition::FineTuning,
    fill::{FillOptions, FineTuneOptions, Network, fill, finetune},
    observer::Observer,
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
