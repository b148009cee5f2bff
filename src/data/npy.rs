//! An array of NumPy: a header of type and shape, then the values.

/// Longest header.
const MAX_HEADER: usize = 1 << 16;

/// An array of integers.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Extents, the slowest first.
    pub shape: Vec<usize>,
    /// Bytes of a value.
    width: usize,
    signed: bool,
    big_endian: bool,
    values: Vec<u8>,
}

impl Array {
    /// Reads an array from the bytes of an `.npy` file.
    pub fn parse(mut bytes: Vec<u8>) -> Result<Self, String> {
        let (text, start) = header(&bytes)?;
        if field(text, "fortran_order")?.starts_with("True") {
            return Err("in Fortran order; save it with np.ascontiguousarray(…)".to_owned());
        }
        let (big_endian, signed, width) = integer(field(text, "descr")?)?;
        let shape = extents(field(text, "shape")?)?;
        let expected = shape.iter().try_fold(width, |product, &extent| product.checked_mul(extent));
        if expected != Some(bytes.len() - start) {
            let held = bytes.len() - start;
            return Err(format!(
                "{shape:?} values of {width} byte(s) are promised, {held} bytes are there; truncated?"
            ));
        }
        bytes.drain(..start);
        Ok(Self { shape, width, signed, big_endian, values: bytes })
    }

    /// The values as bytes; an error if one is none.
    pub fn into_bytes(self) -> Result<Vec<u8>, String> {
        if self.width == 1 && !self.signed {
            return Ok(self.values);
        }
        let byte = |value: i64| {
            u8::try_from(value)
                .map_err(|_| format!("holds the value {value}; pixels are 0 to 255, of type uint8"))
        };
        self.integers().map(byte).collect()
    }

    /// The values. Those beyond the range of the type are its largest.
    pub fn integers(&self) -> impl Iterator<Item = i64> {
        self.values.chunks_exact(self.width).map(|bytes| {
            let at = |index: usize| match self.big_endian {
                true => bytes[index],
                false => bytes[bytes.len() - 1 - index],
            };
            let first = if self.signed && at(0) >= 0x80 { -1_i128 } else { 0 };
            let value = (0..bytes.len()).fold(first, |sum, index| sum << 8 | i128::from(at(index)));
            value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
        })
    }
}

/// The text of a header, and where the values start.
fn header(bytes: &[u8]) -> Result<(&str, usize), String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not an array of NumPy")?;
    let (start, length) = match rest {
        [1, _, low, high, ..] => (10, usize::from(u16::from_le_bytes([*low, *high]))),
        [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        _ => return Err("a version of the array format that is not known".to_owned()),
    };
    let text = bytes.get(start..start + length.min(MAX_HEADER)).ok_or("shorter than its header")?;
    let text = std::str::from_utf8(text).map_err(|_| "its header is no text")?;
    Ok((text, start + text.len()))
}

/// What follows the name of a field in a header, which is a dictionary of Python.
fn field<'a>(header: &'a str, name: &str) -> Result<&'a str, String> {
    let (_, rest) = header
        .split_once(&format!("'{name}':"))
        .ok_or_else(|| format!("its header has no field {name:?}"))?;
    Ok(rest.trim_start())
}

/// Whether a type is big-endian and signed, and its bytes.
fn integer(description: &str) -> Result<(bool, bool, usize), String> {
    let quoted = description.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    let (name, _) = quoted.ok_or("a structured array; save plain arrays of numbers")?;
    let (order, kind) = name.split_at(usize::from(name.starts_with(['<', '>', '|', '='])));
    let signed = match kind.get(..1) {
        Some("u" | "b") => false,
        Some("i") => true,
        Some("O") => {
            return Err(
                "an array of Python objects, which is not read; save an array of numbers: \
                        np.stack(images).astype('uint8')"
                    .to_owned(),
            );
        }
        Some("f") => {
            return Err(format!(
                "of type {name}; save images as uint8, 0 to 255, and labels as int64: \
                 array.astype('uint8')"
            ));
        }
        _ => return Err(format!("of type {name}; save images as uint8 and labels as int64")),
    };
    match kind[1..].parse() {
        Ok(width @ (1 | 2 | 4 | 8)) => Ok((order == ">", signed, width)),
        _ => Err(format!("of type {name}, which is not known")),
    }
}

/// The extents of `(60000, 28, 28)`.
fn extents(shape: &str) -> Result<Vec<usize>, String> {
    let (inner, _) = shape
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .ok_or("its header has no shape")?;
    let extents = inner.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    extents.map(|extent| extent.parse().map_err(|_| format!("its shape is ({inner})"))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes());
        bytes.extend(values);
        bytes
    }

    fn integers(descr: &str, shape: &str, values: &[u8]) -> Vec<i64> {
        Array::parse(npy(descr, shape, values)).unwrap().integers().collect()
    }

    #[test]
    fn integers_of_all_kinds_are_read() {
        assert_eq!(integers("'|u1'", "(3,)", &[1, 2, 255]), [1, 2, 255]);
        assert_eq!(integers("'|i1'", "(2,)", &[1, 255]), [1, -1]);
        assert_eq!(integers("'<i2'", "(2, 1)", &[0, 1, 254, 255]), [256, -2]);
        assert_eq!(integers("'>i4'", "(1,)", &[0, 0, 1, 2]), [258]);
        assert_eq!(integers("'<u8'", "(1,)", &[255; 8]), [i64::MAX]);
        assert_eq!(integers("'<i8'", "()", &[7, 0, 0, 0, 0, 0, 0, 0]), [7]);
        assert_eq!(integers("'|b1'", "(2,)", &[0, 1]), [0, 1]);
    }

    #[test]
    fn pixels_of_other_types_must_be_bytes() {
        let wide = |values: &[u8]| Array::parse(npy("'<i2'", "(1,)", values)).unwrap();
        assert_eq!(wide(&[200, 0]).into_bytes().unwrap(), [200]);
        assert!(wide(&[0, 1]).into_bytes().unwrap_err().contains("256"));
    }

    #[test]
    fn refusals_say_what_to_do() {
        let refusal = |descr, shape| Array::parse(npy(descr, shape, &[1, 2])).unwrap_err();
        assert!(refusal("'|O'", "(2,)").contains("np.stack"));
        assert!(refusal("'<f4'", "(2,)").contains("astype"));
        assert!(refusal("'<U5'", "(2,)").contains("int64"));
        assert!(refusal("[('a', '|u1')]", "(2,)").contains("structured"));
        assert!(refusal("'|u1'", "(3,)").contains("truncated"));
        assert!(refusal("'|u1'", "(99999999999, 99999999999)").contains("truncated"));
        assert!(Array::parse(b"nothing".to_vec()).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..60), at in 0_usize..99) {
            let mut valid = npy("'<i2'", "(2, 1)", &[1, 2, 3, 4]);
            if let (Some(slot), Some(&byte)) = (valid.get_mut(at), bytes.first()) {
                *slot = byte;
            }
            let _ = Array::parse(valid);
            let _ = Array::parse(bytes.clone());
            bytes.splice(..0, *b"\x93NUMPY\x01\x00\x20\x00");
            let _ = Array::parse(bytes);
        }
    }
}
