//! CIFAR-10 in its binary form: records of one label byte and 3 × 32 × 32 pixel bytes.

use std::collections::BTreeMap;

use super::{
    Split,
    decoded::{Decoded, Images, Parts, index},
};

const PIXELS: usize = 3 * 32 * 32;
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// What a file of the dataset holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Images.
    Images(Split, u32),
    /// Class names.
    Names,
}

impl Part {
    /// The part that a file name promises.
    pub fn of(file: &str) -> Option<Self> {
        if file == "batches.meta.txt" {
            return Some(Self::Names);
        }
        let stem = file.strip_suffix(".bin")?;
        match stem.strip_prefix("data_batch_") {
            Some(number) => Some(Self::Images(Split::Train, number.parse().ok()?)),
            None => (stem == "test_batch").then_some(Self::Images(Split::Test, 0)),
        }
    }
}

/// Gathers the files.
#[derive(Default)]
pub struct Collector {
    batches: BTreeMap<(usize, u32), Images>,
    names: Option<Vec<String>>,
}

impl Collector {
    /// Takes a file in.
    pub fn add(&mut self, part: Part, bytes: Vec<u8>) -> Result<(), String> {
        match part {
            Part::Images(split, number) => {
                let images = parse(&bytes)?;
                match self.batches.insert((index(split), number), images) {
                    Some(_) => Err("a file of this name came before".to_owned()),
                    None => Ok(()),
                }
            }
            Part::Names => {
                let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
                let names: Vec<String> = text
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .map(Into::into)
                    .collect();
                if names.len() != CLASSES.len() {
                    return Err(format!("{} class names, expected 10", names.len()));
                }
                self.names = Some(names);
                Ok(())
            }
        }
    }

    /// Everything taken in.
    pub fn finish(self) -> Decoded {
        let mut splits: [Images; 3] = Default::default();
        for ((split, _), images) in self.batches {
            splits[split].pixels.extend(images.pixels);
            splits[split].labels.extend(images.labels);
        }
        let classes = self.names.unwrap_or_else(|| CLASSES.map(Into::into).to_vec());
        Decoded { classes, shape: [3, 32, 32], parts: Parts::Given(splits), notices: Vec::new() }
    }
}

fn parse(bytes: &[u8]) -> Result<Images, String> {
    let (records, rest) = bytes.as_chunks::<{ 1 + PIXELS }>();
    if !rest.is_empty() || records.is_empty() {
        return Err(format!(
            "{} bytes are not a whole number of records of {} bytes; the file is truncated or not \
             CIFAR-10",
            bytes.len(),
            1 + PIXELS
        ));
    }
    let mut images = Images {
        pixels: Vec::with_capacity(records.len() * PIXELS),
        labels: Vec::with_capacity(records.len()),
    };
    for (number, record) in records.iter().enumerate() {
        let [label, pixels @ ..] = record;
        if usize::from(*label) >= CLASSES.len() {
            return Err(format!("image {number} has label {label}, beyond 9"));
        }
        images.labels.push((*label).into());
        images.pixels.extend_from_slice(pixels);
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parses_what_was_written(records in prop::collection::vec((0_u8..10, any::<u8>()), 1..5)) {
            let bytes: Vec<u8> = records
                .iter()
                .flat_map(|&(label, value)| {
                    std::iter::once(label).chain(std::iter::repeat_n(value, PIXELS))
                })
                .collect();
            let images = parse(&bytes).unwrap();
            prop_assert_eq!(images.labels.len(), records.len());
            for (index, &(label, value)) in records.iter().enumerate() {
                prop_assert_eq!(images.labels[index], u16::from(label));
                let pixels = &images.pixels[index * PIXELS..(index + 1) * PIXELS];
                prop_assert!(pixels.iter().all(|&pixel| pixel == value));
            }
            prop_assert!(parse(&bytes[..bytes.len() - 1]).is_err());
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..7000)) {
            if let Ok(images) = parse(&bytes) {
                prop_assert_eq!(images.pixels.len(), images.labels.len() * PIXELS);
            }
        }
    }
}
