//! The search spaces: what their samples are, how often, and that they stay what they were.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use protobuf::Message;
use weightsmith::{
    execute::Program,
    graph::Architecture,
    onnx::Model,
    ops,
    spaces::{Activation, Family, Fingerprint, Norm, SampledGraph, Space, SpaceError, Split},
};

fn space(name: &str) -> Space {
    Space::load(name).unwrap_or_else(|error| panic!("{error}"))
}

fn samples(space: &Space, seeds: impl IntoIterator<Item = u64>) -> Vec<SampledGraph> {
    let sample = |seed| space.sample(seed).unwrap_or_else(|error| panic!("{error}"));
    seeds.into_iter().map(sample).collect()
}

#[test]
fn a_seed_is_a_graph_for_good() {
    for name in ["cifar10", "mnist", "tiny"] {
        let first = samples(&space(name), 0..50);
        for (graph, again) in first.iter().zip(samples(&space(name), 0..50)) {
            assert_eq!(graph.onnx, again.onnx);
            assert_eq!(graph.fingerprint(), again.fingerprint());
        }
        let distinct: HashSet<_> = first.iter().map(|graph| &graph.onnx).collect();
        assert_eq!(distinct.len(), first.len(), "{name}: seeds give different files");
    }
}

#[test]
fn samples_are_within_bounds() {
    for name in ["cifar10", "mnist", "tiny"] {
        let space = space(name);
        let seeds = Split::Train.seeds(300).chain(Split::Test.seeds(100));
        for graph in samples(&space, seeds) {
            let bounds = &space.bounds;
            let [low, high] = bounds.parameters;
            assert!((low..=high).contains(&graph.parameters), "{}", graph.name);
            let [low, high] = bounds.multiply_accumulates;
            assert!((low..=high).contains(&graph.multiply_accumulates), "{}", graph.name);
            let [low, mut high] = bounds.depth;
            if graph.style.norm == Norm::None {
                high = high.min(bounds.norm_free_depth);
            }
            assert!((low..=high).contains(&graph.depth), "{}", graph.name);
        }
    }
}

#[test]
fn costs_suit_training_on_a_cpu() {
    let graphs = samples(&space("cifar10"), 0..500);
    let mean = graphs.iter().map(|graph| graph.multiply_accumulates).sum::<u64>() / 500;
    assert!((2_500_000..3_800_000).contains(&mean), "mean multiply-accumulates {mean}");
}

#[test]
fn kinds_come_as_often_as_asked_for() {
    let space = space("cifar10");
    let graphs = samples(&space, 0..1000);
    let share = |is: &dyn Fn(&SampledGraph) -> bool| {
        graphs.iter().filter(|graph| is(graph)).count() as f64 / graphs.len() as f64
    };
    let near = |what: String, wanted: f64, is: &dyn Fn(&SampledGraph) -> bool| {
        let share = share(is);
        assert!((share - wanted).abs() < 0.05, "{what}: {share} instead of {wanted}");
    };

    let total: f64 = space.families.iter().map(|rule| rule.weight).sum();
    let mut norms: BTreeMap<Norm, f64> = BTreeMap::new();
    for rule in &space.families {
        let family: Family = rule.family;
        near(format!("{family:?}"), rule.weight / total, &|graph| graph.style.family == family);
        let choices = rule.norms.as_ref().unwrap_or(&space.norms);
        let sum: f64 = choices.iter().map(|(_, weight)| weight).sum();
        for (norm, weight) in choices {
            *norms.entry(*norm).or_default() += rule.weight / total * weight / sum;
        }
    }
    for (norm, wanted) in norms {
        near(format!("{norm:?}"), wanted, &|graph| graph.style.norm == norm);
    }
    let total: f64 = space.activations.iter().map(|(_, weight)| weight).sum();
    for (activation, weight) in &space.activations {
        let activation: Activation = *activation;
        near(format!("{activation:?}"), weight / total, &|graph| {
            graph.style.activation == activation
        });
    }
}

#[test]
fn held_out_graphs_are_rarely_met_in_training() {
    for (name, most) in [("cifar10", 10), ("mnist", 30)] {
        let space = space(name);
        let seeds = Split::Validation.seeds(500).chain(Split::Test.seeds(500));
        let held_out: HashSet<Fingerprint> =
            samples(&space, seeds).iter().map(SampledGraph::fingerprint).collect();
        assert!(held_out.len() > 980, "{name}: {} of 1000 are distinct", held_out.len());
        let met = samples(&space, Split::Train.seeds(5000))
            .iter()
            .filter(|graph| held_out.contains(&graph.fingerprint()))
            .count();
        println!("{name}: {met} of 5000 training graphs equal one of 1000 held-out graphs");
        assert!(met <= most, "{name}: {met}");
    }
}

