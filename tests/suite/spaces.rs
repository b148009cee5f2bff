//! The search spaces: what their samples are, how often, and that they stay what they were.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;
use protobuf::Message;
use rayon::prelude::*;
use weightsmith::{
    encoder::NodeFeatures,
    execute::{Images, NormStatistics, Program, Runner, Scratch},
    graph::{Architecture, Weights},
    onnx::Model,
    ops::{self, Registry, Vocabulary},
    patches::{PatchPlan, Sources},
    spaces::{Activation, Family, FamilyRule, Head, Norm, SampledGraph, Space, SpaceError, Split},
    weights::he_initialisation,
};

use super::fingerprint::of_sample;

const SPACES: [&str; 9] =
    ["cifar10", "corpus", "hybrid", "isotropic", "mnist", "modern", "pyramid", "real", "tiny"];

fn space(name: &str) -> Space {
    Space::load(name).unwrap_or_else(|error| panic!("{error}"))
}

fn samples(space: &Space, seeds: impl IntoIterator<Item = u64>) -> Vec<SampledGraph> {
    let sample = |seed| space.sample(seed).unwrap_or_else(|error| panic!("{error}"));
    seeds.into_iter().map(sample).collect()
}

#[test]
fn a_seed_is_a_graph_for_good() {
    for name in SPACES {
        let first = samples(&space(name), 0..50);
        for (graph, again) in first.iter().zip(samples(&space(name), 0..50)) {
            assert_eq!(graph.onnx, again.onnx);
        }
        let distinct: HashSet<_> = first.iter().map(|graph| &graph.onnx).collect();
        assert_eq!(distinct.len(), first.len(), "{name}: seeds give different files");
    }
}

#[test]
fn samples_are_within_bounds() {
    for name in SPACES {
        let space = space(name);
        let seeds = Split::Train.seeds(300).chain(Split::Test.seeds(100));
        for graph in samples(&space, seeds) {
            is_within_bounds(&space, &graph);
        }
    }
}

