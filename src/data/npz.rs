//! Archives of NumPy arrays, as Keras and MedMNIST publish data sets: `x_train` and `y_train`,
//! `test_images` and `test_labels`.

use std::io::Cursor;

use zip::ZipArchive;

use super::{
    Split,
    decoded::{Decoded, Images, MAX_PIXELS, MAX_SIDE, Parts},
    npy::Array,
    picture::over_white,
    source::read_limited,
};

/// A file of arrays, and the split that its name promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Part(Option<Split>);

impl Part {
    /// The part that a path promises.
    pub fn of(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit_once('.')?;
        ending.eq_ignore_ascii_case("npz").then(|| Self(Split::of_path(path)))
    }
}

/// What an array holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    Images,
    Labels,
}

/// The content and the split that the name of an array promises.
fn meaning(name: &str) -> Option<(Content, Option<Split>)> {
    let (mut content, mut split) = (None, None);
    for word in name.split(['_', '-', '.']) {
        match (word.to_ascii_lowercase().as_str(), Split::from_name(word)) {
            (_, Some(found)) => split = Some(found),
            ("x" | "image" | "images" | "data", _) => content = Some(Content::Images),
            ("y" | "label" | "labels" | "target" | "targets", _) => {
                content = Some(Content::Labels);
            }
            _ => return None,
        }
    }
    Some((content?, split))
}

/// Arrays of a split that belong together, with their names.
#[derive(Default)]
struct Pair {
    split: Option<Split>,
    images: Option<(String, Array)>,
    labels: Option<(String, Array)>,
}

/// Gathers the files.
#[derive(Default)]
pub struct Collector {
    pairs: Vec<Pair>,
}

impl Collector {
    /// Takes a file in.
    pub fn add(&mut self, part: Part, path: &str, bytes: Vec<u8>) -> Result<(), String> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        let mut seen = Vec::new();
        let mut found = false;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(|error| error.to_string())?;
            let name = entry.name().trim_end_matches(".npy").to_owned();
            let Some((content, split)) = meaning(&name) else {
                seen.push(name);
                continue;
            };
            found = true;
            let array = read_limited(entry, MAX_PIXELS)
                .map_err(|error| error.to_string())
                .and_then(Array::parse)
                .map_err(|problem| format!("{name}: {problem}"))?;
            let pair = self.pair(split.or(part.0));
            let slot = match content {
                Content::Images => &mut pair.images,
                Content::Labels => &mut pair.labels,
            };
            if let Some((other, _)) = slot.replace((format!("{path}: {name}"), array)) {
                return Err(format!("{name}: the same part as {other}; keep one of them"));
            }
        }
        match found {
            true => Ok(()),
            false => Err(format!(
                "holds no arrays x_train and y_train (or train_images and train_labels), but {}",
                if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") }
            )),
        }
    }

    fn pair(&mut self, split: Option<Split>) -> &mut Pair {
        let found = self.pairs.iter().position(|pair| pair.split == split);
        let index = found.unwrap_or(self.pairs.len());
        if found.is_none() {
            self.pairs.push(Pair { split, ..Pair::default() });
        }
        &mut self.pairs[index]
    }

    /// Everything taken in, or the array that is at fault and why.
    pub fn finish(self) -> Result<Decoded, (String, String)> {
        let mut common: Option<[usize; 3]> = None;
        let mut sorted = Vec::new();
        let given = self.pairs.iter().any(|pair| pair.split.is_some());
        for Pair { split, images, labels } in self.pairs {
            let ((name, images), (labels_name, labels)) = match (images, labels) {
                (Some(images), Some(labels)) => (images, labels),
                (Some((name, _)), None) => {
                    return Err((name, "the array of labels beside it is missing".to_owned()));
                }
                (None, Some((name, _))) => {
                    return Err((name, "the array of images beside it is missing".to_owned()));
                }
                (None, None) => continue,
            };
            if given && split.is_none() {
                let problem = "names no split, but other arrays do; name it, such as x_train";
                return Err((name, problem.to_owned()));
            }
            let labels = classes_of(&labels).map_err(|problem| (labels_name, problem))?;
            let count = images.shape.first().copied().unwrap_or_default();
            if count != labels.len() {
                return Err((name, format!("{count} images, but {} labels", labels.len())));
            }
            let (shape, pixels) = planes(images).map_err(|problem| (name.clone(), problem))?;
            let common = *common.get_or_insert(shape);
            if common != shape {
                let problem = format!(
                    "images of {shape:?} (channels, height, width), but others have {common:?}; \
                     save them alike"
                );
                return Err((name, problem));
            }
            sorted.push((split, Images { pixels, labels }));
        }
        let labels = sorted.iter().flat_map(|(_, images)| &images.labels);
        let count = labels.max().map_or(0, |&label| usize::from(label) + 1);
        Ok(Decoded {
            classes: (0..count).map(|class| class.to_string()).collect(),
            shape: common.unwrap_or_default(),
            parts: Parts::sort(sorted),
            notices: Vec::new(),
        })
    }
}

