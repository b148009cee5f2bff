//! A model file in memory.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use prost::Message;

use crate::FileError;

use super::{
    OnnxError,
    check::check,
    external::{Located, locate},
    messages::{
        AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
        StringStringEntryProto, TensorProto,
    },
    tensor::{Values, check_values, decode, is_uniform},
};

/// Files larger than a protobuf message can be are refused.
const LARGEST: u64 = 2 << 30;
/// `TensorProto.DataLocation.EXTERNAL`
const EXTERNAL: i32 = 1;

/// A model: its original bytes and what they say. Tensor data is shared with the bytes, not copied.
#[derive(Clone, Debug)]
pub struct Model {
    name: String,
    path: Option<PathBuf>,
    bytes: Bytes,
    graph: GraphProto,
    /// The model without its graph.
    proto: ModelProto,
}

impl Model {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, OnnxError> {
        let name = path.display().to_string();
        let refuse =
            |problem: &str| OnnxError::NotOnnx { file: name.clone(), problem: problem.to_owned() };
        let metadata = std::fs::metadata(path).map_err(FileError::at(path))?;
        if metadata.is_dir() {
            return Err(refuse("it is a directory"));
        }
        if !metadata.is_file() {
            return Err(refuse("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        if metadata.len() <= LARGEST {
            bytes.reserve_exact(metadata.len() as usize + 1);
            let file = File::open(path).map_err(FileError::at(path))?;
            file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(FileError::at(path))?;
        }
        if metadata.len().max(bytes.len() as u64) > LARGEST {
            return Err(refuse("it is larger than 2 GiB; keep weights in external data"));
        }
        let mut model = Self::from_bytes(&name, bytes.into())?;
        model.path = Some(path.to_owned());
        Ok(model)
    }

    /// Reads a model from memory. `name` is for errors; external data cannot be followed.
    pub fn from_bytes(name: &str, bytes: Bytes) -> Result<Self, OnnxError> {
        let refuse = |problem: String| OnnxError::NotOnnx { file: name.to_owned(), problem };
        if bytes.is_empty() {
            return Err(refuse("it is empty".to_owned()));
        }
        check(name, &bytes)?;
        let mut proto =
            ModelProto::decode(bytes.clone()).map_err(|error| refuse(error.to_string()))?;
        let graph =
            proto.graph.take().ok_or_else(|| refuse("field 'graph' is missing".to_owned()))?;
        Ok(Self { name: name.to_owned(), path: None, bytes, graph, proto })
    }

    /// The path, or the name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file it was read from, if any.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The original bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// IR version, 0 if absent.
    pub fn ir_version(&self) -> i64 {
        self.proto.ir_version.unwrap_or(0)
    }

    /// Producer and its version.
    pub fn producer(&self) -> String {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        format!("{} {}", part(&self.proto.producer_name), part(&self.proto.producer_version))
            .trim()
            .to_owned()
    }

    /// Imported opsets by domain; the default domain is the empty string.
    pub fn opsets(&self) -> Vec<(String, i64)> {
        opsets(&self.proto.opset_import)
    }

    pub(crate) fn functions(&self) -> &[FunctionProto] {
        &self.proto.functions
    }

    /// A metadata entry of the node at a position.
    pub fn node_metadata(&self, position: usize, key: &str) -> Option<&str> {
        find(&self.graph.node.get(position)?.metadata_props, key)
    }

    /// Whether TorchScript wrote it, which calls nodes by paths of modules.
    pub fn is_torchscript(&self) -> bool {
        let nodes = self.graph.node.iter().filter_map(|node| node.name.as_deref());
        self.producer().starts_with("pytorch")
            && nodes.into_iter().any(|name| name.starts_with('/'))
    }

    /// A metadata entry of the model.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        find(&self.proto.metadata_props, key)
    }

    /// Inputs of nodes that read a value, by position and slot.
    pub(crate) fn readers(&self, value: &str) -> Vec<[usize; 2]> {
        let reads = |(position, node): (usize, &NodeProto)| {
            let slots = node.input.iter().enumerate().filter(|(_, name)| *name == value);
            slots.map(|(slot, _)| [position, slot]).collect::<Vec<_>>()
        };
        self.graph().node.iter().enumerate().flat_map(reads).collect()
    }

    /// The first node that holds a graph of its own, which may read values of this one, and its position.
    pub(crate) fn holder_of_a_graph(&self) -> Option<(usize, &NodeProto)> {
        let holds =
            |attribute: &AttributeProto| attribute.g.is_some() || !attribute.graphs.is_empty();
        self.graph().node.iter().enumerate().find(|(_, node)| node.attribute.iter().any(holds))
    }

    pub(crate) fn graph(&self) -> &GraphProto {
        &self.graph
    }

    /// Shape and values of a tensor, wherever they are stored. `name` is for errors.
    pub(crate) fn values(
        &self,
        name: &str,
        tensor: &TensorProto,
    ) -> Result<(Vec<usize>, Values), OnnxError> {
        let refuse = |problem| self.refuse(name, problem);
        let external = match self.external(name, tensor)? {
            Some(located) => Some(located.read().map_err(|error| refuse(error.to_string()))?),
            None => None,
        };
        decode(tensor, external.as_ref()).map_err(refuse)
    }

