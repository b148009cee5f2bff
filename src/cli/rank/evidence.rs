//! What scores looked at, for other programs to check them.

use std::path::Path;

use safetensors::Dtype;

use crate::{
    cli::{Failure, network::stem},
    fill::Network,
    onnx::{
        atomic,
        safetensors::{self as st, Entry},
    },
    rank::{Probe, Subject},
};

/// Writes `<folder>/<stem of the graph>.safetensors`.
pub(super) fn write(folder: &Path, network: &Network, probe: &Probe) -> Result<(), Failure> {
    let subject = Subject::new(&network.architecture, &network.registry, probe);
    let images = subject.images()?;
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let shape = vec![images.batch, images.channels, images.height, images.width];
    let mut entries = vec![Entry::new("images".to_owned(), Dtype::F32, shape, floats(images.data))];
    let labels = subject.labels()?;
    let bytes = labels.iter().flat_map(|label| i64::from(*label).to_le_bytes()).collect();
    entries.push(Entry::new("labels".to_owned(), Dtype::I64, vec![labels.len()], bytes));
    for (id, values) in subject.weights.tensors() {
        let parameter = &subject.architecture.parameters[id.0];
        let Some(shape) = parameter.shape.clone() else { continue };
        entries.push(Entry::new(parameter.name.clone(), Dtype::F32, shape, floats(values)));
    }
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let file = folder.join(format!("{}.safetensors", stem(Path::new(network.model.name()))));
    atomic::write(&file, |out| st::write(out, &entries))
        .map_err(|error| format!("{}: {error}", file.display()).into())
}
