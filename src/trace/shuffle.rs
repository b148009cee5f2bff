//! Networks that are like a given one and descend from nothing: the connections of each layer lead to other channels.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{
    graph::{Architecture, Weights},
    zoo::{Groups, Moving},
};

/// Shuffles the channels of every layer, each along both its axes by itself: kernels stay as they are and lead from
/// other channels to others. What stands for colours and classes stays.
pub(super) fn shuffled(
    architecture: &Architecture,
    groups: &Groups,
    weights: &Weights,
    random: &mut ChaCha8Rng,
) -> Weights {
    weights.map(|parameter, values| {
        let shape = architecture.parameters[parameter.0].shape.as_deref().unwrap_or_default();
        let moving = groups.moving(parameter);
        let mut values = values.to_vec();
        if moving.is_empty() {
            // Nobody can put these channels in another order, so any other is as good as chance.
            let all: Vec<usize> = (0..shape[0]).collect();
            return along(&values, shape, 0, &exchanged(&all, shape[0], random));
        }
        for Moving { axis, places } in moving {
            let listed = places.iter().enumerate().filter(|(_, place)| place.is_some());
            let listed: Vec<usize> = listed.map(|(index, _)| index).collect();
            values = along(&values, shape, *axis, &exchanged(&listed, shape[*axis], random));
        }
        values
    })
}

/// The order of an axis in which the listed indices are exchanged with each other.
fn exchanged(listed: &[usize], extent: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..extent).collect();
    let mut sources = listed.to_vec();
    sources.shuffle(random);
    listed.iter().zip(sources).for_each(|(&index, source)| order[index] = source);
    order
}

/// A tensor with one axis in another order.
fn along(values: &[f32], shape: &[usize], axis: usize, order: &[usize]) -> Vec<f32> {
    let inner: usize = shape[axis + 1..].iter().product();
    let blocks = values.chunks(order.len() * inner);
    let reordered = blocks
        .flat_map(|block| order.iter().flat_map(move |&source| &block[source * inner..][..inner]));
    reordered.copied().collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn an_axis_is_reordered_and_what_is_not_listed_stays() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(along(&values, &[2, 3], 1, &[2, 0, 1]), [2.0, 0.0, 1.0, 5.0, 3.0, 4.0]);
        assert_eq!(along(&values, &[2, 3], 0, &[1, 0]), [3.0, 4.0, 5.0, 0.0, 1.0, 2.0]);
        let order = exchanged(&[0, 2, 3], 5, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!((order[1], order[4]), (1, 4));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4]);
    }
}
