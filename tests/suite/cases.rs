//! What users bring (`../shared/cases`): one network is one graph, whoever exported it, and what is
//! written is what was predicted. Rows about classes, names, dead networks and data sets have files of
//! their own beside this one.

use std::{collections::BTreeSet, path::PathBuf};

use approx::assert_abs_diff_eq;
use burn::tensor::Device;
use weightsmith::{
    fill::{FillOptions, Network, OpenOptions, ReportedNetwork, fill},
    graph::{DimBindings, Role, Weights},
    onnx::{Model, sha256},
    predictor::bundled,
};

use super::{
    beside::{repository, shared},
    cli::{json, weightsmith},
};

fn case(name: &str) -> Option<PathBuf> {
    shared("cases").map(|folder| folder.join(format!("{name}.onnx")))
}

/// A filled network: what was predicted, what the written file holds, and what is said of it.
struct Written {
    network: Network,
    weights: Weights,
    /// The written file, read again.
    again: Network,
    notices: Vec<String>,
    state_dict: BTreeSet<String>,
}

fn written(network: Network) -> Written {
    let predictor = bundled("cifar10", &Device::flex()).unwrap();
    let filled = fill(&network, &predictor, &FillOptions::default()).unwrap();
    let first: &ReportedNetwork = &filled.networks()[0];
    let weights = first.weights().clone();
    let notices = first.report().notices.clone();
    let state_dict = first.state_dict().iter().map(|entry| entry.name().to_owned()).collect();
    let bytes = first.onnx_bytes().unwrap();
    let again = Network::of(
        Model::from_bytes("written.onnx", bytes.into()).unwrap(),
        DimBindings::default(),
    );
    drop(filled);
    Written { again: again.unwrap(), network, weights, notices, state_dict }
}

fn filled(name: &str) -> Option<Written> {
    Some(written(Network::open(case(name)?).unwrap()))
}

/// Asserts that two sets of weights are equal, parameter by parameter.
fn assert_equal(name: &str, one: &Weights, other: &Weights, epsilon: f32) {
    assert_eq!(one.len(), other.len(), "{name}");
    for ((id, one), (_, other)) in one.tensors().zip(other.tensors()) {
        assert_eq!(one.len(), other.len(), "{name}: parameter {}", id.0);
        let largest = one.iter().fold(1e-3, |largest: f32, value| largest.max(value.abs()));
        for (one, other) in one.iter().zip(other) {
            assert_abs_diff_eq!(one / largest, other / largest, epsilon = epsilon);
        }
    }
}

/// Asserts that files are one network: one graph, one prediction, and written files that hold it.
fn are_one(names: &[&str]) {
    let mut first: Option<Written> = None;
    for name in names {
        let Some(own) = filled(name) else { return };
        let graph = own.network.architecture.fingerprint();
        assert_eq!(own.again.architecture.fingerprint(), graph, "{name}: the written graph");
        let stored = own.again.stored_weights().unwrap();
        let folds = own.network.architecture.storages.iter().any(|it| it.parameters.len() > 1);
        match folds {
            // Of a folded normalisation the file holds the product.
            true => assert!(own.again.architecture.parameters.len() == stored.len()),
            false => assert_equal(name, &own.weights, &stored, 1e-4),
        }
        match &first {
            None => first = Some(own),
            Some(first) => {
                assert_eq!(first.network.architecture.fingerprint(), graph, "{name}");
                assert_equal(name, &first.weights, &own.weights, 1e-5);
            }
        }
    }
}

#[test]
fn merged_initializers_are_told_apart() {
    let in_folder = |name: &str| format!("03-merged-initializers/{name}");
    are_one(
        &["smallest_advised", "smallest", "smallest_touched"]
            .map(in_folder)
            .each_ref()
            .map(String::as_str),
    );
    let forms = ["advised", "script_nofold", "script", "kept_inputs", "weightless", "dynamo"];
    are_one(&forms.map(in_folder).each_ref().map(String::as_str));
    let (Some(own), Some(advised)) =
        (filled(&in_folder("smallest")), filled(&in_folder("smallest_advised")))
    else {
        return;
    };
    assert_eq!(own.state_dict, advised.state_dict);
    // One initializer a slot.
    let slots: Vec<usize> =
        own.again.architecture.parameters.iter().map(|parameter| parameter.slots.len()).collect();
    assert!(slots.iter().all(|&slots| slots == 1), "{slots:?}");
    let dynamo = filled(&in_folder("dynamo")).unwrap();
    let advised = filled(&in_folder("advised")).unwrap();
    assert_eq!(dynamo.state_dict, advised.state_dict);
    let script = filled(&in_folder("script")).unwrap();
    assert!(script.notices.iter().any(|it| it.contains("optimize=False")), "{:?}", script.notices);
}

#[test]
fn parametrised_weights_are_predicted_and_written_back() {
    let forms = [
        "plain_advised",
        "wn_advised",
        "wn_old_advised",
        "wn_script",
        "wn_script_nofold",
        "sn_advised",
        "sn_old_script",
    ];
    are_one(&forms.map(|name| format!("05-weight-norm/{name}")).each_ref().map(String::as_str));
    let Some(own) = filled("05-weight-norm/wn_advised") else { return };
    let parts: Vec<&String> =
        own.state_dict.iter().filter(|name| name.contains("original")).collect();
    assert_eq!(parts.len(), 6, "{parts:?}");
}

