//! Functions of a model in place of their calls, and sequences of tensors as slices.

use onnx_protobuf::{AttributeProto, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto};
use protobuf::Message;
use weightsmith::{
    graph::{Architecture, Operand, Role},
    onnx::Model,
    ops::{Registry, resolve},
};

use super::operators::{
    compare::{difference, ours, read, stored},
    model::{attribute, floats, ints, model, node, value, with},
};

const DOMAIN: &str = "local";

fn imports() -> Vec<OperatorSetIdProto> {
    let import = |domain: &str, version| OperatorSetIdProto {
        domain: domain.to_owned(),
        version,
        ..Default::default()
    };
    vec![import("", 18), import(DOMAIN, 1)]
}

fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: Vec<NodeProto>) -> FunctionProto {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    FunctionProto {
        name: name.to_owned(),
        domain: DOMAIN.to_owned(),
        input: names(inputs),
        output: names(outputs),
        node: nodes,
        opset_import: imports(),
        ..Default::default()
    }
}

fn call(name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto { domain: DOMAIN.to_owned(), ..node(name, inputs, output) }
}

/// An attribute that stands for one of the function's.
fn refers(name: &str, to: &str, example: f32) -> AttributeProto {
    AttributeProto { ref_attr_name: to.to_owned(), f: 0.0, ..attribute(name, example) }
}

/// A graph from `x` to `y` with functions.
fn graph(nodes: Vec<NodeProto>, functions: Vec<FunctionProto>) -> Vec<u8> {
    let weights = vec![floats("w", &[3, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])];
    let (x, y) = (value("x", Some(&[2, 3])), value("y", None));
    let opsets = vec![(String::new(), 18), (DOMAIN.to_owned(), 1)];
    let bytes = model(nodes, weights, vec![x], vec![y], opsets);
    let mut model = ModelProto::parse_from_bytes(&bytes).unwrap();
    model.functions = functions;
    model.write_to_bytes().unwrap()
}

fn problem(bytes: Vec<u8>) -> String {
    let model = Model::from_bytes("functions", bytes.into()).unwrap();
    Architecture::from_model(&model).unwrap_err().to_string()
}

#[test]
fn calls_become_bodies() {
    let mut leaky = node("LeakyRelu", &["in"], "out");
    leaky.attribute.push(refers("alpha", "slope", 0.0));
    let mut activate = function("Activate", &["in"], &["out"], vec![leaky]);
    activate.attribute_proto.push(attribute("slope", 0.5));
    // The same names inside as outside, a call in the body, an optional input left out.
    let mut inner = call("Activate", &["t"], "y");
    inner.attribute.push(refers("slope", "steep", 0.0));
    let mut linear = function(
        "Linear",
        &["x", "w", "low"],
        &["y"],
        vec![node("MatMul", &["x", "w"], "s"), node("Clip", &["s", "low"], "t"), inner],
    );
    linear.attribute.push("steep".to_owned());
    let nodes = vec![
        with(call("Linear", &["x", "w"], "a"), "steep", 0.25),
        call("Linear", &["a", "w"], "y"),
    ];
    let given = graph(nodes, vec![linear, activate]);
    let spelled = graph(
        vec![
            node("MatMul", &["x", "w"], "s"),
            with(node("LeakyRelu", &["s"], "a"), "alpha", 0.25),
            node("MatMul", &["a", "w"], "t"),
            with(node("LeakyRelu", &["t"], "y"), "alpha", 0.5),
        ],
        Vec::new(),
    );
    let data = [(vec![2, 3], vec![0.5, -1.0, 2.0, -3.0, 0.25, 1.0])];
    let run = |bytes: &[u8]| {
        let (model, architecture) = read("functions", bytes).unwrap();
        let w = &architecture.parameters[0];
        assert_eq!((w.name.as_str(), w.role(), w.slots.len()), ("w", Some(Role::Weight), 2));
        ours(&architecture, &stored(&model, &architecture).unwrap(), &data).unwrap()
    };
    assert_eq!(difference(&run(&given), &run(&spelled), 1e-6), None);
}

#[test]
fn functions_may_hand_inputs_on_and_hold_constants() {
    let mut two = node("Constant", &[], "two");
    two.attribute.push(attribute("value_float", 2.0));
    let nodes = vec![two, node("Mul", &["in", "two"], "double")];
    let mut both = call("Both", &["x"], "same");
    both.output.push("twice".to_owned());
    let bytes = graph(
        vec![both, node("Add", &["same", "twice"], "z"), node("MatMul", &["z", "w"], "y")],
        vec![function("Both", &["in"], &["in", "double"], nodes)],
    );
    let (model, architecture) = read("functions", &bytes).unwrap();
    assert_eq!(architecture.parameters.len(), 1);
    let weights = stored(&model, &architecture).unwrap();
    let outputs = ours(&architecture, &weights, &[(vec![2, 3], vec![1.0; 6])]).unwrap();
    assert_eq!(outputs[0].1, [36.0, 45.0, 54.0, 36.0, 45.0, 54.0]);
}

