//! Tensor values: one decoder for every element type and both storage forms.

use bytes::Bytes;
use half::{bf16, f16};

use super::messages::TensorProto;

/// Decoded values, widened.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Of the four float types.
    Floats(Vec<f32>),
    /// Of integers and booleans.
    Ints(Vec<i64>),
}

/// Extents of a tensor, if none is negative and their product fits.
pub fn shape(tensor: &TensorProto) -> Result<Vec<usize>, String> {
    let shape = tensor
        .dims
        .iter()
        .map(|&extent| usize::try_from(extent).map_err(|_| format!("extent {extent} is negative")))
        .collect::<Result<Vec<_>, _>>()?;
    shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))
        .filter(|&count| count <= isize::MAX as usize / 16)
        .ok_or_else(|| format!("shape {shape:?} is too large"))?;
    Ok(shape)
}

/// Bytes of one element in `raw_data`; `None` for types that are carried but not decoded.
pub fn element_size(data_type: i32) -> Option<usize> {
    match data_type {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}

/// Decodes a tensor. `external` are its bytes where they stand in another file. The number of
/// values is checked against the shape before anything is allocated.
pub fn decode(tensor: &TensorProto, external: Option<&Bytes>) -> Result<Values, String> {
    let count: usize = shape(tensor)?.iter().product();
    let data_type = tensor.data_type.unwrap_or(0);
    let size = element_size(data_type)
        .ok_or_else(|| format!("values of type number {data_type} are not supported"))?;
    if let Some(raw) = external.or(tensor.raw_data.as_ref()) {
        if raw.len() != count * size {
            let shape = &tensor.dims;
            return Err(format!(
                "holds {} bytes, shape {shape:?} asks for {}",
                raw.len(),
                count * size
            ));
        }
        return Ok(decode_raw(data_type, raw));
    }
    let expect = |length: usize| match length == count {
        true => Ok(()),
        false => Err(format!("holds {length} values, shape {:?} asks for {count}", tensor.dims)),
    };
    match data_type {
        1 => {
            expect(tensor.float_data.len())?;
            Ok(Values::Floats(tensor.float_data.clone()))
        }
        11 => {
            expect(tensor.double_data.len())?;
            Ok(Values::Floats(tensor.double_data.iter().map(|&value| value as f32).collect()))
        }
        7 => {
            expect(tensor.int64_data.len())?;
            Ok(Values::Ints(tensor.int64_data.clone()))
        }
        12 | 13 => {
            expect(tensor.uint64_data.len())?;
            Ok(Values::Ints(tensor.uint64_data.iter().map(|&value| value as i64).collect()))
        }
        10 | 16 => {
            expect(tensor.int32_data.len())?;
            let bits = tensor.int32_data.iter().map(|&bits| bits as u16);
            Ok(Values::Floats(match data_type {
                10 => bits.map(|bits| f16::from_bits(bits).to_f32()).collect(),
                _ => bits.map(|bits| bf16::from_bits(bits).to_f32()).collect(),
            }))
        }
        _ => {
            expect(tensor.int32_data.len())?;
            Ok(Values::Ints(tensor.int32_data.iter().map(|&value| i64::from(value)).collect()))
        }
    }
}

fn decode_raw(data_type: i32, raw: &[u8]) -> Values {
    macro_rules! read {
        ($size:literal, $decode:expr) => {
            raw.as_chunks::<$size>().0.iter().map(|&bytes| $decode(bytes)).collect()
        };
    }
    match data_type {
        1 => Values::Floats(read!(4, f32::from_le_bytes)),
        11 => Values::Floats(read!(8, |bytes| f64::from_le_bytes(bytes) as f32)),
        10 => Values::Floats(read!(2, |bytes| f16::from_le_bytes(bytes).to_f32())),
        16 => Values::Floats(read!(2, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        3 => Values::Ints(raw.iter().map(|&byte| i64::from(byte as i8)).collect()),
        4 => Values::Ints(read!(2, |bytes| i64::from(u16::from_le_bytes(bytes)))),
        5 => Values::Ints(read!(2, |bytes| i64::from(i16::from_le_bytes(bytes)))),
        6 => Values::Ints(read!(4, |bytes| i64::from(i32::from_le_bytes(bytes)))),
        12 => Values::Ints(read!(4, |bytes| i64::from(u32::from_le_bytes(bytes)))),
        7 => Values::Ints(read!(8, i64::from_le_bytes)),
        13 => Values::Ints(read!(8, |bytes| u64::from_le_bytes(bytes) as i64)),
        _ => Values::Ints(raw.iter().map(|&byte| i64::from(byte)).collect()),
    }
}

/// Encodes values as `raw_data` of a float type; `None` if the type is not one of the four.
pub fn encode(values: &[f32], data_type: i32) -> Option<Vec<u8>> {
    Some(match data_type {
        1 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        11 => values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect(),
        10 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_type_survives() {
        let values = [0.0f32, 1.5, -2.0, 0.25];
        for data_type in [1, 10, 11, 16] {
            let raw = encode(&values, data_type).unwrap();
            assert_eq!(decode_raw(data_type, &raw), Values::Floats(values.to_vec()));
        }
    }

    #[test]
    fn shapes_are_checked_before_values() {
        let tensor = TensorProto {
            dims: vec![i64::MAX, i64::MAX],
            data_type: Some(1),
            ..Default::default()
        };
        assert!(decode(&tensor, None).unwrap_err().contains("too large"));
        let tensor = TensorProto { dims: vec![3], data_type: Some(1), ..Default::default() };
        assert!(decode(&tensor, None).unwrap_err().contains("asks for 3"));
    }
}
