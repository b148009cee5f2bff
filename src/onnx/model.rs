//! A model file in memory.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use super::{
    OnnxError, external,
    messages::{ModelProto, TensorProto},
    tensor::{Values, decode},
    wire,
};

/// Files larger than a protobuf message can be are refused.
const LARGEST: u64 = 2 << 30;

/// A model: its original bytes and what they say. Tensor data is shared with the bytes, not copied.
#[derive(Clone, Debug)]
pub struct Model {
    name: String,
    folder: Option<PathBuf>,
    bytes: Bytes,
    proto: ModelProto,
}

impl Model {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, OnnxError> {
        let io = |source| OnnxError::Io { path: path.to_owned(), source };
        let name = path.display().to_string();
        let refuse =
            |problem: &str| OnnxError::NotOnnx { file: name.clone(), problem: problem.to_owned() };
        let metadata = std::fs::metadata(path).map_err(io)?;
        if !metadata.is_file() {
            return Err(refuse("not a regular file"));
        }
        if metadata.len() > LARGEST {
            return Err(refuse("larger than 2 GiB; keep weights in external data"));
        }
        let bytes = Bytes::from(std::fs::read(path).map_err(io)?);
        let mut model = Self::from_bytes(&name, bytes)?;
        model.folder = Some(path.parent().unwrap_or(Path::new(".")).to_owned());
        Ok(model)
    }

    /// Reads a model from memory. `name` is for errors; external data cannot be followed.
    pub fn from_bytes(name: &str, bytes: Bytes) -> Result<Self, OnnxError> {
        let refuse = |problem: String| OnnxError::NotOnnx { file: name.to_owned(), problem };
        if bytes.is_empty() {
            return Err(refuse("the file is empty".to_owned()));
        }
        wire::check(name, &bytes)?;
        let proto = ModelProto::decode(bytes.clone()).map_err(|error| refuse(error.to_string()))?;
        if proto.graph.is_none() {
            return Err(refuse("field 'graph' is missing".to_owned()));
        }
        Ok(Self { name: name.to_owned(), folder: None, bytes, proto })
    }

    /// The path, or the name it was given.
    pub fn name(&self) -> &str {
        &self.name
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
        let imports = self.proto.opset_import.iter();
        imports
            .map(|import| {
                let domain = import.domain.clone().unwrap_or_default();
                let domain = if domain == "ai.onnx" { String::new() } else { domain };
                (domain, import.version.unwrap_or(1))
            })
            .collect()
    }

    /// A metadata entry of the node at a position.
    pub fn node_metadata(&self, position: usize, key: &str) -> Option<&str> {
        let node = self.proto.graph.as_ref()?.node.get(position)?;
        let mut entries = node.metadata_props.iter();
        entries.find(|entry| entry.key.as_deref() == Some(key))?.value.as_deref()
    }

    /// A metadata entry of the model.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let mut entries = self.proto.metadata_props.iter();
        entries.find(|entry| entry.key.as_deref() == Some(key))?.value.as_deref()
    }

    pub(crate) fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The values of a tensor, wherever they are stored.
    pub(crate) fn values(&self, tensor: &TensorProto) -> Result<Values, OnnxError> {
        let name = tensor.name.clone().unwrap_or_default();
        let refuse = |problem: String| OnnxError::Tensor {
            file: self.name.clone(),
            tensor: name.clone(),
            problem,
        };
        let external = match tensor.data_location {
            Some(1) => {
                let folder = self.folder.as_deref().ok_or_else(|| {
                    refuse(
                        "its data is in another file, which a model in memory cannot reach"
                            .to_owned(),
                    )
                })?;
                Some(external::read(folder, tensor).map_err(refuse)?)
            }
            _ => None,
        };
        decode(tensor, external.as_ref()).map_err(refuse)
    }
}
