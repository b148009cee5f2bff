//! The values of one column in one group of rows.

use std::io::Cursor;

use parquet2::{
    compression::Compression,
    error::Error,
    metadata::ColumnChunkMetaData,
    page::{DataPage, DataPageHeader, Page},
    read::{decompress, get_page_iterator, levels::get_bit_width},
    schema::types::PhysicalType,
};

use super::hybrid;

/// Largest page as it is stored.
const MAX_PAGE: usize = 1 << 30;
/// Most values of a group of rows.
const MAX_VALUES: usize = 4 << 20;

const PLAIN: i32 = 0;
const DICTIONARY: [i32; 2] = [2, 8];

/// A value that is present.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Binary data, or text.
    Bytes(Vec<u8>),
    /// An integer.
    Integer(i64),
}

/// All values, `None` where the row has none.
pub fn read(chunk: &ColumnChunkMetaData, file: &[u8]) -> Result<Vec<Option<Value>>, String> {
    let metadata = chunk.column_chunk().meta_data.as_ref().ok_or("a column without metadata")?;
    Compression::try_from(metadata.codec).map_err(text)?;
    let expected = usize::try_from(metadata.num_values).unwrap_or(usize::MAX);
    if expected > MAX_VALUES {
        return Err(format!("more than {MAX_VALUES} rows in a group; write smaller groups"));
    }
    let pages = get_page_iterator(chunk, Cursor::new(file), None, Vec::new(), MAX_PAGE);
    let mut values = Vec::new();
    let mut dictionary = Vec::new();
    for page in pages.map_err(text)? {
        let page = page.map_err(text)?;
        match decompress(page, &mut Vec::new()).map_err(text)? {
            Page::Dict(page) => dictionary = plain(&page.buffer, chunk.physical_type())?,
            Page::Data(page) => {
                let missing = expected - values.len();
                if page.num_values() > missing {
                    return Err(damaged("a page has more values than its column"));
                }
                values.extend(data(&page, &dictionary, chunk.physical_type())?);
            }
        }
    }
    Ok(values)
}

/// The values of a page of data.
fn data(
    page: &DataPage,
    dictionary: &[Value],
    kind: PhysicalType,
) -> Result<Vec<Option<Value>>, String> {
    let deepest = page.descriptor.max_def_level;
    let count = page.num_values();
    let (levels, values, encoding) = parts(page).ok_or_else(|| damaged("a page is cut off"))?;
    let short = || damaged("a page has fewer values than it promises");
    let levels = hybrid::decode(levels, get_bit_width(deepest), count).ok_or_else(short)?;
    let present = |level: &u32| *level == u32::from(deepest.unsigned_abs());
    let held = levels.iter().filter(|level| present(level)).count();
    let values = if encoding == PLAIN {
        plain(values, kind)?
    } else if DICTIONARY.contains(&encoding) {
        let indices = match values.split_first() {
            Some((&bits, rest)) => hybrid::decode(rest, bits.into(), held).ok_or_else(short)?,
            None => Vec::new(),
        };
        let value = |index: u32| dictionary.get(index as usize).cloned();
        indices
            .into_iter()
            .map(value)
            .collect::<Option<_>>()
            .ok_or_else(|| damaged("a value is not in the dictionary"))?
    } else {
        return Err(format!(
            "encoding {encoding} of Parquet is not read; write the file with pyarrow's defaults"
        ));
    };
    if values.len() < held {
        return Err(short());
    }
    let mut values = values.into_iter();
    Ok(levels.iter().map(|level| if present(level) { values.next() } else { None }).collect())
}

/// Definition levels, values and encoding of a page of rows that do not repeat.
fn parts(page: &DataPage) -> Option<(&[u8], &[u8], i32)> {
    let buffer = page.buffer();
    match page.header() {
        DataPageHeader::V1(header) if page.descriptor.max_def_level == 0 => {
            Some((&[], buffer, header.encoding.0))
        }
        DataPageHeader::V1(header) => {
            let (&length, rest) = buffer.split_first_chunk()?;
            let (levels, values) = rest.split_at_checked(u32::from_le_bytes(length) as usize)?;
            Some((levels, values, header.encoding.0))
        }
        DataPageHeader::V2(header) => {
            let skipped = usize::try_from(header.repetition_levels_byte_length).ok()?;
            let length = usize::try_from(header.definition_levels_byte_length).ok()?;
            let (levels, values) = buffer.get(skipped..)?.split_at_checked(length)?;
            Some((levels, values, header.encoding.0))
        }
    }
}

/// Values one after another.
fn plain(mut bytes: &[u8], kind: PhysicalType) -> Result<Vec<Value>, String> {
    match kind {
        PhysicalType::ByteArray => {
            let mut values = Vec::new();
            while !bytes.is_empty() {
                let value = bytes.split_first_chunk().and_then(|(&length, rest)| {
                    rest.split_at_checked(u32::from_le_bytes(length) as usize)
                });
                let (value, rest) = value.ok_or_else(|| damaged("a value is cut off"))?;
                values.push(Value::Bytes(value.to_vec()));
                bytes = rest;
            }
            Ok(values)
        }
        PhysicalType::Int32 => {
            let (values, _) = bytes.as_chunks();
            Ok(values
                .iter()
                .map(|&value| Value::Integer(i32::from_le_bytes(value).into()))
                .collect())
        }
        PhysicalType::Int64 => {
            let (values, _) = bytes.as_chunks();
            Ok(values.iter().map(|&value| Value::Integer(i64::from_le_bytes(value))).collect())
        }
        other => Err(format!("a column of type {other:?}, which is not read")),
    }
}

fn damaged(what: &str) -> String {
    format!("damaged: {what}")
}

pub(super) fn text(error: Error) -> String {
    error.to_string()
}
