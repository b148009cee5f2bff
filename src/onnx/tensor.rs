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

/// Extents, if none is negative and their product fits in memory sizes.
pub fn shape(dims: &[i64]) -> Result<Vec<usize>, String> {
    let shape = dims
        .iter()
        .map(|&extent| usize::try_from(extent).map_err(|_| format!("extent {extent} is negative")))
        .collect::<Result<Vec<_>, _>>()?;
    // Zero extents do not excuse the others: a product in another order would overflow.
    shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent.max(1)))
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

/// Bytes of a tensor's `raw_data`.
pub fn byte_length(shape: &[usize], data_type: i32) -> Result<usize, String> {
    let size = element_size(data_type)
        .ok_or_else(|| format!("values of type number {data_type} are not supported"))?;
    Ok(shape.iter().product::<usize>() * size)
}

/// Checks that a tensor with its data in the file holds as many values as its shape asks for.
pub fn check_values(tensor: &TensorProto) -> Result<(), String> {
    let shape = shape(&tensor.dims)?;
    let data_type = tensor.data_type.unwrap_or(0);
    let bytes = byte_length(&shape, data_type)?;
    if let Some(raw) = inline(tensor) {
        return expect(raw.len(), bytes, "bytes", &shape);
    }
    let held = match data_type {
        1 => tensor.float_data.len(),
        11 => tensor.double_data.len(),
        7 => tensor.int64_data.len(),
        12 | 13 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    };
    expect(held, shape.iter().product(), "values", &shape)
}

fn expect(held: usize, asked: usize, what: &str, shape: &[usize]) -> Result<(), String> {
    match held == asked {
        true => Ok(()),
        false => Err(format!("holds {held} {what}, shape {shape:?} asks for {asked}")),
    }
}

/// The `raw_data` of a tensor, if its values are there; some writers add an empty one to the typed
/// fields.
fn inline(tensor: &TensorProto) -> Option<&Bytes> {
    let typed = !(tensor.float_data.is_empty()
        && tensor.int32_data.is_empty()
        && tensor.int64_data.is_empty()
        && tensor.double_data.is_empty()
        && tensor.uint64_data.is_empty());
    tensor.raw_data.as_ref().filter(|raw| !(raw.is_empty() && typed))
}

/// Shape and values of a tensor. `external` are its bytes where they stand in another file. The
/// number of values is checked against the shape before anything is allocated.
pub fn decode(
    tensor: &TensorProto,
    external: Option<&Bytes>,
) -> Result<(Vec<usize>, Values), String> {
    let shape = shape(&tensor.dims)?;
    let data_type = tensor.data_type.unwrap_or(0);
    match external {
        Some(raw) => expect(raw.len(), byte_length(&shape, data_type)?, "bytes", &shape)?,
        None => check_values(tensor)?,
    }
    let values = match external.or(inline(tensor)) {
        Some(raw) => decode_raw(data_type, raw),
        None => decode_typed(data_type, tensor),
    };
    Ok((shape, values))
}

