//! Fitting predicted weights to labelled images.

use std::path::Path;

use burn::tensor::Device;
use weightsmith::{
    condition::{Fitted, Fitting, Steering, Support},
    data::{Dataset, Split},
    evaluate::{Scores, calibration_images, judge},
    fill::Network,
    graph::ParameterId,
    predictor::{BUNDLED, Prediction, Predictor, ValueSource, bundled, calibrate},
};

use super::{
    cli::{json, weightsmith},
    digits::write_idx,
};

const STEERING: Steering = Steering {
    bounded: true,
    steps: 12,
    batch: 150,
    rate: 0.005,
    spread: 1.0,
    augmentation: weightsmith::data::Augmentation::None,
    label_smoothing: 0.0,
};

/// Noise under a bright bar, whose place is the class.
fn bars(folder: &Path) -> Dataset {
    write_idx(folder);
    let mut data = Dataset::open(folder, Split::Train).unwrap();
    let (length, width) = (data.image_len(), data.width);
    for (image, label) in data.pixels.chunks_exact_mut(length).zip(&data.labels) {
        image.iter_mut().for_each(|pixel| *pixel /= 2);
        image[(3 + usize::from(*label)) * width..][..width].fill(255);
    }
    data.with_channels(3).unwrap()
}

/// A network, what a predictor writes for it, and what is done to that.
struct Case {
    network: Network,
    predictor: Predictor,
    start: Prediction,
    data: Dataset,
}

impl Case {
    fn new(name: &str, data: Dataset) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures/named");
        let network = Network::open(folder.join(format!("{name}.onnx"))).unwrap();
        let predictor = bundled(BUNDLED[0], &Device::flex()).unwrap();
        let start = predictor.predict(&network.architecture, &network.registry, |_| true).unwrap();
        Self { network, predictor, start, data }
    }

    fn fit(&self, steering: Steering, seed: u64) -> Result<(Fitted, Prediction), String> {
        let Network { architecture, registry, .. } = &self.network;
        let input = &self.predictor.config.input;
        let images = calibration_images(architecture, &self.data, input).unwrap();
        let mut samples = [self.start.clone()];
        let fitting = Fitting { architecture, registry, input, images: &images };
        let mut fitted = Support::new(&self.data, steering)
            .fit(&fitting, &mut samples, [seed, 0])
            .map_err(|error| error.to_string())?;
        let [sample] = samples;
        Ok((fitted.remove(0), sample))
    }

    fn scores(&self, prediction: &Prediction) -> Scores {
        let Network { architecture, registry, .. } = &self.network;
        let (weights, input) = (&prediction.weights, &self.predictor.config.input);
        judge(architecture, registry, weights, &self.data, input, self.data.len()).unwrap()
    }
}

#[test]
fn heads_are_solved_and_steps_move_all_weights() {
    let folder = tempfile::tempdir().unwrap();
    let data = bars(folder.path());
    for name in ["plain-cnn", "resnet-20"] {
        let case = Case::new(name, data.clone());
        let mut start = case.start.clone();
        let images = case.predictor.calibration_images();
        let Network { architecture, registry, .. } = &case.network;
        calibrate(architecture, registry, &mut start, &images).unwrap();
        let before = case.scores(&start);

        let (fitted, solved) = case.fit(Steering { steps: 0, ..STEERING }, 1).unwrap();
        let head = fitted.head.unwrap();
        assert_eq!((head.images, fitted.steps), (data.len(), 0));
        assert!(solved.labels.contains(&ValueSource::Solved));
        let without = case.scores(&solved);
        assert!(without.top1 > before.top1 + 0.1, "{name}: {} to {}", before.top1, without.top1);

        let (fitted, moved) = case.fit(STEERING, 1).unwrap();
        assert!(fitted.steps >= 6, "{name}: {}", fitted.steps);
        let with = case.scores(&moved);
        assert!(with.top1 >= without.top1, "{name}: {with:?}");
        assert!(with.cross_entropy < 0.1 * before.cross_entropy, "{name}: {with:?}");
        let kernel =
            |prediction: &Prediction| prediction.weights.get(ParameterId(0)).unwrap().to_vec();
        assert_ne!(kernel(&moved), kernel(&solved), "more than the head moves");

        assert_eq!(moved.weights, case.fit(STEERING, 1).unwrap().1.weights);
        assert_ne!(moved.weights, case.fit(STEERING, 2).unwrap().1.weights);
        let spread = Steering { spread: 2.0, ..STEERING };
        assert_ne!(moved.weights, case.fit(spread, 1).unwrap().1.weights);
    }
}

