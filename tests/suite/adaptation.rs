//! Networks for labelled images: heads for any number of classes, and the benchmark.

use serde_json::Value;
use weightsmith::{
    benchmark::{AdaptationOutcome, Method},
    condition::Head,
    evaluate::run_reference,
    fill::Network,
    graph::DimBindings,
    onnx::Model,
    spaces::NAMED,
    weights::he_initialisation,
};

use super::{
    cli::{json, weightsmith},
    digits::write_idx,
};

#[test]
fn every_named_network_gets_a_head_for_any_number_of_classes() {
    let mut heads = 0;
    for named in NAMED {
        let model = Model::from_bytes(named.name, named.onnx().into()).unwrap();
        let network = Network::of(model, DimBindings::default()).unwrap();
        let Network { architecture, registry, .. } = &network;
        let Ok(head) = Head::of(architecture, registry) else { continue };
        for classes in [2, 300] {
            let other = head.for_classes(architecture, registry, classes).unwrap();
            assert_eq!(other.class_count().unwrap(), classes, "{}", named.name);
            let weights = he_initialisation(&other, 1);
            let [channels, height, width] = other.image_shape().unwrap();
            let image = vec![0.5; channels * height * width];
            let shape = [1, channels, height, width];
            let logits = run_reference(&other, registry, &weights, &shape, &image).unwrap();
            assert_eq!(logits.len(), classes);
            heads += 1;
        }
    }
    assert!(heads >= 30, "{heads}");
}

#[test]
fn the_benchmark_of_labelled_images_tries_every_method() {
    let folder = tempfile::tempdir().unwrap();
    write_idx(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [data, out, html] = [path(""), path("out.json"), path("out.html")];
    let sizes = ["--images", "20,0", "--seeds", "2", "--limit", "10", "--epochs", "2"];
    let rest = ["--split", "id", "--graphs", "1", "--support-steps", "2", "--data", &data];
    let bench = |further: &[&str]| {
        weightsmith(&[&["bench", "data", "--json"], &sizes[..], &rest[..], further].concat())
    };
    let output = bench(&["--out", &out, "--html", &html]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = json(&output);
    let results = printed["results"].as_array().unwrap();
    assert_eq!(results.len(), Method::ALL.len() * 2 * 2);
    let written = std::fs::read(&out).unwrap();
    let outcome: AdaptationOutcome = serde_json::from_slice(&written).unwrap();
    assert_eq!(outcome.sizes(), [20, 0]);
    assert_eq!(outcome.summaries().len(), Method::ALL.len() * 2);
    for result in &outcome.results {
        assert!((0.0..=1.0).contains(&result.top1) && result.seconds > 0.0);
        let gradients = match result.method {
            Method::RandomHead | Method::PredictedHead => 0,
            // One for each step, and one that judges the last.
            Method::RandomSteps | Method::PredictedSteps => 3 * 128,
            Method::TrainedLong | Method::FineTuned => 2 * result.images as u64,
            _ => continue,
        };
        assert_eq!(result.image_gradients, gradients, "{}", result.method);
        let is_long = matches!(result.method, Method::TrainedLong | Method::FineTuned);
        assert_eq!(result.epochs.len(), if is_long { 3 } else { 0 });
    }
    let compared = outcome.compare(Method::PredictedSteps, Method::Trained, 20).unwrap();
    assert_eq!(compared.difference.graphs, 1);
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("<svg") && page.contains("Epoch by epoch"));

    let refused = bench(&["--methods", "magic"]);
    assert_eq!(refused.status.code(), Some(2));
}
