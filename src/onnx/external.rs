//! Tensor data beside the model file (ONNX *External Data*). A location is a relative path that
//! stays inside the model's folder; anything else is refused.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Component, Path},
};

use bytes::Bytes;

use super::{
    messages::TensorProto,
    tensor::{element_size, shape},
};

/// Reads the bytes of a tensor, as many as its shape and type ask for.
pub fn read(folder: &Path, tensor: &TensorProto) -> Result<Bytes, String> {
    let entry = |key: &str| {
        let entries = tensor.external_data.iter();
        entries
            .filter(|entry| entry.key.as_deref() == Some(key))
            .find_map(|entry| entry.value.as_deref())
    };
    let number = |key: &str| {
        entry(key)
            .map(|text| {
                text.parse::<u64>().map_err(|_| format!("external {key} '{text}' is not a number"))
            })
            .transpose()
    };
    let location = entry("location").ok_or("its external data has no location")?;
    let relative = Path::new(location);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if location.is_empty() || location.contains(['\0', '\\']) || !plain {
        return Err(format!("external location '{location}' leaves the model's folder"));
    }
    let count: usize = shape(tensor)?.iter().product();
    let size = element_size(tensor.data_type.unwrap_or(0)).ok_or("its type is not supported")?;
    let expected = (count * size) as u64;
    let length = number("length")?.unwrap_or(expected);
    if length != expected {
        return Err(format!("external length {length} is not the {expected} bytes of its shape"));
    }
    let offset = number("offset")?.unwrap_or(0);
    let path = folder.join(relative);
    let in_file =
        |problem: &dyn std::fmt::Display| format!("external data '{location}': {problem}");
    let resolved = path.canonicalize().map_err(|error| in_file(&error))?;
    let root = folder_of(folder).map_err(|error| in_file(&error))?;
    if !resolved.starts_with(&root) {
        return Err(format!(
            "external location '{location}' is a link that leaves the model's folder"
        ));
    }
    let mut file = File::open(&resolved).map_err(|error| in_file(&error))?;
    let metadata = file.metadata().map_err(|error| in_file(&error))?;
    let end = offset.checked_add(length);
    if !metadata.is_file() || end.is_none_or(|end| end > metadata.len()) {
        let held = metadata.len();
        return Err(in_file(&format!(
            "offset {offset} + length {length} exceeds its {held} bytes"
        )));
    }
    let mut data = vec![0; count * size];
    file.seek(SeekFrom::Start(offset)).map_err(|error| in_file(&error))?;
    file.read_exact(&mut data).map_err(|error| in_file(&error))?;
    Ok(Bytes::from(data))
}

fn folder_of(folder: &Path) -> std::io::Result<std::path::PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.canonicalize()
}