#[test]
fn tied_tensors_stay_tied() {
    let names = ["lm_script", "lm_advised"].map(|name| format!("06-tied-text/{name}"));
    are_one(&names.each_ref().map(String::as_str));
    let Some(own) = filled(&names[0]) else { return };
    assert!(own.notices.iter().any(|it| it.contains("'emb.weight'")), "{:?}", own.notices);
    assert!(own.state_dict.contains("emb.weight") && own.state_dict.contains("head.weight"));
}

#[test]
fn statistics_of_shared_blocks_are_those_of_all_uses() {
    for name in ["twice_advised", "twice_script", "siamese_advised", "siamese_script"] {
        let Some(own) = filled(&format!("04-shared-block/{name}")) else { return };
        let parameters = &own.network.architecture.parameters;
        let shared = parameters.iter().filter(|parameter| parameter.slots.len() > 1);
        let roles: BTreeSet<Role> = shared.filter_map(|parameter| parameter.role()).collect();
        assert!(roles.contains(&Role::Weight) && roles.contains(&Role::Gain), "{name}: {roles:?}");
    }
    let names = ["twice_advised", "twice_script"].map(|name| format!("04-shared-block/{name}"));
    are_one(&names.each_ref().map(String::as_str));
}

#[test]
fn fixed_kernels_are_kept_or_pointed_out() {
    let Some(path) = case("10-fixed-kernels/blur_script") else { return };
    let suspect = written(Network::open(&path).unwrap());
    assert!(
        suspect.notices.iter().any(|it| it.contains("--keep blur.filt")),
        "{:?}",
        suspect.notices
    );
    let keep = vec!["blur.filt".to_owned(), "blur2.filt".to_owned()];
    let options = OpenOptions { keep, ..OpenOptions::default() };
    let kept = written(Network::open_with(&path, &options).unwrap());
    assert!(!kept.notices.iter().any(|it| it.contains("looks fixed")), "{:?}", kept.notices);
    let blur = |network: &Network| {
        let tensors = network.tensors();
        let blur = tensors.iter().find(|it| it.tensor.name == "blur.filt").unwrap();
        blur.tensor.value_in(&network.model).unwrap().unwrap()
    };
    assert_eq!(blur(&kept.again), blur(&kept.network));
    assert_ne!(blur(&suspect.again), blur(&suspect.network));
    assert!(kept.state_dict.contains("blur.filt"));
    let unknown = OpenOptions { keep: vec!["blurr".to_owned()], ..OpenOptions::default() };
    let problem = Network::open_with(&path, &unknown).unwrap_err().to_string();
    assert!(problem.contains("'blurr'") && problem.contains("inspect"), "{problem}");
    let Some(dfl) = filled("10-fixed-kernels/dfl_script") else { return };
    assert!(dfl.notices.iter().any(|it| it.contains("evenly spaced")), "{:?}", dfl.notices);
}

#[test]
fn one_network_has_one_rank() {
    let names = ["same_advised", "same_dynamo", "same_script", "same_weightless"];
    let paths: Option<Vec<String>> = names
        .iter()
        .map(|name| Some(case(&format!("17-rank/{name}"))?.display().to_string()))
        .collect();
    let Some(paths) = paths else { return };
    let mut arguments = vec!["rank", "--json", "--no-cache"];
    arguments.extend(paths.iter().map(String::as_str));
    let output = json(&weightsmith(&arguments));
    let ranked = output["ranking"].as_array().unwrap_or_else(|| panic!("{output}"));
    let ranks: BTreeSet<String> = ranked.iter().map(|it| it["rank"].to_string()).collect();
    assert_eq!((ranked.len(), ranks.len()), (4, 1), "{output}");
}

#[test]
fn files_that_are_canonical_already_are_written_byte_for_byte() {
    let Some(path) = case("03-merged-initializers/smallest_touched") else { return };
    let network = Network::open(&path).unwrap();
    assert!(network.architecture.storages.is_empty());
    let nothing = Weights::absent(network.names.len());
    let written = weightsmith::fill::fills(&network, &nothing);
    let mut bytes = Vec::new();
    weightsmith::onnx::splice::write(&network.model, &written, &mut bytes).unwrap();
    assert_eq!(sha256(&bytes), sha256(network.model.bytes()));
}

#[test]
fn a_state_dict_has_the_buffers_of_the_module() {
    let layer = |place: usize| {
        let tensors = [
            "bias.0.bias",
            "bias.0.weight",
            "bias.2.weight",
            "coordinates",
            "index",
            "logit_scale",
            "proj.bias",
            "proj.weight",
            "qkv.bias",
            "qkv.weight",
        ];
        tensors.map(|name| format!("layers.{place}.{name}"))
    };
    let ends = ["patches.weight", "patches.bias", "head.weight", "head.bias"];
    let expected: BTreeSet<String> =
        ends.map(str::to_owned).into_iter().chain(layer(0)).chain(layer(1)).collect();
    for form in ["unfolded", "script_nofold13"] {
        let file = format!("tests/fixtures/spellings/cosine_attention.{form}.onnx");
        let own = written(Network::open(repository(&file)).unwrap());
        assert_eq!(own.state_dict, expected, "{form}");
    }
}
