//! What scores look at, for other programs to check them.

use safetensors::Dtype;

use crate::onnx::safetensors::Entry;

use super::{ScoreError, Subject};

/// The random weights of a graph by initializer, and the `images` and `labels` that it is probed with.
pub fn evidence(subject: &Subject) -> Result<Vec<Entry<'static>>, ScoreError> {
    let images = subject.images()?;
    let shape = vec![images.batch, images.channels, images.height, images.width];
    let mut entries = vec![Entry::floats("images".to_owned(), shape, images.data)];
    let labels = subject.labels()?;
    let bytes = labels.iter().flat_map(|label| i64::from(*label).to_le_bytes()).collect();
    entries.push(Entry::new("labels".to_owned(), Dtype::I64, vec![labels.len()], bytes));
    for (id, values) in subject.weights().tensors() {
        let parameter = &subject.architecture.parameters[id.0];
        let Some(shape) = parameter.shape.clone() else { continue };
        entries.push(Entry::floats(parameter.name.clone(), shape, values));
    }
    Ok(entries)
}
