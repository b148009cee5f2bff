//! Which columns of a table hold images and labels, and what its classes are called.

use parquet2::{metadata::FileMetaData, schema::types::PhysicalType};
use serde_json::Value;

/// Names of columns of images, those preferred first.
const IMAGES: [&str; 6] = ["image", "img", "images", "picture", "jpg", "png"];
/// Names of columns of labels, those preferred first.
const LABELS: [&str; 7] =
    ["label", "labels", "fine_label", "target", "class", "category", "coarse_label"];

/// The columns of a table that matter.
#[derive(Debug, PartialEq)]
pub struct Columns {
    /// Index of the column of encoded images.
    pub images: usize,
    /// Index of the column of labels.
    pub labels: usize,
    /// Class names, in label order, if the file has them.
    pub classes: Option<Vec<String>>,
}

/// A column of plain values.
struct Leaf {
    index: usize,
    /// Name of the column that it is, or is a part of.
    name: String,
    kind: PhysicalType,
    /// Name of the part, for a column of records.
    part: Option<String>,
}

impl Columns {
    /// Finds the columns by the metadata that the Hugging Face Hub writes, or else by their names
    /// and types.
    pub fn of(metadata: &FileMetaData) -> Result<Self, String> {
        let leaves = leaves(metadata);
        let features = features(metadata);
        let is = |leaf: &Leaf, kind: &str| features[&leaf.name]["_type"] == *kind;
        let images =
            leaves.iter().filter(|leaf| leaf.kind == PhysicalType::ByteArray).filter(|leaf| {
                match leaf.part.as_deref() {
                    Some(part) => part == "bytes",
                    None => is(leaf, "Image") || IMAGES.contains(&leaf.name.as_str()),
                }
            });
        let images = images.min_by_key(|leaf| (!is(leaf, "Image"), place(&IMAGES, &leaf.name)));
        let labels = leaves
            .iter()
            .filter(|leaf| leaf.part.is_none())
            .filter(|leaf| is(leaf, "ClassLabel") || LABELS.contains(&leaf.name.as_str()));
        let labels = labels.min_by_key(|leaf| place(&LABELS, &leaf.name));
        let (Some(images), Some(labels)) = (images, labels) else {
            let missing = if images.is_none() {
                "no column of images (image or img, with the bytes of image files)"
            } else {
                "no column of labels (label, labels or fine_label, of integers or text)"
            };
            let mut names: Vec<String> = leaves.into_iter().map(|leaf| leaf.name).collect();
            names.dedup();
            return Err(format!("{missing}; its columns are {}", names.join(", ")));
        };
        let classes = features[&labels.name]["names"]
            .as_array()
            .map(|names| names.iter().filter_map(|name| name.as_str().map(Into::into)).collect());
        Ok(Self { images: images.index, labels: labels.index, classes })
    }
}

/// The columns of values that do not repeat.
fn leaves(metadata: &FileMetaData) -> Vec<Leaf> {
    let columns = metadata.schema().columns().iter().enumerate();
    columns
        .filter(|(_, column)| column.descriptor.max_rep_level == 0)
        .filter_map(|(index, column)| {
            let kind = column.descriptor.primitive_type.physical_type;
            match column.path_in_schema.as_slice() {
                [name] => Some(Leaf { index, name: name.clone(), kind, part: None }),
                [name, part] => {
                    Some(Leaf { index, name: name.clone(), kind, part: Some(part.clone()) })
                }
                _ => None,
            }
        })
        .collect()
}

/// What the library `datasets` says about columns; null if it wrote nothing.
fn features(metadata: &FileMetaData) -> Value {
    let entries = metadata.key_value_metadata().iter().flatten();
    let entry = entries.filter(|entry| entry.key == "huggingface").find_map(|e| e.value.as_deref());
    let parsed = entry.and_then(|text| serde_json::from_str::<Value>(text).ok());
    parsed.map(|mut value| value["info"]["features"].take()).unwrap_or_default()
}

/// Position of a name in a list, its end if it is not there.
fn place(names: &[&str], name: &str) -> usize {
    names.iter().position(|one| *one == name).unwrap_or(names.len())
}
