//! The corpus: frozen, without duplicates, and what its files say.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
};

use weightsmith::{
    corpus::{self, CorpusError, CorpusGraph, Statistics},
    graph::Architecture,
    onnx::Model,
    ops::{Registry, resolve},
    spaces::{Family, Norm},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures/corpus")
}

fn stored(split: &str) -> Vec<CorpusGraph> {
    let bytes = fs::read(folder().join(format!("{split}.archs.xz"))).unwrap();
    corpus::unpack(split, &bytes).unwrap()
}

fn held_out() -> impl Iterator<Item = &'static &'static str> {
    corpus::splits().iter().filter(|split| **split != "train")
}

#[test]
fn splits_are_drawn_again_byte_for_byte() {
    for (split, graphs) in corpus::generate(&Registry::standard(), &|_| ()).unwrap() {
        assert!(graphs == stored(split), "{split} is stale: run `weightsmith corpus generate`");
    }
}

#[test]
fn no_graph_stands_twice() {
    let (mut names, mut fingerprints) = (HashSet::new(), HashSet::new());
    for split in corpus::splits() {
        let graphs = stored(split);
        assert_eq!(graphs.len(), corpus::size(split).unwrap(), "{split}");
        for graph in graphs {
            assert!(fingerprints.insert(graph.fingerprint), "{split}: {}", graph.name);
            assert!(names.insert(graph.name.clone()), "{split}: {}", graph.name);
        }
    }
    let known: HashSet<u64> =
        held_out().flat_map(|split| stored(split)).map(|graph| graph.fingerprint).collect();
    assert_eq!(corpus::held_out().unwrap(), known);
}

#[test]
fn held_out_graphs_are_understood() {
    for split in held_out() {
        let graphs = corpus::load(split, &Registry::standard()).unwrap();
        let fewest = match *split {
            "named" => 17,
            "flatten" => 30,
            "real" => 60,
            _ => 100,
        };
        assert!(graphs.len() >= fewest, "{split}: {}", graphs.len());
        for graph in graphs {
            let model = Model::from_bytes(&graph.name, graph.onnx.clone()).unwrap();
            let mut architecture = Architecture::from_model(&model).unwrap();
            let resolution = resolve(&mut architecture, &Registry::standard()).unwrap();
            assert!(resolution.unsupported.is_empty(), "{}", graph.name);
            assert_eq!(architecture.name, graph.name);
            assert_eq!(architecture.fingerprint(), graph.fingerprint, "{}", graph.name);
            let sizes: &[usize] = if *split == "real" { &[32, 64, 96] } else { &[32] };
            let shapes: Vec<_> = sizes.iter().map(|&size| Some(vec![1, 3, size, size])).collect();
            assert!(shapes.contains(&architecture.inputs[0].shape), "{}", graph.name);
            let logits = architecture.fact(architecture.outputs[0].1).unwrap();
            assert_eq!(logits.shape, Some(vec![1, 10]), "{}", graph.name);
            for parameter in &architecture.parameters {
                assert!(parameter.role().is_some(), "{}: {}", graph.name, parameter.name);
            }
        }
    }
}

#[test]
fn splits_are_what_they_are_called() {
    let statistics: BTreeMap<&str, Statistics> = ["id", "wide", "deep", "dense"]
        .into_iter()
        .map(|split| {
            (split, Statistics::of(split, &stored(split), &Registry::standard(), &|| ()).unwrap())
        })
        .collect();
    let median = |split: &str, measure: usize| {
        statistics[split].quantile(corpus::MEASURES[measure], 0.5) as f64
    };
    let parameters = median("wide", 0) / median("id", 0);
    assert!((4.0..16.0).contains(&parameters), "wide: {parameters} times the parameters");
    let depth = median("deep", 2) / median("id", 2);
    assert!((1.8..3.5).contains(&depth), "deep: {depth} times the depth");

    let all = |split: &str, holds: fn(Family, Norm) -> bool| {
        stored(split).iter().all(|it| it.style.is_some_and(|it| holds(it.family, it.norm)))
    };
    assert!(all("dense", |family, _| family == Family::Dense));
    assert!(all("attention", |family, _| family == Family::Vit));
    assert!(all("norm-free", |_, norm| norm == Norm::None));

    // What a head reads is as wide as the flattened map.
    for graph in stored("flatten") {
        let model = Model::from_bytes(&graph.name, graph.onnx).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        let flatten = architecture.dag.node_weights().find(|node| node.op_type == "Flatten");
        let pooled = architecture.dag.node_weights().any(|node| node.name.starts_with("/pool/"));
        assert!(flatten.is_some() && !pooled, "{}", graph.name);
    }

    let activations = |split: &str| -> BTreeSet<_> {
        stored(split).iter().filter_map(|it| Some(it.style?.activation)).collect()
    };
    assert!(activations("new-op").is_disjoint(&activations("train")));
    assert!(activations("id").is_subset(&activations("train")));
}

#[test]
fn exported_files_make_a_split() {
    let folder = tempfile::tempdir().unwrap();
    let graphs = stored("real");
    for graph in &graphs {
        fs::write(folder.path().join(format!("{}.onnx", graph.name)), &graph.onnx).unwrap();
    }
    let import = |split| corpus::import(split, folder.path(), &Registry::standard());
    assert_eq!(import("real").unwrap(), graphs);
    assert!(matches!(import("id"), Err(CorpusError::NotExported { .. })));

    let first = folder.path().join(format!("{}.onnx", graphs[0].name));
    fs::copy(&first, folder.path().join("copy.onnx")).unwrap();
    assert!(matches!(import("real"), Err(CorpusError::Isomorphic { .. })));
    fs::remove_file(folder.path().join("copy.onnx")).unwrap();
    fs::remove_file(first).unwrap();
    let error = import("real").unwrap_err().to_string();
    assert!(error.contains("holds 76 .onnx files"), "{error}");
}

#[test]
fn statistics_are_drawn() {
    let statistics = ["id", "named"].map(|split| {
        Statistics::of(
            split,
            &corpus::load(split, &Registry::standard()).unwrap(),
            &Registry::standard(),
            &|| (),
        )
        .unwrap()
    });
    let picture = corpus::picture(&statistics);
    for expected in ["<svg", ">id<", ">named<", "100 graphs", "multiply-accumulates", "MatMul"] {
        assert!(picture.contains(expected), "{expected}");
    }
    assert!(!picture.contains("NaN") && !picture.contains("inf"));
    assert_eq!(corpus::picture(&[]).lines().filter(|line| line.contains("NaN")).count(), 0);
}

#[test]
fn what_is_wrong_is_said() {
    let unknown = corpus::load("test", &Registry::standard()).unwrap_err();
    assert!(unknown.to_string().contains("'test' is none of named, id"), "{unknown}");
    let bytes = fs::read(folder().join("named.archs.xz")).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], b"not xz"] {
        let error = corpus::unpack("named", damaged).unwrap_err();
        assert!(matches!(error, CorpusError::Stored { .. }), "{error}");
    }
    let damaged = packed(b"\x05\x0a\x7fabc");
    assert!(matches!(corpus::unpack("it", &damaged), Err(CorpusError::Stored { .. })));
}

/// An xz stream of these bytes.
fn packed(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