/// Labels as numbers of classes.
fn classes_of(labels: &Array) -> Result<Vec<u16>, String> {
    if !matches!(labels.shape[..], [_] | [_, 1]) {
        return Err(format!(
            "shape {:?}; labels are one number an image. One-hot rows become numbers by \
             labels.argmax(1)",
            labels.shape
        ));
    }
    let label = |label: i64| match u16::try_from(label) {
        Ok(label) if label < u16::MAX => Ok(label),
        _ => Err(format!("label {label}; classes are numbered from 0")),
    };
    labels.integers().map(label).collect()
}

/// Shape (channels, height, width) and values of images, channel by channel.
fn planes(images: Array) -> Result<([usize; 3], Vec<u8>), String> {
    let (shape, last) = match images.shape[..] {
        [_, height, width] => ([1, height, width], false),
        [_, height, width, channels @ (1 | 3 | 4)] => ([channels, height, width], true),
        [_, channels @ (1 | 3 | 4), height, width] => ([channels, height, width], false),
        _ => {
            return Err(format!(
                "shape {:?}; images are N×H×W, N×H×W×C or N×C×H×W with 1, 3 or 4 channels",
                images.shape
            ));
        }
    };
    let [channels, height, width] = shape;
    if let Some(side) = [height, width].into_iter().find(|side| !(1..=MAX_SIDE).contains(side)) {
        return Err(format!("images of side {side}; supported are 1 to {MAX_SIDE}"));
    }
    let mut values = images.into_bytes()?;
    let plane = height * width;
    if last && channels > 1 {
        let mut image = vec![0; channels * plane];
        for pixels in values.chunks_exact_mut(image.len()) {
            for (position, pixel) in pixels.chunks_exact(channels).enumerate() {
                for (channel, &value) in pixel.iter().enumerate() {
                    image[channel * plane + position] = value;
                }
            }
            pixels.copy_from_slice(&image);
        }
    }
    if channels == 4 {
        let opaque = values.chunks_exact(4 * plane).flat_map(|image| {
            let (colours, alphas) = image.split_at(3 * plane);
            colours
                .iter()
                .zip(alphas.iter().cycle())
                .map(|(&value, &alpha)| over_white(value, alpha))
        });
        return Ok(([3, height, width], opaque.collect()));
    }
    Ok((shape, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_arrays_say_what_they_hold() {
        use Content::{Images, Labels};
        for (name, content, split) in [
            ("x_train", Images, Some(Split::Train)),
            ("y_test", Labels, Some(Split::Test)),
            ("X_val", Images, Some(Split::Val)),
            ("train_images", Images, Some(Split::Train)),
            ("validation-labels", Labels, Some(Split::Val)),
            ("x", Images, None),
        ] {
            assert_eq!(meaning(name), Some((content, split)), "{name}");
        }
        assert_eq!(meaning("x_mean"), None);
        assert_eq!(meaning("train"), None);
    }

    #[test]
    fn files_may_name_the_split() {
        assert_eq!(Part::of("data/test.npz"), Some(Part(Some(Split::Test))));
        assert_eq!(Part::of("mnist.NPZ"), Some(Part(None)));
        assert_eq!(Part::of("mnist.npy"), None);
    }
}
