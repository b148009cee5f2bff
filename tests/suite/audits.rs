//! `weightsmith audit` as its users call it.

use std::{
    fs::{self, File},
    path::Path,
};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    evaluate::with_noise,
    fill::{Network, fills},
    graph::{ParameterId, Weights},
    onnx::splice,
    spaces::Space,
    weights::he_initialisation,
    zoo::Groups,
};

use super::{
    beside::shared,
    cli::{json, weightsmith},
};

/// The same network with its channels in another order.
fn permuted(network: &Network, weights: &Weights) -> Weights {
    let groups = Groups::of(&network.architecture, &network.registry);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut orders = groups.identity();
    orders.iter_mut().for_each(|order| order.shuffle(&mut random));
    groups.permute(weights, &orders).unwrap()
}

fn write(network: &Network, weights: &Weights, path: &Path) {
    let changes = fills(network, weights);
    splice::write(&network.model, &changes, &mut File::create(path).unwrap()).unwrap();
}

#[test]
fn noisy_copies_are_found_in_any_order_of_channels_and_strangers_are_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("references")).unwrap();
    let graph = Space::load("corpus").unwrap().sample(7).unwrap();
    fs::write(path("graph.onnx"), &graph.onnx).unwrap();
    let network = Network::open(path("graph.onnx")).unwrap();
    let of = |seed| he_initialisation(&network.architecture, seed);
    for seed in 101..104 {
        write(&network, &of(seed), &path(&format!("references/{seed}.onnx")));
    }
    let other = Space::load("corpus").unwrap().sample(8).unwrap();
    fs::write(path("references/other.onnx"), &other.onnx).unwrap();
    let audit = |weights: &Weights| {
        write(&network, weights, &path("audited.onnx"));
        let [file, references] =
            ["audited.onnx", "references"].map(|name| path(name).display().to_string());
        let output = weightsmith(&["audit", &file, "--references", &references, "--json"]);
        let code = output.status.code();
        (code, json(&output)["copies"].clone())
    };
    for noise in [0.02, 0.1] {
        let copy = permuted(&network, &with_noise(&of(102), noise, 11));
        let (code, report) = audit(&copy);
        assert_eq!((code, report["copy"].as_bool()), (Some(1), Some(true)), "{report}");
        let nearest = &report["nearest"];
        assert!(nearest["file"].as_str().unwrap().ends_with("102.onnx"));
        let [before, after] = ["before", "after"].map(|key| nearest[key].as_f64().unwrap());
        assert!(before > 0.9 && after < 1.5 * f64::from(noise), "{before} {after}");
    }
    let (code, report) = audit(&of(77));
    assert_eq!((code, report["copy"].as_bool()), (Some(0), Some(false)), "{report}");
    assert_eq!((report["references"].as_u64(), report["passed_over"].as_u64()), (Some(3), Some(1)));
    assert_eq!(report["false_positives"]["hits"], 0);
    // Three pairs of references, and eight initialisations.
    assert_eq!(report["independent"].as_array().unwrap().len(), 11);

    let [file, references, html] =
        ["audited.onnx", "references", "audit.html"].map(|name| path(name).display().to_string());
    let page = || weightsmith(&["audit", &file, "--references", &references, "--html", &html]);
    assert!(page().status.success());
    let written = fs::read_to_string(&html).unwrap();
    let nearest = report["nearest"]["file"].as_str().unwrap();
    assert!(written.contains("audited.onnx is no copy") && written.contains(nearest));
    let dots = written.matches("independent networks: ").count();
    assert_eq!((dots, written.matches("<svg").count()), (11, 1));
    assert!(!written.contains("NaN") && !written.contains("<script"));
    let said = String::from_utf8_lossy(&page().stderr).into_owned();
    assert!(said.contains("--force"), "{said}");

    // Tensors that are equal in a reference are one parameter of its graph, and two of the copy's.
    let mut tied = of(102);
    let shapes = network.architecture.parameters.iter().map(|it| it.shape.clone().unwrap());
    let shapes: Vec<Vec<usize>> = shapes.collect();
    let pairs = (0..shapes.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let mut alike = pairs.filter(|&(a, b)| shapes[a] == shapes[b] && shapes[a].len() == 1);
    let (first, second) = alike.next().expect("two vectors of one length");
    for index in [first, second] {
        let values = (1..=shapes[index][0]).map(|place| place as f32);
        tied.set(ParameterId(index), values.collect());
    }
    write(&network, &tied, &path("references/102.onnx"));
    let (code, report) = audit(&with_noise(&tied, 0.02, 11));
    assert_eq!((code, report["references"].as_u64()), (Some(1), Some(3)), "{report}");

    fs::write(path("other.onnx"), &other.onnx).unwrap();
    let stranger = Network::open(path("other.onnx")).unwrap();
    let weights = he_initialisation(&stranger.architecture, 1);
    write(&stranger, &weights, &path("alone.onnx"));
    let alone = path("alone.onnx").display().to_string();
    let references = path("references").display().to_string();
    let lonely = weightsmith(&["audit", &alone, "--references", &references]);
    let said = String::from_utf8_lossy(&lonely.stderr).into_owned();
    assert!(said.contains("none of its 4 networks is a trained one of the same graph"), "{said}");
}

#[test]
fn members_are_told_from_others_by_an_area() {
    let Some(data) = shared("data/cifar10.tar.xz") else { return };
    let data = data.display().to_string();
    let arguments =
        ["audit", "--membership", "--data", &data, "--graphs", "2", "--limit", "60", "--json"];
    let folder = tempfile::tempdir().unwrap();
    let html = folder.path().join("audit.html").display().to_string();
    let output = weightsmith(&[&arguments[..], &["--html", &html]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = json(&output);
    let [auc, low, high] =
        ["auc", "low", "high"].map(|key| report["membership"]["by_loss"][key].as_f64().unwrap());
    assert!(0.0 < low && low < auc && auc < high && high < 1.0);
    assert!(report["recovery"]["with_members"].as_f64().unwrap() < 0.999);
    let written = fs::read_to_string(&html).unwrap();
    assert!(written.contains(&format!("{auc:.3} ({low:.3} to {high:.3})")), "{written}");
}
