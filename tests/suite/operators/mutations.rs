//! Broken operators: every case with something changed, resolved and run. Whatever comes out, it
//! is a result or an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use onnx_protobuf::{ModelProto, tensor_shape_proto::dimension, type_proto};
use protobuf::Message;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use weightsmith::ops::Registry;

use super::{
    compare::{Value, ours, read, stored},
    table::cases,
};

/// Changes of each case.
const CHANGES: u64 = 100;
/// Values larger than this are legal and would take long.
const LARGEST: usize = 1 << 20;

/// Integers that break things.
const INTS: [i64; 15] =
    [0, 1, -1, 2, -2, 3, 4, 5, 7, 100, 1 << 20, 1 << 40, i64::MAX, i64::MIN, -(1 << 33)];

/// Changes one thing.
fn change(model: &mut ModelProto, random: &mut ChaCha8Rng) {
    let int = *INTS.choose(random).unwrap();
    let small = random.random_range(1..7);
    let graph = model.graph.mut_or_insert_default();
    let node = &mut graph.node[0];
    let slots = node.input.len();
    match random.random_range(0..9) {
        0 | 1 if !node.attribute.is_empty() => {
            let at = random.random_range(0..node.attribute.len());
            let attribute = &mut node.attribute[at];
            attribute.i = int;
            attribute.f = int as f32;
            let count = attribute.ints.len();
            match random.random_range(0..3) {
                0 => attribute.ints.push(int),
                1 => drop(attribute.ints.pop()),
                _ if count > 0 => attribute.ints[random.random_range(0..count)] = int,
                _ => {}
            }
        }
        2 => drop(node.input.pop()),
        3 if slots > 0 => node.input[random.random_range(0..slots)].clear(),
        4 if slots > 0 => {
            let (a, b) = (random.random_range(0..slots), random.random_range(0..slots));
            node.input.swap(a, b);
        }
        5 if !graph.initializer.is_empty() => {
            let at = random.random_range(0..graph.initializer.len());
            let tensor = &mut graph.initializer[at];
            match random.random_range(0..3) {
                0 => tensor.dims.push(small),
                1 => drop(tensor.dims.pop()),
                _ if !tensor.dims.is_empty() => {
                    let axis = random.random_range(0..tensor.dims.len());
                    tensor.dims[axis] = random.random_range(0..7);
                }
                _ => {}
            }
            let count = tensor.dims.iter().product::<i64>() as usize;
            if tensor.data_type == 1 {
                tensor.raw_data = 0.5f32.to_le_bytes().repeat(count);
            } else {
                tensor.int64_data.resize(count, int);
            }
        }
        6 if !graph.initializer.is_empty() => {
            let at = random.random_range(0..graph.initializer.len());
            let values = &mut graph.initializer[at].int64_data;
            if let Some(value) = values.first_mut() {
                *value = int;
            }
        }
        7 if !graph.input.is_empty() => {
            let Some(type_proto::Value::TensorType(tensor)) =
                &mut graph.input[0].type_.mut_or_insert_default().value
            else {
                return;
            };
            let dims = &mut tensor.shape.mut_or_insert_default().dim;
            match random.random_range(0..3) {
                0 => drop(dims.pop()),
                1 if !dims.is_empty() => dims.push(dims[0].clone()),
                _ if !dims.is_empty() => {
                    let axis = random.random_range(0..dims.len());
                    dims[axis].value = Some(dimension::Value::DimValue(small));
                }
                _ => {}
            }
        }
        _ => model.opset_import[0].version = random.random_range(1..24),
    }
}

fn run(bytes: &[u8]) -> Result<(), String> {
    let (model, architecture) = read("case", bytes)?;
    for node in architecture.dag.node_weights() {
        let facts: Vec<_> = node.inputs.iter().map(|&it| architecture.fact(it)).collect();
        if let Ok(operator) = Registry::standard().find(node) {
            operator.features(node, &facts);
            operator.lower(node, &facts);
        }
    }
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    let facts = architecture.dag.node_weights().flat_map(|node| &node.outputs);
    if facts.filter_map(|fact| fact.shape.as_deref()).any(|shape| count(shape) > LARGEST) {
        return Ok(());
    }
    let weights = stored(&model, &architecture)?;
    let data: Vec<Value> = architecture
        .inputs
        .iter()
        .map(|input| {
            let shape = input.shape.clone().unwrap_or_default();
            let values = vec![0.5; count(&shape)];
            (shape, values)
        })
        .collect();
    ours(&architecture, &weights, &data).map(|_| ())
}

#[test]
fn changed_operators_are_results_or_errors() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut errors, mut panics) = (0, Vec::new());
    for case in cases() {
        let model = ModelProto::parse_from_bytes(&case.model()).unwrap();
        for _ in 0..CHANGES {
            let mut changed = model.clone();
            for _ in 0..random.random_range(1..3) {
                change(&mut changed, &mut random);
            }
            let bytes = changed.write_to_bytes().unwrap();
            match catch_unwind(AssertUnwindSafe(|| run(&bytes))) {
                Ok(Ok(())) => {}
                Ok(Err(_)) => errors += 1,
                Err(_) => panics.push(format!("{}: {:?}", case.name(), changed.graph.node)),
            }
        }
    }
    assert!(panics.is_empty(), "{} panics:\n{}", panics.len(), panics.join("\n"));
    assert!(errors > 1000, "only {errors} changes break anything");
}
