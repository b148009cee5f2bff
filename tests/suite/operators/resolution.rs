//! What resolving says about graphs: roles, shapes, and what is refused.

use onnx_protobuf::{NodeProto, TensorProto};
use weightsmith::{
    graph::{Architecture, Layout, Role, Tensor},
    onnx::Model,
    ops::{OpError, Registry, Resolution, ResolveError, resolve, resolve_with_input},
};

use super::{
    compare::ours,
    model::{floats, ints, model, node, op, value, with},
};

/// A graph from `x` to `y` in opset 18, without any weights but those given.
fn graph(
    shape: &[usize],
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
) -> (Architecture, Result<Resolution, ResolveError>) {
    let (x, y) = (value("x", Some(shape)), value("y", None));
    let bytes = model(nodes, initializers, vec![x], vec![y], vec![(String::new(), 18)]);
    let model = Model::from_bytes("graph", bytes.into()).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    let resolution = resolve(&mut architecture, &Registry::standard());
    (architecture, resolution)
}

fn weights(name: &str, shape: &[usize]) -> TensorProto {
    floats(name, shape, &vec![0.5; shape.iter().product()])
}

/// Name, role, layout and fan-in of the first use of every parameter.
fn uses(architecture: &Architecture) -> Vec<(&str, Role, Layout, usize)> {
    architecture
        .parameters
        .iter()
        .map(|parameter| {
            let slot = &parameter.slots[0];
            (parameter.name.as_str(), slot.role, slot.layout, slot.fan_in)
        })
        .collect()
}

#[test]
fn roles_come_from_the_operators() {
    let (architecture, resolution) = graph(
        &[1, 4, 6, 6],
        vec![
            with(node("Conv", &["x", "conv.weight"], "a"), "group", 2),
            node("BatchNormalization", &["a", "gain", "shift", "mean", "var"], "b"),
            node("Conv", &["b", "plain.weight"], "c"),
            node("Add", &["c", "plain.bias"], "d"),
            node("Add", &["d", "after"], "e"),
            node("GlobalAveragePool", &["e"], "f"),
            node("Flatten", &["f"], "g"),
            node("Transpose", &["fc.weight"], "t"),
            node("MatMul", &["g", "t"], "h"),
            node("Add", &["fc.bias", "h"], "y"),
        ],
        vec![
            weights("conv.weight", &[8, 2, 3, 3]),
            weights("gain", &[8]),
            weights("shift", &[8]),
            weights("mean", &[8]),
            weights("var", &[8]),
            weights("plain.weight", &[5, 8, 1, 1]),
            weights("plain.bias", &[5, 1, 1]),
            weights("after", &[5, 1, 1]),
            weights("fc.weight", &[3, 5]),
            weights("fc.bias", &[3]),
        ],
    );
    assert!(resolution.unwrap().unsupported.is_empty());
    assert_eq!(
        uses(&architecture),
        [
            ("conv.weight", Role::Weight, Layout::OutIn, 18),
            ("gain", Role::Gain, Layout::Vector, 1),
            ("shift", Role::Shift, Layout::Vector, 1),
            ("mean", Role::RunningMean, Layout::Vector, 1),
            ("var", Role::RunningVariance, Layout::Vector, 1),
            ("plain.weight", Role::Weight, Layout::OutIn, 8),
            ("plain.bias", Role::Bias, Layout::Vector, 1),
            ("after", Role::Shift, Layout::Vector, 1),
            ("fc.weight", Role::Weight, Layout::OutIn, 5),
            ("fc.bias", Role::Bias, Layout::Vector, 5),
        ]
    );
    assert_eq!(architecture.parameters[0].slots[0].groups, 2);
}

#[test]
fn a_shared_weight_has_a_slot_for_each_use() {
    let (architecture, _) = graph(
        &[1, 4],
        vec![node("MatMul", &["x", "w"], "a"), with(node("Gemm", &["a", "w"], "y"), "transB", 1)],
        vec![weights("w", &[4, 4])],
    );
    let layouts: Vec<Layout> =
        architecture.parameters[0].slots.iter().map(|slot| slot.layout).collect();
    // A matrix is kept as PyTorch does: it is the second reader that turns it.
    assert_eq!(layouts, [Layout::OutIn, Layout::InOut]);
}

#[test]
fn a_weight_is_seen_through_a_reshape() {
    let (architecture, _) = graph(
        &[1, 16],
        vec![
            node("Reshape", &["w", "target"], "matrix"),
            node("Transpose", &["matrix"], "turned"),
            node("MatMul", &["x", "turned"], "y"),
        ],
        vec![weights("w", &[5, 2, 8]), ints("target", &[2], &[5, 16])],
    );
    let slot = &architecture.parameters[0].slots[0];
    assert_eq!(slot.view, Some(vec![5, 16]));
    assert_eq!((slot.layout, slot.fan_in), (Layout::OutIn, 16));
}

