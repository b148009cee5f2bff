//! A byte-stable safetensors writer: sorted names, `{"format":"pt"}` as the only metadata, so that
//! PyTorch loaders accept the file and the same tensors give the same bytes.

use std::io::{self, Write};

use safetensors::Dtype;
use serde_json::{Map, Value, json};

/// One tensor to be stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Extents.
    pub shape: Vec<usize>,
    /// Little-endian values, row-major.
    pub data: Vec<u8>,
}

impl Entry {
    /// A tensor.
    pub fn new(name: String, dtype: Dtype, shape: Vec<usize>, data: Vec<u8>) -> Self {
        Self { name, dtype, shape, data }
    }
}

/// Writes tensors in the order of their names.
pub fn write(out: &mut dyn Write, entries: &[Entry]) -> io::Result<()> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    // serde_json's map sorts its keys; "__metadata__" sorts before lower-case names.
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut offset = 0;
    for entry in &sorted {
        let end = offset + entry.data.len();
        let value = json!({
            "dtype": serde_json::to_value(entry.dtype)?,
            "shape": entry.shape,
            "data_offsets": [offset, end],
        });
        if header.insert(entry.name.clone(), value).is_some() {
            let message = format!("two tensors are named '{}'", entry.name);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        offset = end;
    }
    let mut header = serde_json::to_vec(&Value::Object(header))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    sorted.iter().try_for_each(|entry| out.write_all(&entry.data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_reads_what_is_written() {
        let entries = [
            Entry::new(
                "b.weight".into(),
                Dtype::F32,
                vec![2],
                [1.0f32, 2.0].map(f32::to_le_bytes).concat(),
            ),
            Entry::new("a".into(), Dtype::I64, vec![], 7i64.to_le_bytes().to_vec()),
        ];
        let mut bytes = Vec::new();
        write(&mut bytes, &entries).unwrap();
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(read.tensor("b.weight").unwrap().data(), entries[0].data);
        assert_eq!(read.tensor("a").unwrap().shape(), &[0usize; 0]);
        let mut again = Vec::new();
        write(&mut again, &[entries[1].clone(), entries[0].clone()]).unwrap();
        assert_eq!(bytes, again);
    }

    #[test]
    fn duplicate_names_are_refused() {
        let entry = Entry::new("a".into(), Dtype::F32, vec![0], Vec::new());
        assert!(write(&mut Vec::new(), &[entry.clone(), entry]).is_err());
    }
}
