//! What scores look at, for other programs to check them.

use safetensors::Dtype;

use crate::onnx::safetensors::Entry;

use super::{ScoreError, Subject};

/// The random weights of a graph by initializer, and the `images` and `labels` that it is probed with.
pub fn evidence(subject: &Subject) -> Result<Vec<Entry<'static>>, ScoreError> {
    let images = subject.images()?;
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let shape = vec![images.batch, images.channels, images.height, images.width];
    let mut entries = vec![Entry::new("images".to_owned(), Dtype::F32, shape, floats(images.data))];
    let labels = subject.labels()?;
    let bytes = labels.iter().flat_map(|label| i64::from(*label).to_le_bytes()).collect();
    entries.push(Entry::new("labels".to_owned(), Dtype::I64, vec![labels.len()], bytes));
    for (id, values) in subject.weights().tensors() {
        let parameter = &subject.architecture.parameters[id.0];
        let Some(shape) = parameter.shape.clone() else { continue };
        entries.push(Entry::new(parameter.name.clone(), Dtype::F32, shape, floats(values)));
    }
    Ok(entries)
}
