//! Image files with their labels, before they are decoded; decoding them all to one size.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{
    Split,
    decoded::{Images, MAX_PIXELS, MAX_SIDE, Parts},
    picture,
    resize::Resize,
};

/// Images decoded at a time.
const GROUP: usize = 1024;

/// An image file.
pub struct Encoded {
    /// What to call it in messages.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its split, if the source tells splits apart.
    pub split: Option<Split>,
    /// Its class.
    pub label: u16,
}

/// Images of one size.
pub struct Pictures {
    /// Channels, height, width. One channel if all images are grey.
    pub shape: [usize; 3],
    /// Those that could be decoded, in the order of the files.
    pub parts: Parts,
    /// Names of the others, and why.
    pub failed: Vec<(String, String)>,
    /// What happened to their sizes, if something did.
    pub resized: Option<String>,
}

/// An image that is decoded: split, label, RGB planes.
type Picture = (Option<Split>, u16, Vec<u8>);

/// Decodes images to their [common size](common_size). Images of another size are stretched.
pub fn decode(images: Vec<Encoded>) -> Pictures {
    let sizes: Vec<Result<[usize; 2], String>> =
        images.par_iter().map(|image| picture::size(&image.bytes)).collect();
    let mut failed = Vec::new();
    let mut counts: BTreeMap<[usize; 2], usize> = BTreeMap::new();
    let mut sized = Vec::new();
    for (image, size) in images.into_iter().zip(sizes) {
        match size {
            Ok(size) => {
                *counts.entry(size).or_default() += 1;
                sized.push((image, size));
            }
            Err(why) => failed.push((image.name, why)),
        }
    }
    let size = common_size(&counts);
    let mut pictures: Vec<Picture> = Vec::with_capacity(sized.len());
    let mut rest = sized.into_iter();
    loop {
        let group: Vec<(Encoded, [usize; 2])> = rest.by_ref().take(GROUP).collect();
        if group.is_empty() {
            break;
        }
        let outcomes: Vec<Result<Picture, (String, String)>> = group
            .into_par_iter()
            .map(|(Encoded { name, bytes, split, label }, own)| {
                let planes = picture::planes(&bytes).map_err(|why| (name, why))?;
                Ok((split, label, stretched(planes, own, size)))
            })
            .collect();
        for outcome in outcomes {
            match outcome {
                Ok(picture) => pictures.push(picture),
                Err(failure) => failed.push(failure),
            }
        }
    }
    let plane = size[0] * size[1];
    let channels =
        if pictures.par_iter().all(|(_, _, planes)| grey(planes, plane)) { 1 } else { 3 };
    let parts = Parts::sort(pictures.into_iter().map(|(split, label, mut pixels)| {
        pixels.truncate(channels * plane);
        (split, Images { pixels, labels: vec![label] })
    }));
    Pictures { shape: [channels, size[0], size[1]], parts, failed, resized: told(&counts, size) }
}

/// The median height and the median width of images, which is the size that most of them have if
/// there is one; made smaller, in proportion, if a side or all images together would be too large.
fn common_size(counts: &BTreeMap<[usize; 2], usize>) -> [usize; 2] {
    let total: usize = counts.values().sum();
    let median = |axis: usize| {
        let mut sides: Vec<(usize, usize)> =
            counts.iter().map(|(size, &count)| (size[axis], count)).collect();
        sides.sort_unstable();
        let mut before = 0;
        let middle = sides.into_iter().find(|(_, count)| {
            before += count;
            2 * before >= total
        });
        middle.map_or(0, |(side, _)| side)
    };
    let size = [median(0), median(1)];
    let longest = size[0].max(size[1]).max(1) as f64;
    let bytes = 3.0 * (total * size[0] * size[1]).max(1) as f64;
    let scale = (MAX_SIDE as f64 / longest).min((MAX_PIXELS as f64 / bytes).sqrt()).min(1.0);
    size.map(|side| ((side as f64 * scale) as usize).max(side.min(1)))
}

