//! What PyTorch's exporter notes about the inputs of a graph: which of them belong to the module.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    Model, Values,
    captured::placeholders,
    encode, find,
    messages::{TensorProto, ValueInfoProto},
    names::is_made_up,
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

    /// Initializers that PyTorch saves with the module without learning them, and statistics that it
    /// measures, apart from those that are `known` by their names. TorchScript takes its initializers from
    /// the state dict, and writes one that equals another as an `Identity` of that.
    pub fn saved_buffers(&self, known: impl Fn(&str) -> bool) -> Vec<Saved> {
        let persistent =
            |input: &&ValueInfoProto| belongs(input) == Some(Belongs::Buffer { persistent: true });
        let inputs = self.graph().input.iter().filter(persistent);
        let said: HashSet<&str> = inputs.filter_map(|input| input.name.as_deref()).collect();
        let script = self.is_torchscript();
        let saves = |name: &str| said.contains(name) || (script && !is_made_up(name));
        let mut buffers: HashMap<&str, &TensorProto> = HashMap::new();
        let mut names = Vec::new();
        for tensor in &self.graph().initializer {
            if let Some(name) = tensor.name.as_deref().filter(|name| !known(name)) {
                buffers.insert(name, tensor);
                names.push(name);
            }
        }
        for node in &self.graph().node {
            if node.op_type.as_deref() == Some("Identity")
                && let (Some(of), Some(name)) = (node.input.first(), node.output.first())
                && let Some(&tensor) = buffers.get(of.as_str()).filter(|_| !known(name))
            {
                buffers.insert(name, tensor);
                names.push(name);
            }
        }
        let saved = names.into_iter().filter(|name| saves(name));
        saved.filter_map(|name| self.saved(name, buffers[name])).collect()
    }

    fn saved(&self, name: &str, tensor: &TensorProto) -> Option<Saved> {
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
                let bytes = |value: &i64| value.to_le_bytes().into_iter().take(width);
                values.iter().flat_map(bytes).collect()
            }
        };
        Some(Saved { name: name.to_owned(), data_type, shape, bytes })
    }
}
