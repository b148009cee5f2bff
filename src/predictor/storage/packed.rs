//! Rows of integers of a few bits with one scale each.

use half::f16;

/// Integers that begin and end at a byte, whatever their bits.
pub(super) const GROUP: usize = 8;

/// The scale of a row: the smallest half-precision number for which every code fits. `None` if there
/// is none.
pub(super) fn scale(row: &[f32], bits: usize) -> Option<f16> {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let exact = largest / (offset(bits) - 1) as f32;
    let mut scale = f16::from_f32(exact);
    if scale.to_f32() < exact {
        scale = f16::from_bits(scale.to_bits() + 1);
    }
    let finite = scale.is_finite() && row.iter().all(|value| value.is_finite());
    finite.then_some(scale)
}

/// Appends the codes of a row, whose length is a multiple of [`GROUP`]; each differs from its value by
/// at most half the scale.
pub(super) fn pack(row: &[f32], scale: f16, bits: usize, out: &mut Vec<u8>) {
    let scale = scale.to_f32();
    for group in row.chunks_exact(GROUP) {
        let word = group.iter().rev().fold(0u64, |word, value| {
            // A scale of zero makes NaN of zero, which is cast to zero.
            let code = (value / scale).round() as i64;
            word << bits | (code + offset(bits)) as u64
        });
        out.extend_from_slice(&word.to_le_bytes()[..bits]);
    }
}

/// Appends the values of a row.
pub(super) fn unpack(codes: &[u8], scale: f16, bits: usize, out: &mut Vec<f32>) {
    let (scale, offset) = (scale.to_f32(), offset(bits));
    for group in codes.chunks_exact(bits) {
        let mut bytes = [0; 8];
        bytes[..bits].copy_from_slice(group);
        let word = u64::from_le_bytes(bytes);
        let code = |index: usize| (word >> (index * bits) & ((1 << bits) - 1)) as i64 - offset;
        out.extend((0..GROUP).map(|index| code(index) as f32 * scale));
    }
}

/// What is added to a code so that it is not negative.
fn offset(bits: usize) -> i64 {
    1 << (bits - 1)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::neural::normal;

    fn through(row: &[f32], bits: usize) -> (Vec<f32>, f32, usize) {
        let scale = scale(row, bits).unwrap();
        let (mut codes, mut back) = (Vec::new(), Vec::new());
        pack(row, scale, bits, &mut codes);
        unpack(&codes, scale, bits, &mut back);
        (back, scale.to_f32(), codes.len())
    }

    fn normals(size: f32) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        (0..64).map(|_| size * normal(&mut random)).collect()
    }

    #[test]
    fn values_come_back_within_half_a_scale() {
        for (bits, size) in (2..=8).flat_map(|bits| [1e-9, 1e-5, 0.03, 4e3].map(|it| (bits, it))) {
            let row = normals(size);
            let (back, scale, bytes) = through(&row, bits);
            assert_eq!(bytes, 8 * bits);
            for (value, back) in row.iter().zip(&back) {
                assert!((value - back).abs() <= 0.500001 * scale, "{bits}: {value} {back}");
            }
        }
    }

    #[test]
    fn what_was_packed_once_stays() {
        for bits in 2..=8 {
            let once = through(&normals(0.03), bits).0;
            assert_eq!(through(&once, bits).0, once);
        }
    }

    #[test]
    fn codes_stand_as_documented() {
        let scale = f16::from_f32(0.5);
        let row = [0.0, 0.5, -0.5, 1.5, -1.5, 1.0, -1.0, 0.0];
        let mut codes = Vec::new();
        pack(&row, scale, 3, &mut codes);
        // 4, 5, 3, 7, 1, 6, 2, 4 from the least significant bit of the first byte on.
        assert_eq!(codes, [0b1110_1100, 0b0001_1110, 0b1000_1011]);
        let mut bytes = Vec::new();
        pack(&row, scale, 8, &mut bytes);
        assert_eq!(bytes, [128, 129, 127, 131, 125, 130, 126, 128]);
    }

    #[test]
    fn rows_without_a_scale_are_told() {
        assert_eq!(scale(&[0.0; 8], 8), Some(f16::ZERO));
        assert_eq!(through(&[0.0; 8], 6).0, [0.0; 8]);
        assert_eq!(scale(&[0.0, f32::NAN], 8), None);
        assert_eq!(scale(&[f32::INFINITY], 8), None);
        assert_eq!(scale(&[1e30], 8), None);
    }
}