fn told(counts: &BTreeMap<[usize; 2], usize>, [height, width]: [usize; 2]) -> Option<String> {
    let mut sizes: Vec<[usize; 2]> = counts.keys().copied().collect();
    sizes.sort_by_key(|size| size[0] * size[1]);
    let text = |[height, width]: [usize; 2]| format!("{width}×{height}");
    match sizes[..] {
        [] => None,
        [only] if only == [height, width] => None,
        [only] => Some(format!("images of {} pixels are shrunk to {width}×{height}", text(only))),
        [smallest, .., largest] => Some(format!(
            "the images have {} sizes, {} to {} pixels; all are stretched to {width}×{height}, the \
             median width and height",
            sizes.len(),
            text(smallest),
            text(largest)
        )),
    }
}

fn stretched(planes: Vec<u8>, from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    if from == to {
        return planes;
    }
    let resize = Resize::new(from, to);
    let mut values = vec![0.0; to[0] * to[1]];
    let mut scratch = Vec::new();
    let mut stretched = Vec::with_capacity(3 * values.len());
    for plane in planes.chunks_exact(from[0] * from[1]) {
        resize.apply(plane, &mut scratch, &mut values);
        stretched.extend(values.iter().map(|value| value.round() as u8));
    }
    stretched
}

fn grey(planes: &[u8], plane: usize) -> bool {
    let (red, rest) = planes.split_at(plane);
    let (green, blue) = rest.split_at(plane);
    red == green && red == blue
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

    use super::*;

    fn encoded(name: &str, [height, width]: [u32; 2], colour: [u8; 3]) -> Encoded {
        let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(width, height, Rgb(colour)));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        Encoded { name: name.into(), bytes: bytes.into_inner(), split: None, label: 0 }
    }

    fn counts(sizes: &[([usize; 2], usize)]) -> BTreeMap<[usize; 2], usize> {
        sizes.iter().copied().collect()
    }

    #[test]
    fn the_common_size_is_the_median() {
        assert_eq!(common_size(&counts(&[([4, 5], 3), ([9, 9], 2)])), [4, 5]);
        assert_eq!(common_size(&counts(&[([48, 64], 1), ([64, 48], 1)])), [48, 48]);
        assert_eq!(common_size(&counts(&[([8, 90], 1), ([16, 30], 1), ([64, 60], 1)])), [16, 60]);
        assert_eq!(common_size(&counts(&[])), [0, 0]);
    }

    #[test]
    fn the_common_size_is_bounded() {
        assert_eq!(common_size(&counts(&[([3000, 4000], 2)])), [768, 1024]);
        let [height, width] = common_size(&counts(&[([1000, 1000], 1_000_000)]));
        assert!(height == width && 3 * height * width * 1_000_000 <= MAX_PIXELS as usize);
        assert!(height > 20);
    }

    #[test]
    fn other_sizes_are_stretched_and_it_is_said() {
        let images = vec![
            encoded("a", [2, 2], [10, 20, 30]),
            encoded("b", [4, 6], [40, 50, 60]),
            encoded("c", [2, 2], [0, 0, 0]),
        ];
        let Pictures { shape, parts, failed, resized } = decode(images);
        assert_eq!((shape, failed.len()), ([3, 2, 2], 0));
        let Parts::Whole(Images { pixels, labels }) = parts else { panic!() };
        assert_eq!(labels, [0; 3]);
        let expected = [10, 20, 30, 40, 50, 60, 0, 0, 0].map(|value| [value; 4]).concat();
        assert_eq!(pixels, expected);
        let resized = resized.unwrap();
        assert!(
            resized.contains("2×2 to 6×4") && resized.contains("stretched to 2×2"),
            "{resized}"
        );
    }

    #[test]
    fn files_that_fail_are_named() {
        let mut cut = encoded("cut", [9, 9], [1, 2, 3]);
        cut.bytes.truncate(50);
        let none = Encoded { bytes: Vec::new(), ..encoded("none", [1, 1], [0; 3]) };
        let pictures = decode(vec![cut, encoded("whole", [3, 3], [5; 3]), none]);
        let names: Vec<&str> = pictures.failed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["none", "cut"]);
        assert_eq!(pictures.shape, [1, 3, 3], "grey, and of the size of the only one");
    }
}
