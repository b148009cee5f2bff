//! Networks that another one is made from.

use std::path::{Path, PathBuf};

use crate::{
    FileError,
    graph::{Architecture, ParameterId, Weights},
    merge::{MergeError, widen},
    onnx::{Model, folder::is_onnx, sha256},
};

use super::{FillError, Network, file_name, metadata::metadata_name};

/// Names under which files keep the licence of their weights.
const LICENCE: [&str; 4] = ["licence", "license", "Licence", "License"];

/// A network with weights, to be merged with others of its graph, or of a wider or deeper one.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of it.
    pub sha256: String,
    /// Licence of the weights, where the file names one.
    pub licence: Option<String>,
    /// Its weights, by the parameters of the graph that it was read for.
    pub weights: Weights,
    /// What it was before it was widened to that graph, if it is narrower or shallower.
    pub narrow: Option<Box<(Architecture, Weights)>>,
}

impl Parent {
    /// Reads an ONNX file or a state dict for a graph. Parameters of another file of the same graph are found
    /// by their names if these are the same, or else by their order. A file with fewer channels, or with fewer layers of
    /// the same names, is widened.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is of another graph or other shapes, or has values that are missing or no
    /// numbers.
    pub fn read(path: &Path, graph: &Network) -> Result<Self, FillError> {
        let file = file_name(path);
        let onnx = is_onnx(path);
        let (sha256, licence, weights, narrow) = if onnx {
            let own = Network::open(path)?;
            let (weights, narrow) = in_order_of(&file, &own, graph)?;
            (sha256(own.model.bytes()), licence(&own.model), weights, narrow)
        } else {
            let bytes = std::fs::read(path).map_err(FileError::at(path))?;
            (sha256(&bytes), None, graph.state_dict_weights(path)?, None)
        };
        for (id, values) in weights.tensors() {
            if values.iter().any(|value| !value.is_finite()) {
                let tensor = graph.names[id.0].clone();
                return Err(MergeError::NotFinite { file, tensor }.into());
            }
        }
        let narrow = narrow.map(Box::new);
        Ok(Self { path: path.to_owned(), sha256, licence, weights, narrow })
    }
}

/// The licence that a file names.
pub(super) fn licence(model: &Model) -> Option<String> {
    let own = model.metadata(&metadata_name(LICENCE[0]));
    let other = || LICENCE.iter().find_map(|name| model.metadata(name));
    own.or_else(other).map(str::to_owned)
}

/// The weights of a file by the parameters of another file's graph; if it is narrower or shallower, what it was before,
/// too.
fn in_order_of(
    file: &str,
    own: &Network,
    graph: &Network,
) -> Result<(Weights, Option<(Architecture, Weights)>), FillError> {
    let [theirs, ours] = [own, graph].map(|it| &it.architecture);
    let named = |name: &String| own.names.iter().position(|own| own == name).map(ParameterId);
    let known = own.names.iter().all(|name| graph.names.contains(name));
    let deeper = known && own.names.len() < graph.names.len();
    let same = |id: ParameterId| match known {
        true => named(&graph.names[id.0]),
        false => Some(id),
    };
    let first = || file_name(Path::new(graph.model.name()));
    let shape = |architecture: &Architecture, id: Option<ParameterId>| {
        let parameter = id.and_then(|id| architecture.parameters.get(id.0));
        parameter.and_then(|it| it.shape.clone()).unwrap_or_default()
    };
    let all = || (0..ours.parameters.len()).map(ParameterId);
    let wider = || all().any(|id| shape(theirs, same(id)) != shape(ours, Some(id)));
    if deeper || alike(theirs, ours) && wider() {
        let stored = own.stored_weights()?;
        let widened = widen((theirs, &stored), ours, &graph.registry, same);
        let widened = widened.map_err(|unfit| MergeError::OtherShape {
            file: file.to_owned(),
            tensor: graph.names[unfit.parameter.0].clone(),
            found: shape(theirs, same(unfit.parameter)).into(),
            first: first(),
            wanted: shape(ours, Some(unfit.parameter)).into(),
            why: unfit.why,
        })?;
        return Ok((widened, Some((theirs.clone(), stored))));
    }
    let [found, wanted] = [theirs, ours].map(Architecture::fingerprint);
    if found != wanted {
        let (file, first) = (file.to_owned(), first());
        return Err(MergeError::OtherGraph { file, found, first, wanted }.into());
    }
    let stored = own.stored_weights()?;
    let values = |id| stored.get(same(id)?).map(<[f32]>::to_vec);
    Ok((all().map(values).collect(), None))
}

/// Whether two graphs have the same operators in one order, and as many parameters.
fn alike(one: &Architecture, other: &Architecture) -> bool {
    let operators = |it: &Architecture| -> Vec<String> {
        it.order.iter().map(|&node| it.dag[node].op_type.clone()).collect()
    };
    one.parameters.len() == other.parameters.len() && operators(one) == operators(other)
}