fn is_within_bounds(space: &Space, graph: &SampledGraph) {
    let of_graph = |rule: &&FamilyRule| of_rule(rule) == (graph.style.family, graph.design.clone());
    let bounds = space.families.iter().find(of_graph).unwrap().bounds(space);
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

fn of_rule(rule: &FamilyRule) -> (Family, Option<String>) {
    (rule.family, rule.design.clone())
}

#[test]
fn costs_suit_training_on_a_cpu() {
    let graphs = samples(&space("corpus"), 0..500);
    let mean = graphs.iter().map(|graph| graph.multiply_accumulates).sum::<u64>() / 500;
    assert!((2_500_000..3_800_000).contains(&mean), "mean multiply-accumulates {mean}");
}

#[test]
fn real_families_all_occur_and_their_costs_are_even_over_their_orders_of_magnitude() {
    let space = space("real");
    let graphs = samples(&space, 0..600);
    let met: BTreeSet<_> =
        graphs.iter().map(|graph| (graph.style.family, graph.design.clone())).collect();
    let rules: BTreeSet<_> = space.families.iter().map(of_rule).collect();
    assert_eq!(rules.len(), space.families.len(), "no two rules follow one design");
    assert_eq!(met, rules);

    let costs: Vec<u64> = graphs.iter().map(|graph| graph.multiply_accumulates).collect();
    let mean = costs.iter().sum::<u64>() / costs.len() as u64;
    assert!((19_000_000..30_000_000).contains(&mean), "mean multiply-accumulates {mean}");
    for [low, high] in [[500_000, 3_350_000], [3_350_000, 22_400_000], [22_400_000, 150_000_000]] {
        let share = costs.iter().filter(|cost| (low..high).contains(*cost)).count();
        assert!((160..280).contains(&share), "{share} of 600 graphs cost from {low} to {high}");
    }
    let most = |of: fn(&SampledGraph) -> usize| graphs.iter().map(of).max().unwrap();
    assert!(most(|graph| graph.depth) > 100);
    assert!(most(|graph| graph.parameters as usize) > 10_000_000);
}

#[test]
fn real_graphs_can_be_planned_and_run_on_kernels() {
    let registry = Registry::standard();
    let vocabulary = Vocabulary::of(&registry);
    let sound = |space: &Space, seed: u64| {
        let graph = space.sample(seed).unwrap();
        let model = Model::from_bytes(&graph.name, graph.onnx.clone()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        ops::resolve(&mut architecture, &registry).unwrap();
        let features = NodeFeatures::read(&architecture, &registry, &vocabulary);
        let sources = Sources::new(&architecture, &registry);
        let plan = PatchPlan::new(&architecture, &features.nodes, Some(&sources));
        assert!(!plan.addresses.is_empty(), "{}", graph.name);
        let program = Program::compile(&architecture, &registry)
            .unwrap_or_else(|error| panic!("{}: {error}", graph.name));
        let weights = he_initialisation(&architecture, 0);
        let [channels, height, width] = space.input;
        let pixels: Vec<f32> =
            (0..2 * channels * height * width).map(|index| (index as f32 * 0.7).sin()).collect();
        let images = Images { batch: 2, channels, height, width, data: &pixels };
        let statistics = NormStatistics::Measured { rows: 0..2 };
        let logits = program.logits(&weights, images, &statistics, &mut Scratch::default());
        assert_eq!(logits.len(), 2 * space.classes);
        assert!(logits.iter().all(|logit| logit.is_finite()), "{}", graph.name);
    };
    for space in ["real", "modern", "pyramid", "isotropic", "hybrid"].map(space) {
        (0..200).into_par_iter().for_each(|seed| sound(&space, seed));
    }
}

#[test]
fn real_families_read_images_of_any_size() {
    for (input, classes) in
        [([1, 28, 28], 10), ([3, 16, 16], 2), ([3, 96, 96], 100), ([3, 224, 224], 1000)]
    {
        let space = Space { input, classes, ..space("real") };
        (0..40).into_par_iter().for_each(|seed| {
            let graph = space.sample(seed).unwrap_or_else(|error| panic!("{input:?}: {error}"));
            is_within_bounds(&space, &graph);
        });
    }
}

#[test]
fn kinds_come_as_often_as_asked_for() {
    let space = space("corpus");
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
    let mut activations: BTreeMap<Activation, f64> = BTreeMap::new();
    for rule in &space.families {
        let family: Family = rule.family;
        near(format!("{family:?}"), rule.weight / total, &|graph| graph.style.family == family);
        let choices = rule.norms(&space);
        let sum: f64 = choices.iter().map(|(_, weight)| weight).sum();
        for (norm, weight) in choices {
            *norms.entry(*norm).or_default() += rule.weight / total * weight / sum;
        }
        let choices = rule.activations(&space);
        let sum: f64 = choices.iter().map(|(_, weight)| weight).sum();
        for (activation, weight) in choices {
            *activations.entry(*activation).or_default() += rule.weight / total * weight / sum;
        }
    }
    assert!(norms[&Norm::None] > 0.1, "norm-free: {}", norms[&Norm::None]);
    for (norm, wanted) in norms {
        near(format!("{norm:?}"), wanted, &|graph| graph.style.norm == norm);
    }
    for (activation, wanted) in activations {
        near(format!("{activation:?}"), wanted, &|graph| graph.style.activation == activation);
    }
}

#[test]
fn held_out_graphs_are_rarely_met_in_training() {
    for (name, most) in [("corpus", 10), ("mnist", 30)] {
        let space = space(name);
        let seeds = Split::Validation.seeds(500).chain(Split::Test.seeds(500));
        let held_out: HashSet<u64> = samples(&space, seeds).iter().map(of_sample).collect();
        assert!(held_out.len() > 980, "{name}: {} of 1000 are distinct", held_out.len());
        let met = samples(&space, Split::Train.seeds(5000))
            .iter()
            .filter(|graph| held_out.contains(&of_sample(graph)))
            .count();
        println!("{name}: {met} of 5000 training graphs equal one of 1000 held-out graphs");
        assert!(met <= most, "{name}: {met}");
    }
}

#[test]
fn another_reader_finds_every_value_defined_once_and_before_use() {
    for name in SPACES {
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
            let operators = model.graph.node.iter().filter(|node| node.op_type != "Constant");
            assert_eq!(operators.count(), graph.nodes);
            assert!(values.contains(&model.graph.output[0].name));
        }
    }
}

#[test]
fn our_own_reader_knows_every_parameter_and_every_shape() {
    for name in SPACES {
        let space = space(name);
        for graph in samples(&space, 0..100) {
            let model = Model::from_bytes(&graph.name, graph.onnx.clone()).unwrap();
            let mut architecture = Architecture::from_model(&model).unwrap();
            let resolution = ops::resolve(&mut architecture, &ops::Registry::standard()).unwrap();
            let [channels, height, width] = space.input;
            let image = architecture.inputs[0].shape.as_deref();
            assert_eq!(
                (architecture.inputs.len(), image.map(|shape| &shape[1..])),
                (1, Some(&[channels, height, width][..]))
            );
            assert_eq!(architecture.dag.node_count(), graph.nodes);
            assert!(resolution.unsupported.is_empty(), "{}: {resolution:?}", graph.name);
            assert_eq!(architecture.parameter_count() as u64, graph.parameters);
            for parameter in &architecture.parameters {
                assert!(parameter.role().is_some(), "{}: {}", graph.name, parameter.name);
            }
            let logits = architecture.fact(architecture.outputs[0].1).unwrap();
            assert_eq!(logits.shape.map(|shape| shape[1..].to_vec()), Some(vec![space.classes]));
            let runner = Runner::new(&architecture, &ops::Registry::standard());
            assert!(runner.is_lowered(), "{} has no kernels", graph.name);
        }
    }
}

/// The first graph of every family of the space, by seed.
fn one_of_each(space: &Space) -> BTreeMap<Family, SampledGraph> {
    let mut kinds = BTreeMap::new();
    for graph in (0..1000).map(|seed| space.sample(seed).unwrap()) {
        kinds.entry(graph.style.family).or_insert(graph);
        if kinds.len() == space.families.len() {
            break;
        }
    }
    kinds
}

#[test]
fn every_family_runs_and_most_of_them_at_other_sizes() {
    let mut space = space("corpus");
    space.heads = vec![(Head::Linear, 1.0)];
    let kinds = one_of_each(&space);
    assert_eq!(kinds.len(), space.families.len());
    for (family, graph) in kinds {
        for size in [32, 24, 48] {
            let model = Model::from_bytes(&graph.name, graph.onnx.clone()).unwrap();
            let mut architecture = Architecture::from_model(&model).unwrap();
            ops::resolve(&mut architecture, &ops::Registry::standard()).unwrap();
            let resized = ops::resolve_with_input(
                &mut architecture,
                &[2, 3, size, size],
                &ops::Registry::standard(),
            );
            let native = matches!(family, Family::Vit | Family::Mixer | Family::Mlp);
            if size != 32 && native && resized.is_err() {
                continue;
            }
            assert!(resized.unwrap().unsupported.is_empty(), "{}", graph.name);
            let count = |shape: &[usize]| shape.iter().product::<usize>();
            let weights: Weights = architecture
                .parameters
                .iter()
                .map(|parameter| {
                    let count = count(parameter.shape.as_deref().unwrap());
                    let value = |index| 0.1 + 0.05 * (index as f32).sin();
                    (0..count).map(value).collect::<Vec<f32>>()
                })
                .collect();
            let pixels: Vec<f32> =
                (0..2 * 3 * size * size).map(|index| (index as f32 * 0.7).sin()).collect();
            let images = Images { batch: 2, channels: 3, height: size, width: size, data: &pixels };
            let statistics = NormStatistics::Measured { rows: 0..2 };
            let runner = Runner::without_kernels(&architecture, &ops::Registry::standard());
            let scratch = &mut Scratch::default();
            let logits = runner.logits(&weights, images, &statistics, scratch).unwrap();
            assert_eq!(logits.len(), 20);
            assert!(logits.iter().all(|logit| logit.is_finite()), "{}", graph.name);
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

    let text = include_str!("../../architectures/spaces/real.toml");
    let fails = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Space::parse("test", &text.replacen(from, to, 1)).map(|_| ()).unwrap_err().to_string()
    };
    assert!(fails("widths = [2.0, 4.0]", "widths = [2.0]").contains("'families.stages.depths'"));
    assert!(fails("strides = [2, 2]", "strides = [2, 3]").contains("'families.stages.strides'"));
    assert!(fails("scale = [1.0, 1.0]", "scale = [1.0, 0.5]").contains("'families.stages.scale'"));
    assert!(fails("class_token = 0.65", "class_token = 2.0").contains("'families.class_token'"));
    assert!(fails("width = [32, 2048]", "width = [32, 9999]").contains("'hidden'"));
    let text = include_str!("../../architectures/spaces/tiny.toml");

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