    /// Whether a tensor holds one float, over and over.
    pub(crate) fn is_uniform(&self, name: &str, tensor: &TensorProto) -> Result<bool, OnnxError> {
        if tensor.data_location != Some(EXTERNAL) {
            return Ok(is_uniform(tensor));
        }
        let (_, values) = self.values(name, tensor)?;
        Ok(match values {
            Values::Floats(values) => values.iter().all(|value| Some(value) == values.first()),
            Values::Ints(_) => false,
        })
    }

    /// Checks that a tensor holds as many values as its shape asks for, without decoding them.
    pub(crate) fn check_values(&self, name: &str, tensor: &TensorProto) -> Result<(), OnnxError> {
        match self.external(name, tensor)? {
            Some(_) => Ok(()),
            None => check_values(tensor).map_err(|problem| self.refuse(name, problem)),
        }
    }

    /// Where the data of a tensor is, if it is in another file; all of it is there.
    fn external(&self, name: &str, tensor: &TensorProto) -> Result<Option<Located>, OnnxError> {
        if tensor.data_location != Some(EXTERNAL) {
            return Ok(None);
        }
        let data_type = tensor.data_type.unwrap_or(0);
        self.locate(name, &tensor.external_data, &tensor.dims, data_type).map(Some)
    }

    /// Finds data in another file by what a tensor says about it.
    pub(super) fn locate(
        &self,
        tensor: &str,
        entries: &[StringStringEntryProto],
        dims: &[i64],
        data_type: i32,
    ) -> Result<Located, OnnxError> {
        let Some(path) = &self.path else {
            let problem = "its data is in another file, which a model in memory cannot reach";
            return Err(self.refuse(tensor, problem.to_owned()));
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        locate(folder, entries, dims, data_type).map_err(|problem| self.refuse(tensor, problem))
    }

    /// The first tensor, other than an initializer of the graph itself, whose data is in another
    /// file.
    pub(super) fn inner_external(&self) -> Option<&TensorProto> {
        self.graph.node.iter().flat_map(|node| &node.attribute).find_map(external_in)
    }

    pub(super) fn refuse(&self, tensor: &str, problem: String) -> OnnxError {
        OnnxError::Tensor { file: self.name.clone(), tensor: tensor.to_owned(), problem }
    }
}

/// Versions by domain; the default domain is the empty string.
pub(crate) fn opsets(imports: &[OperatorSetIdProto]) -> Vec<(String, i64)> {
    let import = |import: &OperatorSetIdProto| {
        let domain = import.domain.clone().unwrap_or_default();
        let domain = if domain == "ai.onnx" { String::new() } else { domain };
        (domain, import.version.unwrap_or(1))
    };
    imports.iter().map(import).collect()
}

/// The value of a metadata entry.
pub(crate) fn find<'a>(entries: &'a [StringStringEntryProto], key: &str) -> Option<&'a str> {
    entries.iter().find(|entry| entry.key.as_deref() == Some(key))?.value.as_deref()
}

/// The depth of graphs in attributes is bounded by [`check`].
fn external_in(attribute: &AttributeProto) -> Option<&TensorProto> {
    let inner = attribute.g.as_deref().into_iter().chain(&attribute.graphs).flat_map(|graph| {
        let nested = graph.node.iter().flat_map(|node| &node.attribute).filter_map(external_in);
        graph.initializer.iter().filter(is_external).chain(nested).collect::<Vec<_>>()
    });
    attribute.t.iter().filter(is_external).chain(inner).next()
}

fn is_external(tensor: &&TensorProto) -> bool {
    tensor.data_location == Some(EXTERNAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let problem = |path: &Path| Model::open(path).unwrap_err().to_string();
        assert!(problem(folder.path()).ends_with("it is a directory"));
        let missing = folder.path().join("missing.onnx");
        assert!(problem(&missing).contains("missing.onnx: No such file"));
        let empty = folder.path().join("empty.onnx");
        std::fs::write(&empty, []).unwrap();
        assert!(problem(&empty).ends_with("empty.onnx: not an ONNX model: it is empty"));
        let huge = folder.path().join("huge.onnx");
        File::create(&huge).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(problem(&huge).contains("larger than 2 GiB"));
        let version_only = Model::from_bytes("v", Bytes::from_static(&[8, 7]));
        assert!(version_only.unwrap_err().to_string().contains("'graph' is missing"));
    }

    #[test]
    fn fields_of_wrong_type_are_named() {
        // graph.node[0].op_type as a number, ir_version as a string.
        let number = Model::from_bytes("n", Bytes::from_static(&[0x3a, 4, 0x0a, 2, 0x20, 1]));
        let problem = number.unwrap_err().to_string();
        assert!(problem.contains("op_type") && problem.lines().count() == 1, "{problem}");
        let text = Model::from_bytes("t", Bytes::from_static(&[0x0a, 1, b'x']));
        assert!(text.unwrap_err().to_string().contains("ir_version"));
    }
}
