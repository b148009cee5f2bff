use approx::assert_relative_eq;

use super::{blocks::blocks, *};
use crate::{
    execute::{Images, NormStatistics, Runner, Scratch},
    graph::{Architecture, ParameterId, Role},
    onnx::Model,
    ops::{Registry, resolve},
    predictor::CalibrationImages,
    spaces::{Code, Named},
};

fn read(onnx: Vec<u8>) -> Architecture {
    let model = Model::from_bytes("test", onnx.into()).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    assert!(resolve(&mut architecture, &Registry::standard()).unwrap().unsupported.is_empty());
    architecture
}

fn named(name: &str) -> Architecture {
    read(Named::find(name).unwrap().onnx())
}

fn cell(text: &str) -> Architecture {
    read(Code::nas_bench_201(text).unwrap().reduced())
}

fn probe(seed: u64) -> Probe {
    let data = (0..8 * 3 * 256).map(|i| ((i * i % 101) as f32 / 50.0) - 1.0).collect();
    let images = CalibrationImages { shape: [8, 3, 16, 16], data };
    Probe { sharp_images: images.clone(), images, labels: None, predictor: None, seed }
}

const WHOLE: &str = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|";
#[test]
fn dead_branches_do_not_count() {
    // Node 1 is convolved and meets zeros only.
    let dead = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|";
    let without = "|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|";
    let [dead, without] = [dead, without].map(cell);
    let [own, other] = [&dead, &without].map(|it| Live::of(it, &Registry::standard()));
    assert!(dead.parameter_count() > without.parameter_count());
    assert_eq!(own.parameters, other.parameters);
    assert_eq!(own.layers.len(), other.layers.len());
    assert!(own.dead > other.dead);
    let [a, b] = [(&dead, &own), (&without, &other)].map(|(it, live)| fingerprint(it, live));
    assert_ne!(a.exact, b.exact);
}

#[test]
fn resnet_20_lives_as_a_whole() {
    let live = Live::of(&named("resnet-20"), &Registry::standard());
    assert_eq!((live.dead, live.depth, live.layers.len()), (0, 20, 22));
    assert_eq!((live.parameters, live.multiply_accumulates), (272_474, 40_813_184));
    assert_eq!((live.spatial_layers, live.inner_spatial_layers, live.inner_pools), (19, 18, 0));
}

#[test]
fn pools_that_keep_the_extent_are_told_from_those_that_reduce_it() {
    let pooled = "|avg_pool_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|";
    let [convolved, pooled] =
        [WHOLE, pooled].map(|text| Live::of(&cell(text), &Registry::standard()));
    // Three cells; the two blocks between them have two convolutions and a pool of stride 2 each.
    assert_eq!((convolved.inner_spatial_layers, convolved.inner_pools), (3 + 4, 0));
    assert_eq!((pooled.inner_spatial_layers, pooled.inner_pools), (4, 3));
}

#[test]
fn a_path_of_convolutions_and_identities_is_clear() {
    let obstacles = |text: &str| Live::of(&cell(text), &Registry::standard()).obstacles;
    // Three cells. The identity from node 2 to 3 follows nothing; so does the one beside a pool.
    let around = "|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|none~0|skip_connect~1|skip_connect~2|";
    let through = "|nor_conv_1x1~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|skip_connect~2|";
    assert_eq!([around, through].map(obstacles), [0, 3 * 2]);
    // Pointwise convolutions are part of the separable ones that they stand beside, and a residual
    // connection leads around bottlenecks.
    let named = |name: &str| Live::of(&named(name), &Registry::standard()).obstacles;
    assert_eq!(named("resnet-20"), 0);
    // Its last convolution; the two transitions.
    assert_eq!((named("mobilenet-v2"), named("densenet-40")), (1, 2));
}

#[test]
fn isomorphic_graphs_share_a_fingerprint() {
    let print = |text: &str| {
        let architecture = cell(text);
        fingerprint(&architecture, &Live::of(&architecture, &Registry::standard())).structure
    };
    // The middle nodes exchange their places.
    let a = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|";
    let b = "|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|avg_pool_3x3~1|skip_connect~2|";
    let c = "|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|";
    assert_eq!(print(a), print(b));
    assert_ne!(print(a), print(c));
}

