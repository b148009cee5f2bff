//! IDX, the format of MNIST: a big-endian header of magic number and sizes, then bytes.

use flate2::read::MultiGzDecoder;

use super::{
    Split,
    decoded::{Decoded, Images, MAX_SIDE, Parts, index},
    source::{MAX_FILE, read_limited},
};

/// What a file of the dataset holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    split: Split,
    labels: bool,
    gzip: bool,
}

impl Part {
    /// The part that a file name promises: `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`.
    pub fn of(file: &str) -> Option<Self> {
        let (stem, gzip) = match file.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (file, false),
        };
        let (split, kind) = stem.split_once('-')?;
        let split = match split {
            "train" => Split::Train,
            "val" => Split::Val,
            "t10k" | "test" => Split::Test,
            _ => return None,
        };
        let labels = match kind.replace('.', "-").as_str() {
            "images-idx3-ubyte" => false,
            "labels-idx1-ubyte" => true,
            _ => return None,
        };
        Some(Self { split, labels, gzip })
    }
}

/// An IDX array of bytes.
#[derive(Clone, Debug, PartialEq)]
struct Array {
    sizes: Vec<usize>,
    values: Vec<u8>,
}

/// Gathers the files.
#[derive(Default)]
pub struct Collector {
    images: [Option<(String, Array)>; 3],
    labels: [Option<(String, Array)>; 3],
}

impl Collector {
    /// Takes a file in.
    pub fn add(&mut self, part: Part, name: &str, bytes: Vec<u8>) -> Result<(), String> {
        let bytes = if part.gzip {
            read_limited(MultiGzDecoder::new(bytes.as_slice()), MAX_FILE)
                .map_err(|error| format!("gzip: {error}"))?
        } else {
            bytes
        };
        let array = parse(bytes, if part.labels { 1 } else { 3 })?;
        let arrays = if part.labels { &mut self.labels } else { &mut self.images };
        match arrays[index(part.split)].replace((name.to_owned(), array)) {
            Some((other, _)) => Err(format!("the same part as {other}; keep one of them")),
            None => Ok(()),
        }
    }

    /// Everything taken in, or the file that is at fault and why.
    pub fn finish(self) -> Result<Decoded, (String, String)> {
        let mut size: Option<[usize; 2]> = None;
        let mut splits: [Images; 3] = Default::default();
        for (index, pair) in self.images.into_iter().zip(self.labels).enumerate() {
            let (name, images, labels) = match pair {
                (None, None) => continue,
                (Some((name, images)), Some((_, labels))) => (name, images, labels),
                (Some((name, _)), None) => {
                    return Err((name, "the file of labels beside it is missing".to_owned()));
                }
                (None, Some((name, _))) => {
                    return Err((name, "the file of images beside it is missing".to_owned()));
                }
            };
            let [count, height, width] = images.sizes[..] else {
                return Err((name, "not an array of images".to_owned()));
            };
            if count != labels.values.len() {
                let problem = format!("{count} images, but {} labels", labels.values.len());
                return Err((name, problem));
            }
            if *size.get_or_insert([height, width]) != [height, width] {
                return Err((name, "the splits have images of different sizes".to_owned()));
            }
            splits[index] = Images {
                pixels: images.values,
                labels: labels.values.into_iter().map(u16::from).collect(),
            };
        }
        let [height, width] = size.unwrap_or_default();
        let labels = splits.iter().flat_map(|images| &images.labels);
        let count = labels.max().map_or(0, |&label| label + 1);
        let classes = (0..count).map(|class| class.to_string()).collect();
        let parts = Parts::Given(splits);
        Ok(Decoded { classes, shape: [1, height, width], parts, notices: Vec::new() })
    }
}

fn parse(mut bytes: Vec<u8>, rank: usize) -> Result<Array, String> {
    let header = 4 + 4 * rank;
    let (magic, sizes) = bytes
        .get(..header)
        .and_then(|start| start.split_first_chunk::<4>())
        .ok_or("shorter than its header")?;
    if *magic != [0, 0, 8, rank as u8] {
        return Err(format!(
            "magic number {magic:?}, expected {:?}: bytes in {rank} dimension(s)",
            [0, 0, 8, rank]
        ));
    }
    let sizes: Vec<usize> =
        sizes.as_chunks().0.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    if let Some(side) = sizes[1..].iter().find(|&&side| side == 0 || side > MAX_SIDE) {
        return Err(format!("images of side {side}; supported are 1 to {MAX_SIDE}"));
    }
    let expected = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    if expected != Some(bytes.len() - header) {
        return Err(format!(
            "the header promises {sizes:?} values, the file holds {}; truncated?",
            bytes.len() - header
        ));
    }
    bytes.drain(..header);
    Ok(Array { sizes, values: bytes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(sizes: &[usize], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        sizes.iter().for_each(|&size| bytes.extend((size as u32).to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    proptest! {
        #[test]
        fn parses_what_was_written(
            count in 0_usize..4, height in 1_usize..5, width in 1_usize..5, seed in any::<u8>(),
        ) {
            let values: Vec<u8> =
                (0..count * height * width).map(|index| seed.wrapping_add(index as u8)).collect();
            let bytes = write(&[count, height, width], &values);
            let array = parse(bytes.clone(), 3).unwrap();
            prop_assert_eq!(array.sizes, [count, height, width]);
            prop_assert_eq!(array.values, values);
            prop_assert!(parse(bytes[..bytes.len() - 1].to_vec(), 3).is_err());
            prop_assert!(parse(bytes, 1).is_err());
        }

        #[test]
        fn never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..40), magic: bool) {
            if magic && bytes.len() > 4 {
                bytes[..4].copy_from_slice(&[0, 0, 8, 3]);
            }
            for rank in [1, 3] {
                if let Ok(array) = parse(bytes.clone(), rank) {
                    prop_assert_eq!(array.sizes.iter().product::<usize>(), array.values.len());
                }
            }
        }
    }
}