#[test]
fn functions_without_end_are_refused() {
    let to_itself = function("F", &["in"], &["out"], vec![call("F", &["in"], "out")]);
    let recursive = problem(graph(vec![call("F", &["x"], "y")], vec![to_itself]));
    assert_eq!(recursive, "functions: function 'F': it calls itself");
    // Each calls the next one four times: 4^24 nodes.
    let mut functions: Vec<FunctionProto> = (0..24)
        .map(|level| {
            let next = format!("F{}", level + 1);
            let names = ["in", "a", "b", "c", "out"];
            let calls = names.windows(2).map(|pair| call(&next, &[pair[0]], pair[1])).collect();
            function(&format!("F{level}"), &["in"], &["out"], calls)
        })
        .collect();
    functions.push(function("F24", &["in"], &["out"], vec![node("Relu", &["in"], "out")]));
    let large = problem(graph(vec![call("F0", &["x"], "y")], functions));
    assert!(large.ends_with("the calls of functions make too many nodes"), "{large}");
    let many = problem(graph(
        vec![call("G", &["x", "x"], "y")],
        vec![function("G", &["in"], &["out"], vec![node("Relu", &["in"], "out")])],
    ));
    assert!(many.contains("called with more values"), "{many}");
}

#[test]
fn pieces_of_sequences_are_slices() {
    let bytes = |split| {
        let (x, y) = (value("x", Some(&[2, 5])), value("y", None));
        let at = |index: i64| ints(&format!("at{index}"), &[], &[index]);
        let nodes = vec![
            with(node("SplitToSequence", &["x", "split"], "parts"), "axis", -1),
            node("SequenceAt", &["parts", "at1"], "b"),
            node("SequenceAt", &["parts", "at0"], "a"),
            with(node("Concat", &["b", "a"], "y"), "axis", 1),
        ];
        let opsets = vec![(String::new(), 18)];
        model(nodes, vec![split, at(0), at(1)], vec![x], vec![y], opsets)
    };
    let data = [(vec![2, 5], (0..10u8).map(f32::from).collect())];
    for (split, expected) in [
        (ints("split", &[2], &[3, 2]), vec![3.0, 4.0, 0.0, 1.0, 2.0, 8.0, 9.0, 5.0, 6.0, 7.0]),
        (ints("split", &[], &[2]), vec![2.0, 3.0, 0.0, 1.0, 7.0, 8.0, 5.0, 6.0]),
    ] {
        let (_, architecture) = read("sequence", &bytes(split)).unwrap();
        assert_eq!(ours(&architecture, &[], &data).unwrap()[0].1, expected);
    }
    // A piece counted from the end of an unknown number of them.
    let unknown = bytes(ints("split", &[], &[0]));
    assert!(read("sequence", &unknown).unwrap_err().contains("SplitToSequence is not supported"));
}

#[test]
fn tables_meet_the_data_where_they_are_used() {
    let (x, y) = (value("x", Some(&[2, 3])), value("y", None));
    let nodes = vec![
        node("Gather", &["table", "index"], "bias"),
        node("Add", &["x", "bias"], "s"),
        node("Exp", &["log.scale"], "scale"),
        node("Mul", &["s", "scale"], "y"),
    ];
    let table = floats("table", &[4, 1], &[1.0, 2.0, 3.0, 4.0]);
    let weights = vec![table, ints("index", &[2], &[3, 0])];
    let scale = value("log.scale", Some(&[1, 3]));
    let mut bytes = model(nodes, weights, vec![x, scale], vec![y], vec![(String::new(), 18)]);
    // PyTorch's exporter says which inputs are weights.
    let mut proto = ModelProto::parse_from_bytes(&bytes).unwrap();
    let kind = onnx_protobuf::StringStringEntryProto {
        key: "pkg.torch.export.graph_signature.InputSpec.kind".to_owned(),
        value: "PARAMETER".to_owned(),
        ..Default::default()
    };
    proto.graph.mut_or_insert_default().input[1].metadata_props.push(kind);
    bytes = proto.write_to_bytes().unwrap();
    let model = Model::from_bytes("tables", bytes.into()).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    assert!(resolve(&mut architecture, &Registry::standard()).unwrap().unsupported.is_empty());
    assert_eq!(architecture.inputs.len(), 1);
    for parameter in &architecture.parameters {
        let slot = &parameter.slots[0];
        let reader = &architecture.dag[slot.node];
        let expected = match parameter.name.as_str() {
            "table" => (Role::Free, "Add", 1),
            _ => (Role::Gain, "Mul", 1),
        };
        assert_eq!((slot.role, reader.op_type.as_str(), slot.input), expected);
        assert!(matches!(reader.inputs[0], Operand::Input(_) | Operand::Node { .. }));
    }
}