#[test]
fn operator_paths_are_those_of_the_graph_whatever_the_order_of_its_nodes() {
    let paths = |text: &str| {
        let (architecture, registry) = (cell(text), Registry::standard());
        OperatorPaths::of(&architecture, &registry, &Live::of(&architecture, &registry))
    };
    let a = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|";
    let b = "|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|avg_pool_3x3~1|skip_connect~2|";
    let c = "|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|";
    assert_eq!(paths(a), paths(b));
    // The same operators in other places: only what they read tells the graphs apart.
    let [a, c] = [a, c].map(paths);
    assert_eq!(a.kinds[..2], c.kinds[..2]);
    assert_ne!(a.kinds[2], c.kinds[2]);
}

#[test]
fn blocks_in_turn_are_the_network() {
    for name in ["resnet-20", "mobilenet-v2", "plain-cnn"] {
        let architecture = named(name);
        let probe = probe(0);
        let subject = Subject::new(&architecture, &Registry::standard(), &probe);
        let cut = blocks(&subject.architecture, &subject.live);
        assert!(cut.len() > 2, "{name}: {}", cut.len());
        let trunk = super::blocks::trunk(&subject.architecture, &subject.live).unwrap();
        let scratch = &mut Scratch::default();
        let mut run = |architecture: &Architecture, data: &[f32]| {
            let shape = architecture.inputs[0].shape.clone().unwrap();
            let [_, channels, height, width] = shape[..] else { panic!("no images") };
            let images = Images { batch: 8, channels, height, width, data };
            let all = NormStatistics::Measured { rows: 0..8 };
            Runner::new(architecture, &Registry::standard())
                .logits(subject.weights(), images, &all, scratch)
                .unwrap()
        };
        let whole = run(&trunk, &probe.images.data);
        let parts = cut.iter().fold(probe.images.data.clone(), |data, block| run(block, &data));
        assert_eq!(whole.len(), parts.len());
        for (whole, part) in whole.iter().zip(&parts) {
            assert_relative_eq!(*whole, *part, epsilon = 1e-4, max_relative = 1e-3);
        }
    }
}

#[test]
fn every_score_of_a_convolutional_network_is_a_number() {
    let probe = probe(3);
    for architecture in [named("resnet-20"), cell(WHOLE)] {
        let subject = Subject::new(&architecture, &Registry::standard(), &probe);
        for score in scores().iter().filter(|score| Judge::applies(&probe, score.as_ref())) {
            let value =
                score.of(&subject).unwrap_or_else(|error| panic!("{}: {error}", score.name()));
            assert!(value.is_finite(), "{} is {value}", score.name());
            let again =
                score.of(&Subject::new(&architecture, &Registry::standard(), &probe)).unwrap();
            assert_eq!(value, again, "{}", score.name());
        }
    }
}

#[test]
fn a_network_without_a_way_through_has_scores_or_says_why() {
    let none = cell("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|");
    let judge = Judge { scores: scores(), probe: probe(0), cache: None, operator_paths: false };
    let record = judge.judge(&none, &Registry::standard()).unwrap();
    assert!(record.scores.contains_key("flops"));
    assert!(record.missing.contains_key("predicted-norm"));
}

#[test]
fn synflow_does_not_depend_on_how_factors_are_split() {
    // ln Σ |weight · gradient| in double precision, for a network small enough for either.
    let architecture = named("plain-cnn");
    let probe = probe(1);
    let subject = Subject::new(&architecture, &Registry::standard(), &probe);
    let synflow = scores().into_iter().find(|score| score.name() == "synflow").unwrap();
    let own = synflow.of(&subject).unwrap();
    let mut absolute = subject.weights().clone();
    absolute.values_mut().for_each(|value| *value = value.abs());
    let ones = vec![1.0; 3 * 256];
    let images = Images { batch: 1, channels: 3, height: 16, width: 16, data: &ones };
    let (_, gradients) = subject
        .differentiate(
            &absolute,
            images,
            &mut |_, seeds| {
                seeds.fill(1.0);
                0.0
            },
            false,
        )
        .unwrap();
    // Its non-linearities are ReLUs, which are linear here.
    let is_weight = |id: ParameterId| architecture.parameters[id.0].role() == Some(Role::Weight);
    let total: f64 = absolute
        .pairs(&gradients.parameters)
        .filter(|(id, _)| is_weight(*id))
        .flat_map(|(_, [weights, gradient])| weights.iter().zip(gradient))
        .map(|(weight, gradient)| f64::from(weight * gradient))
        .sum();
    assert_relative_eq!(own, total.ln(), max_relative = 1e-4);
}