#[test]
fn steps_that_do_harm_are_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("plain-cnn", bars(folder.path()));
    assert!(case.fit(STEERING, 1).unwrap().0.steps >= 6);
    let solved = case.fit(Steering { steps: 0, ..STEERING }, 1).unwrap().1;
    for harmful in [1e6, f32::NAN] {
        let (fitted, after) = case.fit(Steering { rate: harmful, ..STEERING }, 1).unwrap();
        assert_eq!(fitted.steps, 0);
        assert!(fitted.notices.iter().any(|notice| notice.contains("taken back")));
        assert!(case.scores(&after).top1 > case.scores(&solved).top1 - 0.1);
    }
}

#[test]
fn images_that_tell_nothing_apart_are_refused_or_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = bars(folder.path());
    let refusal = |data: Dataset| Case::new("plain-cnn", data).fit(STEERING, 0).unwrap_err();
    let fewer = Dataset { classes: data.classes[..3].to_vec(), ..data.clone() };
    assert!(refusal(fewer).contains("10 outputs, the support set 3 classes"));
    let of_class = |class: u16| data.clone().filtered(|data, index| data.labels[index] == class);
    assert!(refusal(of_class(3)).contains("of class '3' and none of another"));
    let mut seen = Vec::new();
    let one = data.clone().filtered(|_, index| index == 0);
    assert!(refusal(one).contains("1 image of class"));

    // One image of each class can be fitted to, and so can nine of ten classes.
    let firsts: Vec<usize> = (0..data.len())
        .filter(|&index| {
            let new = !seen.contains(&data.labels[index]);
            seen.push(data.labels[index]);
            new
        })
        .collect();
    let singles = data.clone().filtered(|_, index| firsts.contains(&index));
    let case = Case::new("plain-cnn", singles);
    let (fitted, after) = case.fit(Steering { steps: 0, ..STEERING }, 0).unwrap();
    assert_eq!(fitted.head.unwrap().left_out_accuracy, None);
    assert!(case.scores(&after).top1 > 0.8);
    let nine = data.filtered(|data, index| data.labels[index] != 9);
    let (fitted, _) = Case::new("plain-cnn", nine).fit(STEERING, 0).unwrap();
    assert!(fitted.notices.iter().any(|notice| notice.contains("no image of class '9'")));
}

#[test]
fn fitted_networks_say_so_and_verify() {
    let folder = tempfile::tempdir().unwrap();
    write_idx(folder.path());
    let model = format!("{}/architectures/named/plain-cnn.onnx", env!("CARGO_MANIFEST_DIR"));
    let [data, out] = [folder.path().to_owned(), folder.path().join("out")]
        .map(|path| path.display().to_string());
    let steered = ["--support", &data, "--support-steps", "2", "--support-spread", "1.5"];
    let other = ["--support-batch", "20", "--support-rate", "0.02", "--samples", "2", "--select"];
    let steered = [&steered[..], &other].concat();
    let predict = ["predict", &model, "--out", &out, "--device", "flex", "--json"];
    let output = weightsmith(&[&predict[..], &steered].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(json(&output)["parameters"]["skipped"], 0);
    assert_eq!(json(&output)["files"].as_array().unwrap().len(), 5);
    let report = std::fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let steering = &report["provenance"]["support"]["steering"];
    assert_eq!((&steering["steps"], &steering["batch"]), (&2.into(), &20.into()));
    let file = format!("{out}/plain-cnn.onnx");
    let again = ["verify", &file, "--regenerate", &model, "--device", "flex"];
    let output = weightsmith(&[&again[..], &["--support", &data]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let output = weightsmith(&again);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--support"));
    assert_eq!(output.status.code(), Some(2));
}
