//! A low-rank adapter in an ONNX file as tensors of its own: nodes add the difference to weights that stay.

use std::borrow::Cow;

use crate::{
    condition::{Adapter, LowRank},
    onnx::splice::{Changes, Fill, FrontNode},
};

use super::Network;

/// What is added to the file of the network that an adapter was trained for.
pub(super) struct AdapterNodes<'a> {
    parts: Vec<Part<'a>>,
    scaling: [f32; 1],
}

/// The difference of one weight.
struct Part<'a> {
    difference: &'a LowRank,
    /// The weight without it.
    base: &'a [f32],
    /// Name and `TensorProto.data_type` of the weight.
    weight: &'a str,
    data_type: i32,
    /// Whether it is a kernel, and products take its shape.
    is_kernel: bool,
    /// Extents of A and B.
    shapes: [[usize; 2]; 2],
    /// Inputs of nodes that read the weight.
    readers: Vec<[usize; 2]>,
    names: Names,
}

/// What the values are called, after the weight.
struct Names {
    a: String,
    b: String,
    scaling: String,
    product: String,
    scaled: String,
    shape: String,
    shaped: String,
    sum: String,
}

impl Names {
    fn of(weight: &str) -> Self {
        let [a, b, scaling, product, scaled, shape, shaped, sum] = [
            "lora_A",
            "lora_B",
            "lora_scaling",
            "lora_product",
            "lora_scaled",
            "lora_shape",
            "lora_shaped",
            "lora_sum",
        ]
        .map(|name| format!("{weight}.{name}"));
        Self { a, b, scaling, product, scaled, shape, shaped, sum }
    }
}

impl<'a> AdapterNodes<'a> {
    /// Of all weights that the file stores as they are and that no graph inside of a node reads; differences of others
    /// stay merged.
    pub fn of(network: &'a Network, adapter: &'a Adapter) -> Self {
        let part = |difference: &'a LowRank| {
            let parameter = &network.architecture.parameters[difference.parameter.0];
            let own = network.architecture.storage_of(difference.parameter).is_none();
            let weight = parameter.name.as_str();
            let LowRank { rows, columns, .. } = *difference;
            let readers = network.model.readers(weight);
            (own && !readers.is_empty()).then(|| Part {
                difference,
                base: adapter.base(difference),
                weight,
                data_type: parameter.dtype.to_onnx(),
                is_kernel: parameter.shape.as_ref().is_some_and(|shape| shape.len() > 2),
                shapes: [[adapter.rank(), columns], [rows, adapter.rank()]],
                readers,
                names: Names::of(weight),
            })
        };
        let nested = network.model.holder_of_a_graph().is_some();
        let parts = if nested { &[] } else { adapter.parts() };
        let parts = parts.iter().filter_map(part).collect();
        Self { parts, scaling: [adapter.scaling()] }
    }

    /// Puts it into the file whose weights hold the differences.
    pub fn add_to<'b>(&'b self, changes: &mut Changes<'b>) {
        for part in &self.parts {
            let Part { difference, weight, data_type, names, .. } = part;
            if let Some(fill) = changes.fills.iter_mut().find(|fill| fill.name == *weight) {
                fill.values = Cow::Borrowed(part.base);
            }
            let [of_a, of_b] = &part.shapes;
            let tensors: [(&str, &[usize], &[f32]); 3] = [
                (&names.a, of_a, &difference.a),
                (&names.b, of_b, &difference.b),
                (&names.scaling, &[], &self.scaling),
            ];
            changes.fills.extend(tensors.map(|(name, shape, values)| Fill {
                name,
                data_type: *data_type,
                shape,
                values: Cow::Borrowed(values),
            }));
            let mut node = |op_type, inputs: &[&'b str], output: &'b str| {
                changes.front.push(FrontNode { op_type, inputs: inputs.to_vec(), output });
                output
            };
            let product = node("MatMul", &[&names.b, &names.a], &names.product);
            let mut summand = node("Mul", &[product, &names.scaling], &names.scaled);
            if part.is_kernel {
                let shape = node("Shape", &[weight], &names.shape);
                summand = node("Reshape", &[summand, shape], &names.shaped);
            }
            node("Add", &[weight, summand], &names.sum);
            changes.inputs.extend(part.readers.iter().map(|&reader| (reader, names.sum.as_str())));
        }
    }
}