#[test]
fn preprocessing_is_not_learned() {
    let (architecture, resolution) = graph(
        &[1, 3, 4, 4],
        vec![
            node("Sub", &["x", "mean"], "a"),
            node("Div", &["a", "deviation"], "b"),
            node("Mul", &["b", "two"], "y"),
        ],
        vec![
            weights("mean", &[1, 3, 1, 1]),
            weights("deviation", &[1, 3, 1, 1]),
            weights("two", &[1]),
        ],
    );
    assert!(resolution.unwrap().unsupported.is_empty());
    assert!(architecture.parameters.is_empty());
    assert_eq!(architecture.constants.len(), 3);
}

#[test]
fn shapes_of_weights_that_are_not_there_are_inferred() {
    let conv = node("Conv", &["x", "conv.weight", "conv.bias"], "a");
    let conv = with(conv, "kernel_shape", [3, 5]);
    let norm = node("BatchNormalization", &["a", "gain", "shift", "mean", "var"], "b");
    let nodes = vec![
        conv,
        norm,
        node("GlobalAveragePool", &["b"], "c"),
        node("Flatten", &["c"], "d"),
        node("Transpose", &["fc.weight"], "t"),
        node("MatMul", &["d", "t"], "y"),
    ];
    let declared = [value("a", Some(&[1, 7, 4, 2])), value("y", Some(&[1, 9]))];
    let x = value("x", Some(&[1, 3, 6, 6]));
    let [a, y] = declared;
    let bytes = model(nodes, vec![], vec![x], vec![y, a], vec![(String::new(), 18)]);
    let model = Model::from_bytes("graph", bytes.into()).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    let resolution = resolve(&mut architecture, &Registry::standard()).unwrap();
    assert!(resolution.unsupported.is_empty(), "{:?}", resolution.unsupported);
    let shapes: Vec<(&str, Option<&[usize]>)> =
        architecture.parameters.iter().map(|p| (p.name.as_str(), p.shape.as_deref())).collect();
    assert_eq!(
        shapes,
        [
            ("conv.weight", Some(&[7, 3, 3, 5][..])),
            ("conv.bias", Some(&[7][..])),
            ("gain", Some(&[7][..])),
            ("shift", Some(&[7][..])),
            ("mean", Some(&[7][..])),
            ("var", Some(&[7][..])),
            ("fc.weight", Some(&[9, 7][..])),
        ]
    );
}

#[test]
fn shape_arithmetic_is_folded() {
    let (architecture, resolution) = graph(
        &[2, 3, 4, 5],
        vec![
            node("Shape", &["x"], "shape"),
            with(node("Gather", &["shape", "zero"], "batch"), "axis", 0),
            node("Unsqueeze", &["batch", "first"], "rows"),
            node("Slice", &["shape", "one", "end"], "rest"),
            node("ReduceProd", &["rest"], "unused"),
            node("Mul", &["rows", "two"], "twice"),
            with(node("Concat", &["twice", "open"], "target"), "axis", 0),
            node("Reshape", &["x", "target"], "y"),
        ],
        vec![
            ints("zero", &[], &[0]),
            ints("first", &[1], &[0]),
            ints("one", &[1], &[1]),
            ints("end", &[1], &[i64::MAX]),
            ints("two", &[1], &[2]),
            ints("open", &[1], &[-1]),
        ],
    );
    assert!(resolution.unwrap().unsupported.is_empty());
    let product = architecture.dag.node_weights().find(|node| node.op_type == "ReduceProd");
    let product = product.unwrap().outputs[0].value.clone();
    assert_eq!(product.unwrap().ints(), Some(&[3 * 4 * 5][..]));
    let (_, output) = architecture.outputs[0].clone();
    assert_eq!(architecture.fact(output).unwrap().shape, Some(vec![4, 30]));
}

#[test]
fn another_batch_and_image_size_can_be_asked_for() {
    let (mut architecture, _) = graph(
        &[1, 3, 32, 32],
        vec![
            with(node("Conv", &["x", "w"], "a"), "strides", [2, 2]),
            node("GlobalAveragePool", &["a"], "b"),
            node("Flatten", &["b"], "y"),
        ],
        vec![weights("w", &[8, 3, 4, 4])],
    );
    resolve_with_input(&mut architecture, &[64, 3, 16, 16], &Registry::standard()).unwrap();
    let first = architecture.order[0];
    assert_eq!(architecture.dag[first].outputs[0].shape, Some(vec![64, 8, 7, 7]));
    let (_, output) = architecture.outputs[0].clone();
    assert_eq!(architecture.fact(output).unwrap().shape, Some(vec![64, 8]));
}

#[test]
fn a_batch_size_written_into_a_reshape_is_freed() {
    let (mut architecture, _) = graph(
        &[1, 8, 4, 4],
        vec![
            node("Reshape", &["x", "split"], "a"),
            with(node("Transpose", &["a"], "b"), "perm", [0, 2, 1, 3, 4]),
            node("Reshape", &["b", "join"], "y"),
        ],
        vec![ints("split", &[5], &[1, 2, 4, 4, 4]), ints("join", &[4], &[1, -1, 4, 4])],
    );
    resolve(&mut architecture, &Registry::standard()).unwrap();
    resolve_with_input(&mut architecture, &[6, 8, 4, 4], &Registry::standard()).unwrap();
    let (_, output) = architecture.outputs[0].clone();
    assert_eq!(architecture.fact(output).unwrap().shape, Some(vec![6, 8, 4, 4]));
}

