//! From all images of a source to the splits, in a fixed random order.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    Dataset, Split,
    decoded::{Decoded, Images, index},
};

/// Seed of the order and of the hold-out. Changing it changes what was held out of training, and
/// so makes every earlier model selection unfair.
const SEED: u64 = 0x7765_6967_6874;
/// Most images held out of the training set.
const MAX_HELD_OUT: usize = 5_000;

impl Decoded {
    /// The splits that have images.
    pub fn into_splits(self) -> Vec<(Split, Dataset)> {
        let Self { classes, shape, mut splits } = self;
        for (stream, images) in splits.iter_mut().enumerate() {
            *images = images.pick(&shuffled(images.labels.len(), stream as u64));
        }
        let [train, val] = [index(Split::Train), index(Split::Val)];
        if splits[val].labels.is_empty() {
            let count = splits[train].labels.len();
            let length = shape.iter().product::<usize>();
            let kept = count - (count / 10).min(MAX_HELD_OUT);
            splits[val] = Images {
                labels: splits[train].labels.split_off(kept),
                pixels: splits[train].pixels.split_off(kept * length),
            };
        }
        Split::ALL
            .into_iter()
            .zip(splits)
            .filter(|(_, images)| !images.labels.is_empty())
            .map(|(split, images)| {
                (split, Dataset::new(classes.clone(), shape, images.pixels, images.labels))
            })
            .collect()
    }
}

fn shuffled(count: usize, stream: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    random.set_stream(stream);
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut random);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: usize) -> Images {
        Images {
            pixels: (0..count).map(|index| index as u8).collect(),
            labels: (0..count).map(|index| index as u16).collect(),
        }
    }

    #[test]
    fn validation_images_leave_the_training_set() {
        let splits = [numbered(100), Images::default(), numbered(7)];
        let decoded = Decoded { classes: vec!["all".into()], shape: [1, 1, 1], splits };
        let parts = decoded.clone().into_splits();
        let sizes: Vec<_> = parts.iter().map(|(split, part)| (*split, part.len())).collect();
        assert_eq!(sizes, [(Split::Train, 90), (Split::Val, 10), (Split::Test, 7)]);
        let mut seen: Vec<u16> =
            parts[0].1.labels.iter().chain(&parts[1].1.labels).copied().collect();
        assert_ne!(seen, numbered(100).labels, "the order is random");
        seen.sort_unstable();
        assert_eq!(seen, numbered(100).labels);
        for (_, part) in &parts {
            assert!(part.labels.iter().zip(&part.pixels).all(|(&a, &b)| a == u16::from(b)));
        }
        assert_eq!(parts, decoded.into_splits(), "and fixed");
    }

    #[test]
    fn given_validation_images_are_kept() {
        let splits = [numbered(100), numbered(3), Images::default()];
        let decoded = Decoded { classes: vec!["all".into()], shape: [1, 1, 1], splits };
        let sizes: Vec<_> =
            decoded.into_splits().iter().map(|(split, part)| (*split, part.len())).collect();
        assert_eq!(sizes, [(Split::Train, 100), (Split::Val, 3)]);
    }
}
