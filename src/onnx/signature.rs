//! What PyTorch's exporter notes about the inputs of a graph: which of them belong to the module.

use std::collections::{BTreeSet, HashSet};

use super::{
    Model, Values,
    captured::placeholders,
    encode, find,
    messages::{TensorProto, ValueInfoProto},
};

/// What a value of the module is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// Training learns it.
    Parameter,
    /// Training does not, or by statistics only; saved with the module if persistent.
    Buffer {
        /// Whether the state dict holds it.
        persistent: bool,
    },
}

/// What an input is, where the exporter (`torch.onnx.export(dynamo=True)`) says it.
pub(crate) fn belongs(input: &ValueInfoProto) -> Option<Belongs> {
    let note = |key: &str| {
        let key = format!("pkg.torch.export.graph_signature.InputSpec.{key}");
        find(&input.metadata_props, &key)
    };
    match note("kind")? {
        "PARAMETER" => Some(Belongs::Parameter),
        "BUFFER" => Some(Belongs::Buffer { persistent: note("persistent") == Some("True") }),
        "CONSTANT_TENSOR" => Some(Belongs::Buffer { persistent: false }),
        _ => None,
    }
}

/// A tensor of the state dict as it is in the file: a table of indices, a mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Name in the file and in the state dict.
    pub name: String,
    /// `TensorProto.data_type`.
    pub data_type: i32,
    /// Extents.
    pub shape: Vec<usize>,
    /// Little-endian values, row-major.
    pub bytes: Vec<u8>,
}

impl Model {
    /// Names of the values that belong to the module, where the exporter says which do.
    pub fn module_tensors(&self) -> BTreeSet<&str> {
        let inputs = self.graph().input.iter().filter(|input| belongs(input).is_some());
        let listed = placeholders(self.graph()).into_values();
        inputs.filter_map(|input| input.name.as_deref()).chain(listed).collect()
    }

    /// Initializers that PyTorch saves with the module and does not learn, with the statistics that
    /// it measures among them.
    pub fn saved_buffers(&self) -> Vec<Saved> {
        let persistent =
            |input: &&ValueInfoProto| belongs(input) == Some(Belongs::Buffer { persistent: true });
        let inputs = self.graph().input.iter().filter(persistent);
        let names: HashSet<&str> = inputs.filter_map(|input| input.name.as_deref()).collect();
        let saved = |tensor: &TensorProto| {
            let name = tensor.name.as_deref().filter(|name| names.contains(name))?;
            let data_type = tensor.data_type?;
            let (shape, values) = self.values(name, tensor).ok()?;
            let bytes = match values {
                Values::Floats(values) => encode(&values, data_type)?,
                Values::Ints(values) => {
                    let width = match data_type {
                        7 => 8,
                        6 => 4,
                        9 => 1,
                        _ => return None,
                    };
                    values
                        .iter()
                        .flat_map(|value| value.to_le_bytes().into_iter().take(width))
                        .collect()
                }
            };
            Some(Saved { name: name.to_owned(), data_type, shape, bytes })
        };
        self.graph().initializer.iter().filter_map(saved).collect()
    }
}