#[test]
fn a_mask_of_the_windows_of_one_image_is_that_of_every_image() {
    let (mut architecture, _) = graph(
        &[1, 4, 3],
        vec![
            node("Reshape", &["x", "windows"], "a"),
            node("Add", &["a", "mask"], "b"),
            node("Reshape", &["b", "image"], "y"),
        ],
        vec![
            ints("windows", &[3], &[2, 2, 3]),
            ints("image", &[3], &[1, 4, 3]),
            floats(
                "mask",
                &[2, 2, 3],
                &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0],
            ),
        ],
    );
    resolve(&mut architecture, &Registry::standard()).unwrap();
    resolve_with_input(&mut architecture, &[2, 4, 3], &Registry::standard()).unwrap();
    let mask: Vec<f32> = (0..12).map(|place| place as f32).collect();
    let weights = [Tensor { shape: vec![2, 2, 3], data: mask.clone() }];
    let made = ours(&architecture, &weights, &[(vec![2, 4, 3], vec![0.0; 24])]).unwrap();
    assert_eq!(made, [(vec![2, 4, 3], mask.repeat(2))]);
}

#[test]
fn patches_that_lie_side_by_side_are_put_together() {
    let fold = with(node("Col2Im", &["x", "image", "patch"], "y"), "strides", [2, 1]);
    let sides = vec![ints("image", &[2], &[4, 2]), ints("patch", &[2], &[2, 1])];
    let (architecture, resolution) = graph(&[1, 4, 4], vec![fold], sides.clone());
    assert_eq!(resolution.unwrap().unsupported, []);
    let patches = (0..16).map(|place| place as f32).collect();
    let made = ours(&architecture, &[], &[(vec![1, 4, 4], patches)]).unwrap();
    // Rows of a patch lie under each other; patches are counted line by line.
    let image = [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15].map(|it| it as f32);
    assert_eq!(made, [(vec![1, 2, 4, 2], image.to_vec())]);
    // Patches that overlap are added up, which is not supported.
    let overlapping = with(node("Col2Im", &["x", "image", "patch"], "y"), "strides", [1, 1]);
    let (_, resolution) = graph(&[1, 4, 6], vec![overlapping], sides);
    assert_eq!(resolution.unwrap().unsupported.len(), 1);
}

#[test]
fn what_is_not_supported_is_named() {
    let why = |case: super::model::Case| {
        let model = Model::from_bytes("case", case.model().into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        let resolution = resolve(&mut architecture, &Registry::standard()).unwrap();
        resolution.unsupported.into_iter().map(|it| it.why).collect::<Vec<_>>().join("; ")
    };
    let x = |name, opset| op(name, opset).x([1, 4, 6, 6]);
    for (case, expected) in [
        (x("Spline", 18), "operator Spline is not supported"),
        (x("Gelu", 18), "exists from opset 20"),
        (x("Relu", 99), "newer than 23"),
        (x("Relu", 18).domain("org.example"), "domain 'org.example'"),
        (x("QuantizeLinear", 18), "quantised"),
        (x("Pad", 18).ints([0; 8]).with("mode", "spiral"), "mode 'spiral'"),
        (x("Pad", 18).ints([0, 0, -3, 0, 0, 0, -3, 0]), "pads that leave nothing"),
        (x("Pad", 18).ints([0, 0, i64::MAX, 0, 0, 0, 1, 0]), "pads that leave nothing"),
        (op("Conv", 18).x([1, 4, 2, 2, 2, 2]).w([2, 4, 1, 1, 1, 1]), "a convolution of rank 6"),
        (op("Expand", 18).x([1]).ints([1 << 20, 1 << 20]), "too large"),
        (op("Expand", 18).x([1]).ints([i64::MAX, i64::MAX]), "too large"),
        (x("Slice", 18).ints([5]).ints([2]), "empty"),
        (x("BatchNormalization", 6).w([4]).w([4]).w([4]).w([4]), "evaluation mode"),
    ] {
        let name = case.name();
        let given = std::panic::catch_unwind(|| why(case)).unwrap_or_else(|_| "panic".to_owned());
        assert!(given.contains(expected), "{name}: {given}");
    }
}

#[test]
fn malformed_nodes_are_errors_with_their_name() {
    let error = |node: NodeProto, initializers| graph(&[1, 4, 6, 6], vec![node], initializers).1;
    let weight = || vec![weights("w", &[2, 4, 3, 3])];
    let wrong = error(with(node("Conv", &["x", "w"], "y"), "group", "two"), weight()).unwrap_err();
    assert_eq!(wrong.node, "node 'make y' (Conv)");
    assert!(matches!(wrong.problem, OpError::Attribute(_)), "{wrong}");
    let (_, error) = graph(
        &[1, 4, 6, 6],
        vec![node("Conv", &["x", "w"], "y")],
        vec![weights("w", &[2, 3, 3, 3])],
    );
    assert!(error.unwrap_err().to_string().contains("does not fit 4 channels"));
}