fn decode_typed(data_type: i32, tensor: &TensorProto) -> Values {
    let halves = || tensor.int32_data.iter().map(|&bits| bits as u16);
    match data_type {
        1 => Values::Floats(tensor.float_data.clone()),
        11 => Values::Floats(tensor.double_data.iter().map(|&value| value as f32).collect()),
        10 => Values::Floats(halves().map(|bits| f16::from_bits(bits).to_f32()).collect()),
        16 => Values::Floats(halves().map(|bits| bf16::from_bits(bits).to_f32()).collect()),
        7 => Values::Ints(tensor.int64_data.clone()),
        12 | 13 => Values::Ints(tensor.uint64_data.iter().map(|&value| value as i64).collect()),
        _ => Values::Ints(tensor.int32_data.iter().map(|&value| i64::from(value)).collect()),
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

/// Widens the `raw_data` of a float type; `None` if the type is not one of the four.
pub fn decode_floats(raw: &[u8], data_type: i32) -> Option<Vec<f32>> {
    match decode_raw(data_type, raw) {
        Values::Floats(values) => Some(values),
        Values::Ints(_) => None,
    }
}

/// Whether a tensor with its data in the file holds one float, over and over.
pub fn is_uniform(tensor: &TensorProto) -> bool {
    fn same<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> f32) -> bool {
        let mut values = raw.as_chunks::<N>().0.iter().map(|&bytes| read(bytes));
        values.next().is_some_and(|first| values.all(|value| value == first))
    }
    match (tensor.data_type.unwrap_or(0), inline(tensor)) {
        (1, Some(raw)) => same(raw, f32::from_le_bytes),
        (10, Some(raw)) => same(raw, |bytes| f16::from_le_bytes(bytes).to_f32()),
        (11, Some(raw)) => same(raw, |bytes| f64::from_le_bytes(bytes) as f32),
        (16, Some(raw)) => same(raw, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        (1, None) => {
            let values = &tensor.float_data;
            !values.is_empty() && values.iter().all(|value| *value == values[0])
        }
        _ => false,
    }
}

/// Encodes values as `raw_data` of a float type; `None` if the type is not one of the four.
pub fn encode(values: &[f32], data_type: i32) -> Option<Vec<u8>> {
    fn bytes<const N: usize>(values: &[f32], encode: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
        let mut out = Vec::with_capacity(N * values.len());
        values.iter().for_each(|&value| out.extend_from_slice(&encode(value)));
        out
    }
    Some(match data_type {
        1 => bytes(values, f32::to_le_bytes),
        11 => bytes(values, |value| f64::from(value).to_le_bytes()),
        10 => bytes(values, |value| f16::from_f32(value).to_le_bytes()),
        16 => bytes(values, |value| bf16::from_f32(value).to_le_bytes()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data_type: i32, dims: &[i64]) -> TensorProto {
        TensorProto { dims: dims.to_vec(), data_type: Some(data_type), ..Default::default() }
    }

    fn values(tensor: &TensorProto) -> Result<Values, String> {
        decode(tensor, None).map(|(_, values)| values)
    }

    fn raw(data_type: i32, dims: &[i64], bytes: &[u8]) -> TensorProto {
        let raw_data = Some(Bytes::copy_from_slice(bytes));
        TensorProto { raw_data, ..tensor(data_type, dims) }
    }

    #[test]
    fn every_float_type_survives() {
        let values = [0.0f32, 1.5, -2.0, 0.25];
        for data_type in [1, 10, 11, 16] {
            let encoded = encode(&values, data_type).unwrap();
            assert_eq!(encoded.len(), byte_length(&[4], data_type).unwrap());
            assert_eq!(decode_floats(&encoded, data_type), Some(values.to_vec()));
        }
        assert_eq!(decode_floats(&[0; 8], 7), None);
        assert_eq!(encode(&values, 7), None);
    }

    #[test]
    fn raw_integers_keep_their_signs() {
        let cases: [(i32, &[u8], i64); 9] = [
            (2, &[0xff], 255),
            (3, &[0xff], -1),
            (4, &[0xfe, 0xff], 65534),
            (5, &[0xfe, 0xff], -2),
            (6, &[0xfe, 0xff, 0xff, 0xff], -2),
            (7, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -2),
            (9, &[1], 1),
            (12, &[0xfe, 0xff, 0xff, 0xff], u32::MAX as i64 - 1),
            (13, &[7, 0, 0, 0, 0, 0, 0, 0], 7),
        ];
        for (data_type, bytes, value) in cases {
            let tensor = raw(data_type, &[1], bytes);
            assert_eq!(values(&tensor), Ok(Values::Ints(vec![value])), "type {data_type}");
        }
    }

    #[test]
    fn typed_fields_are_read_by_type() {
        let floats = TensorProto { float_data: vec![1.5, 2.5], ..tensor(1, &[2]) };
        assert_eq!(values(&floats), Ok(Values::Floats(vec![1.5, 2.5])));
        let doubles = TensorProto { double_data: vec![1.5], ..tensor(11, &[]) };
        assert_eq!(values(&doubles), Ok(Values::Floats(vec![1.5])));
        // Half-precision numbers travel as their bits in int32_data.
        let half = TensorProto { int32_data: vec![0x3e00, 0xc000], ..tensor(10, &[2]) };
        assert_eq!(values(&half), Ok(Values::Floats(vec![1.5, -2.0])));
        let brain = TensorProto { int32_data: vec![0x3fc0], ..tensor(16, &[1]) };
        assert_eq!(values(&brain), Ok(Values::Floats(vec![1.5])));
        for data_type in [2, 3, 4, 5, 6, 9] {
            let ints = TensorProto { int32_data: vec![1, 0], ..tensor(data_type, &[2]) };
            assert_eq!(values(&ints), Ok(Values::Ints(vec![1, 0])), "type {data_type}");
        }
        let longs = TensorProto { int64_data: vec![-7], ..tensor(7, &[1]) };
        assert_eq!(values(&longs), Ok(Values::Ints(vec![-7])));
        let unsigned = TensorProto { uint64_data: vec![7], ..tensor(12, &[1]) };
        assert_eq!(values(&unsigned), Ok(Values::Ints(vec![7])));
        let empty_raw = TensorProto { float_data: vec![1.0], ..raw(1, &[1], &[]) };
        assert_eq!(values(&empty_raw), Ok(Values::Floats(vec![1.0])));
    }

    #[test]
    fn shapes_are_checked_before_values() {
        let problem = |tensor: TensorProto| values(&tensor).unwrap_err();
        assert!(problem(tensor(1, &[i64::MAX, i64::MAX])).contains("too large"));
        assert!(problem(tensor(1, &[0, i64::MAX, i64::MAX])).contains("too large"));
        assert!(problem(tensor(1, &[-1])).contains("negative"));
        assert!(problem(tensor(1, &[3])).contains("asks for 3"));
        assert!(problem(tensor(1, &[1 << 40])).contains("asks for 1099511627776"));
        assert!(problem(raw(1, &[2], &[0; 7])).contains("asks for 8"));
        assert!(problem(raw(8, &[1], &[0])).contains("type number 8"));
        assert_eq!(values(&tensor(1, &[0, 5])), Ok(Values::Floats(vec![])));
    }
}
