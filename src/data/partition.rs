//! From all images of a source to the splits, in a fixed random order.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{
    Dataset, Split,
    decoded::{Decoded, Images, Parts, index},
};

/// Seed of the order and of the hold-out. Changing it changes what was held out of training, and
/// so makes every earlier model selection unfair.
const SEED: u64 = 0x7765_6967_6874;
/// Most images held out of the training set.
const MAX_HELD_OUT: usize = 5_000;
/// The random stream of images whose splits are not given; those of the splits come before.
const WHOLE: u64 = 3;

impl Decoded {
    /// The splits that have images.
    pub fn into_splits(self) -> Vec<(Split, Dataset)> {
        let Self { classes, shape, parts, mut notices } = self;
        let mut splits = match parts {
            Parts::Given(splits) => splits,
            Parts::Whole(images) => {
                let splits = stratified(&images, classes.len());
                let [train, val, test] = splits.each_ref().map(|images| images.labels.len());
                notices.push(format!(
                    "no splits are given; by a fixed seed, {train} images are for training, {val} \
                     for validation and {test} for testing, a tenth of every class each"
                ));
                splits
            }
        };
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
                let dataset = Dataset::new(classes.clone(), shape, images.pixels, images.labels);
                (split, Dataset { notices: notices.clone(), ..dataset })
            })
            .collect()
    }
}

/// A tenth of every class for validation and a tenth for testing, at least one image of each class
/// that has three, and the rest for training.
fn stratified(images: &Images, classes: usize) -> [Images; 3] {
    let mut left = vec![0; classes];
    images.labels.iter().for_each(|&label| left[usize::from(label)] += 1);
    let mut wanted: Vec<[usize; 2]> = left
        .iter()
        .map(|&count: &usize| {
            let tenth = (count + 5) / 10;
            [tenth.max(usize::from(count > 2)), tenth.max(usize::from(count > 1))]
        })
        .collect();
    let mut orders: [Vec<usize>; 3] = Default::default();
    for image in shuffled(images.labels.len(), WHOLE) {
        let [val, test] = &mut wanted[usize::from(images.labels[image])];
        let split = match (*test, *val) {
            (1.., _) => {
                *test -= 1;
                Split::Test
            }
            (0, 1..) => {
                *val -= 1;
                Split::Val
            }
            (0, 0) => Split::Train,
        };
        orders[index(split)].push(image);
    }
    orders.map(|order| images.pick(&order))
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

    fn decoded(parts: Parts) -> Decoded {
        Decoded { classes: vec!["all".into()], shape: [1, 1, 1], parts, notices: Vec::new() }
    }

    #[test]
    fn validation_images_leave_the_training_set() {
        let splits = [numbered(100), Images::default(), numbered(7)];
        let decoded = decoded(Parts::Given(splits));
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
        let decoded = decoded(Parts::Given(splits));
        let sizes: Vec<_> =
            decoded.into_splits().iter().map(|(split, part)| (*split, part.len())).collect();
        assert_eq!(sizes, [(Split::Train, 100), (Split::Val, 3)]);
    }

    #[test]
    fn images_without_splits_are_split_class_by_class() {
        // 100 images of class 0, 14 of class 1, three of class 2, two of class 3, one of class 4.
        let labels: Vec<u16> =
            [100, 14, 3, 2, 1].into_iter().zip(0..).flat_map(|(n, label)| vec![label; n]).collect();
        let images = Images { pixels: (0..labels.len() as u8).collect(), labels };
        let classes = ["a", "b", "c", "d", "e"].map(Into::into).to_vec();
        let decoded = Decoded { classes, ..decoded(Parts::Whole(images)) };
        let parts = decoded.clone().into_splits();
        let counts: Vec<[usize; 5]> = parts
            .iter()
            .map(|(_, part)| {
                std::array::from_fn(|class| {
                    part.labels.iter().filter(|&&label| usize::from(label) == class).count()
                })
            })
            .collect();
        assert_eq!(counts, [[80, 12, 1, 1, 1], [10, 1, 1, 0, 0], [10, 1, 1, 1, 0]]);
        let mut seen: Vec<u8> = parts.iter().flat_map(|(_, part)| part.pixels.clone()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..120).collect::<Vec<u8>>(), "each image stands in one split");
        let notice = &parts[2].1.notices[0];
        assert!(notice.contains("95 images are for training, 12"), "{notice}");
        assert_eq!(parts, decoded.into_splits(), "the seed is fixed");
    }
}
