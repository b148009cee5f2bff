//! A byte-stable safetensors writer: sorted names, `"format": "pt"` in the metadata, so that PyTorch loaders
//! accept the file and the same tensors give the same bytes.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::BTreeMap,
    fmt,
    io::{self, Write},
};

use safetensors::Dtype;
use serde::Serialize;

/// One tensor to be stored.
pub struct Entry<'a> {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Data<'a>,
}

enum Data<'a> {
    Bytes(Vec<u8>),
    Later(Box<dyn Fn() -> io::Result<Vec<u8>> + 'a>),
}

impl<'a> Entry<'a> {
    /// A tensor of little-endian values, row-major.
    pub fn new(name: String, dtype: Dtype, shape: Vec<usize>, data: Vec<u8>) -> Self {
        Self { name, dtype, shape, data: Data::Bytes(data) }
    }

    /// A vector.
    pub fn vector(name: String, values: &[f32]) -> Self {
        Self::floats(name, vec![values.len()], values)
    }

    /// A tensor of single precision, row-major.
    pub fn floats(name: String, shape: Vec<usize>, values: &[f32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(name, Dtype::F32, shape, data)
    }

    /// A tensor whose values are made when its turn to be written comes.
    pub fn later(
        name: String,
        dtype: Dtype,
        shape: Vec<usize>,
        data: impl Fn() -> io::Result<Vec<u8>> + 'a,
    ) -> Self {
        Self { name, dtype, shape, data: Data::Later(Box::new(data)) }
    }

    /// The same tensor by another name.
    pub fn renamed(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Name in the state dict.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Type of its values.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Extents.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its values, little-endian and row-major.
    pub fn bytes(&self) -> io::Result<Cow<'_, [u8]>> {
        Ok(match &self.data {
            Data::Bytes(data) => Cow::Borrowed(data.as_slice()),
            Data::Later(make) => Cow::Owned(make()?),
        })
    }

    fn length(&self) -> Option<usize> {
        let count = self.shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n))?;
        count.checked_mul(self.dtype.bitsize())?.checked_div(8)
    }

    fn write(&self, length: usize, out: &mut dyn Write) -> io::Result<()> {
        let data = self.bytes()?;
        match data.len() == length {
            true => out.write_all(&data),
            false => Err(self.invalid(&format!("has {} bytes, not {length}", data.len()))),
        }
    }

    fn invalid(&self, problem: &str) -> io::Error {
        let message = format!("tensor '{}' {problem}", self.name);
        io::Error::new(io::ErrorKind::InvalidInput, message)
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.name, self.dtype, self.shape)
    }
}

/// One line of the header, in the order of its keys.
#[derive(Serialize)]
struct Line<'a> {
    data_offsets: [usize; 2],
    dtype: Dtype,
    shape: &'a [usize],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Header<'a> {
    Metadata(BTreeMap<&'a str, &'a str>),
    Tensor(Line<'a>),
}

/// Writes tensors, the widest types first so that all values are aligned, then by name. The header
/// is sorted by name.
pub fn write(out: &mut dyn Write, entries: &[Entry]) -> io::Result<()> {
    write_with(out, entries, &[])
}

/// As [`write()`], with further names and values in the metadata.
pub fn write_with(
    out: &mut dyn Write,
    entries: &[Entry],
    metadata: &[(String, String)],
) -> io::Result<()> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|entry| (Reverse(entry.dtype.bitsize()), &entry.name));
    let mut header = BTreeMap::new();
    let mut all = BTreeMap::from([("format", "pt")]);
    all.extend(metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    header.insert("__metadata__", Header::Metadata(all));
    let mut offset = 0usize;
    let mut lengths = Vec::with_capacity(sorted.len());
    for entry in &sorted {
        let length = entry.length().ok_or_else(|| entry.invalid("is too large"))?;
        let end = offset.checked_add(length).ok_or_else(|| entry.invalid("is too large"))?;
        let line = Line { data_offsets: [offset, end], dtype: entry.dtype, shape: &entry.shape };
        if header.insert(&entry.name, Header::Tensor(line)).is_some() {
            return Err(entry.invalid("is given twice"));
        }
        lengths.push(length);
        offset = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    sorted.iter().zip(lengths).try_for_each(|(entry, length)| entry.write(length, out))
}

/// Writes tensors behind the JSON that says what they are: one file, so that the two cannot disagree after a
/// crash between two writes.
pub fn write_behind(out: &mut dyn Write, json: &[u8], entries: &[Entry]) -> io::Result<()> {
    out.write_all(&(json.len() as u64).to_le_bytes())?;
    out.write_all(json)?;
    write(out, entries)
}

/// The JSON and the tensors of a file of [`write_behind`]; `None` if it is cut off.
pub fn split_behind(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// The values of little-endian bytes.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value)).collect()
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    fn floats(name: &str, values: &[f32]) -> Entry<'static> {
        Entry::vector(name.to_owned(), values)
    }

    fn written(entries: &[Entry]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, entries).unwrap();
        bytes
    }

    #[test]
    fn the_library_reads_what_is_written() {
        let count = || Entry::new("a".into(), Dtype::I64, vec![], 7i64.to_le_bytes().to_vec());
        let half = || Entry::later("c".into(), Dtype::F16, vec![1, 1], || Ok(vec![0, 0x3c]));
        let bytes = written(&[half(), floats("b.weight", &[1.0, 2.0]), count()]);
        let read = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(
            read.tensor("b.weight").unwrap().data(),
            [1.0f32, 2.0].map(f32::to_le_bytes).concat()
        );
        assert_eq!(read.tensor("a").unwrap().shape(), &[0usize; 0]);
        assert_eq!(read.tensor("c").unwrap().data(), [0, 0x3c]);
        assert_eq!(bytes, written(&[count(), floats("b.weight", &[1.0, 2.0]), half()]));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = metadata.metadata().as_ref().unwrap();
        assert_eq!(metadata.len(), 1);
        assert_eq!(metadata["format"], "pt");
    }

    #[test]
    fn header_keys_are_sorted_and_values_aligned() {
        let half = Entry::new("a".into(), Dtype::F16, vec![1], vec![1, 2]);
        let bytes = written(&[half, floats("b", &[1.0])]);
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(length % 8, 0);
        let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
        assert_eq!(
            header.trim_end(),
            r#"{"__metadata__":{"format":"pt"},"a":{"data_offsets":[4,6],"dtype":"F16","shape":[1]},"b":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}}"#
        );
    }

    #[test]
    fn what_cannot_be_read_back_is_refused() {
        let refused = |entries: &[Entry]| write(&mut Vec::new(), entries).unwrap_err().to_string();
        assert!(refused(&[floats("a", &[1.0]), floats("a", &[1.0])]).contains("given twice"));
        let short = Entry::new("s".into(), Dtype::F32, vec![3], vec![0; 8]);
        assert!(refused(&[short]).contains("has 8 bytes, not 12"));
        let huge = Entry::new("h".into(), Dtype::F32, vec![usize::MAX, 2], vec![]);
        assert!(refused(&[huge]).contains("too large"));
    }
}
