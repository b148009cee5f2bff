//! Bounds of strided operands.

/// Whether `start + Σ steps · stride` is an index into `length` elements. Sums and products that
/// overflow are not.
pub(super) fn inside<const N: usize>(
    start: usize,
    strides: [[usize; 2]; N],
    length: usize,
) -> bool {
    let last = strides
        .into_iter()
        .try_fold(start, |at, [steps, stride]| at.checked_add(steps.checked_mul(stride)?));
    last.is_some_and(|last| last < length)
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn indices_do_not_wrap() {
        assert!(inside(1, [[2, 3], [1, 1]], 9));
        assert!(!inside(1, [[2, 3], [1, 1]], 8));
        assert!(!inside(0, [], 0));
        // Both would be 0 and 1 modulo 2⁶⁴.
        assert!(!inside(0, [[2, 1 << (usize::BITS - 1)]], 9));
        assert!(!inside(usize::MAX, [[1, 2]], 9));
    }
}
