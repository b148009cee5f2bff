//! Orders of axes.

/// The order that puts the channels of an image, its second axis, last.
pub(super) fn channels_last(rank: usize) -> Vec<usize> {
    (0..1).chain(2..rank).chain(1..2).collect()
}

/// The order that brings them back.
pub(super) fn channels_first(rank: usize) -> Vec<usize> {
    (0..1).chain(rank - 1..rank).chain(1..rank - 1).collect()
}

/// In which order a `Transpose` with that attribute takes the axes of a value.
pub(super) fn given(order: Option<&[i64]>, rank: usize) -> Option<Vec<usize>> {
    let order: Vec<usize> = match order {
        None => (0..rank).rev().collect(),
        Some(order) => order.iter().map(|&place| axis(place, rank)).collect::<Option<_>>()?,
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..rank).then_some(order)
}

/// An axis that may be counted from the end.
pub(super) fn axis(place: i64, rank: usize) -> Option<usize> {
    let place = if place < 0 { place + rank as i64 } else { place };
    usize::try_from(place).ok().filter(|&place| place < rank)
}

/// What stands at each place after the axes are taken in an order.
pub(super) fn take<T: Copy>(order: &[usize], values: &[T]) -> Vec<T> {
    order.iter().map(|&axis| values[axis]).collect()
}

/// An order as an attribute.
pub(super) fn attribute(order: &[usize]) -> super::super::Attribute {
    super::super::Attribute::Ints(order.iter().map(|&axis| axis as i64).collect())
}
