//! The encoding of levels and of indices into dictionaries: runs of one value, and packed bits.

/// Decodes `count` values of `bits` bits each. `None` if there are fewer.
pub fn decode(mut bytes: &[u8], bits: u32, count: usize) -> Option<Vec<u32>> {
    if bits > 32 {
        return None;
    }
    if bits == 0 {
        return Some(vec![0; count]);
    }
    let mut values = Vec::new();
    while values.len() < count {
        let missing = count - values.len();
        let header = varint(&mut bytes)?;
        let length = usize::try_from(header >> 1).ok()?;
        if header & 1 == 1 {
            // Groups of eight values; the last may be cut off.
            let packed = length.checked_mul(bits as usize)?.min(bytes.len());
            let (packed, rest) = bytes.split_at(packed);
            bytes = rest;
            let held = (8 * packed.len() / bits as usize).min(missing);
            if held == 0 {
                return None;
            }
            values.extend((0..held).map(|index| unpacked(packed, index, bits)));
        } else {
            let (value, rest) = bytes.split_at_checked(bits.div_ceil(8) as usize)?;
            bytes = rest;
            let value = value.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
            values.extend(std::iter::repeat_n(value, length.min(missing)));
        }
    }
    Some(values)
}

/// The value at an index of packed bits, the lowest first.
fn unpacked(packed: &[u8], index: usize, bits: u32) -> u32 {
    let start = index * bits as usize;
    let window = packed[start / 8..].iter().take(5);
    let window = window.rev().fold(0_u64, |window, &byte| window << 8 | u64::from(byte));
    (window >> (start % 8) & ((1 << bits) - 1)) as u32
}

/// A number in groups of seven bits, the lowest first.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_and_packed_bits_are_read() {
        // Eight values of three bits, as the specification packs 0 to 7.
        assert_eq!(decode(&[3, 0x88, 0xc6, 0xfa], 3, 8).unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
        // Four times 300 in nine bits, then eight single bits' worth of it.
        assert_eq!(decode(&[8, 44, 1], 9, 4).unwrap(), [300; 4]);
        assert_eq!(decode(&[4, 1, 3, 0b101], 1, 5).unwrap(), [1, 1, 1, 0, 1]);
        assert_eq!(decode(&[], 0, 3).unwrap(), [0; 3]);
        assert_eq!(decode(&[4, 1], 1, 3), None);
        assert_eq!(decode(&[], 40, 3), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..40), bits in 0_u32..40) {
            if let Some(values) = decode(&bytes, bits, 50) {
                prop_assert_eq!(values.len(), 50);
            }
        }
    }
}