#[test]
fn another_reader_finds_every_value_defined_once_and_before_use() {
    for name in ["cifar10", "mnist", "tiny"] {
        for graph in samples(&space(name), 0..100) {
            let model = onnx_protobuf::ModelProto::parse_from_bytes(&graph.onnx).unwrap();
            assert_eq!((model.ir_version, model.opset_import[0].version), (10, 21));
            assert_eq!(model.graph.name, graph.name);
            let mut values = HashSet::new();
            let mut parameters = 0;
            for input in &model.graph.input {
                assert!(values.insert(&input.name), "{}: {} twice", graph.name, input.name);
                let extents = &input.type_.tensor_type().shape.dim;
                if input.name != "input" {
                    parameters += extents.iter().map(|extent| extent.dim_value()).product::<i64>();
                }
            }
            assert_eq!(parameters as u64, graph.parameters, "{}", graph.name);
            let mut nodes = HashSet::new();
            for node in &model.graph.node {
                assert!(nodes.insert(&node.name), "{}: {} twice", graph.name, node.name);
                assert!(node.input.iter().all(|input| values.contains(input)), "{}", node.name);
                assert!(node.output.iter().all(|output| values.insert(output)), "{}", node.name);
            }
            assert_eq!(nodes.len(), graph.nodes);
            assert!(values.contains(&model.graph.output[0].name));
        }
    }
}

#[test]
fn our_own_reader_knows_every_parameter_and_every_shape() {
    for name in ["cifar10", "mnist", "tiny"] {
        let space = space(name);
        for graph in samples(&space, 0..100) {
            let model = Model::from_bytes(&graph.name, graph.onnx.clone()).unwrap();
            let mut architecture = Architecture::from_model(&model).unwrap();
            ops::resolve(&mut architecture, ops::registry()).unwrap();
            let [channels, height, width] = space.input;
            let image = architecture.inputs[0].shape.as_deref();
            assert_eq!(
                (architecture.inputs.len(), image.map(|shape| &shape[1..])),
                (1, Some(&[channels, height, width][..]))
            );
            assert_eq!(architecture.dag.node_count(), graph.nodes);
            assert_eq!(architecture.parameter_count() as u64, graph.parameters);
            for parameter in &architecture.parameters {
                assert!(parameter.role().is_some(), "{}: {}", graph.name, parameter.name);
            }
            let logits = architecture.fact(architecture.outputs[0].1).unwrap();
            assert_eq!(logits.shape.map(|shape| shape[1..].to_vec()), Some(vec![space.classes]));
            Program::compile(&architecture, ops::registry()).unwrap();
        }
    }
}

#[test]
fn splits_do_not_overlap() {
    assert_eq!(Split::Train.seeds(3), 0..3);
    assert_eq!(Split::Validation.seeds(3), 1_000_000..1_000_003);
    assert_eq!(Split::Test.seeds(u64::MAX), 2_000_000..3_000_000);
    assert_eq!(Split::of(999_999), Some(Split::Train));
    assert_eq!(Split::of(1_000_000), Some(Split::Validation));
    assert_eq!(Split::of(3_000_000), None);
}

#[test]
fn a_space_that_cannot_be_used_is_an_error_that_says_why() {
    let text = include_str!("../../architectures/spaces/tiny.toml");
    let fails = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Space::parse("test", &text.replace(from, to)).map(|_| ()).unwrap_err().to_string()
    };
    assert!(fails("classes = 10", "classes = 1").contains("'classes'"));
    assert!(fails("classes = 10", "clases = 10").contains("clases"));
    assert!(fails("[3, 0.62]", "[4, 0.62]").contains("'stem.kernels'"));
    assert!(fails("weight = 0.26", "weight = nan").contains("'families'"));
    assert!(fails("growth = [", "growth = [] #").contains("'widths.growth'"));
    assert!(Space::parse("test", "name = ").is_err());
    let missing = Space::load("no such space").unwrap_err().to_string();
    assert!(missing.contains("'cifar10'") && missing.contains("no such space"), "{missing}");

    let narrow = text.replace("parameters = [300, 4_000]", "parameters = [3, 4]");
    let space = Space::parse("test", &narrow).unwrap();
    assert!(matches!(space.sample(0), Err(SpaceError::Exhausted { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_description_makes_sampling_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[-0-9.a-z\\[\\]\",=\n]"), 1..4),
        seed in any::<u64>(),
    ) {
        let mut text = include_str!("../../architectures/spaces/tiny.toml").to_owned();
        for (place, with) in edits {
            let at = place.index(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                text.replace_range(at..=at, &with);
            }
        }
        if let Ok(space) = Space::parse("mutated", &text) {
            let _ = space.sample(seed);
        }
    }
}
