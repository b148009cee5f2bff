//! Images made harder, after CIFAR-10-C (Hendrycks & Dietterich 2019, *Benchmarking neural network
//! robustness to common corruptions and perturbations*), with its severities where it has the kind.

use std::fmt;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, codecs::jpeg::JpegEncoder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{data::Dataset, neural::normal};

use super::EvaluateError;

/// Number of severities of every kind.
pub const SEVERITIES: usize = 5;

/// Severities that are lengths are for images of this side and grow with the side.
const SIDE: f32 = 32.0;

/// A kind of corruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Corruption {
    /// Normal noise on every value.
    GaussianNoise,
    /// A Gaussian filter.
    GaussianBlur,
    /// Values drawn towards the mean of their image and channel.
    Contrast,
    /// A translation in a random direction, black moving in.
    Shift,
    /// Lossy compression.
    Jpeg,
}

/// An image of `[channels, height, width]` values in 0–255, to be changed in place.
struct Canvas<'a> {
    values: &'a mut [u8],
    shape: [usize; 3],
}

/// A kind: its name, its five strengths, and what one strength does to an image.
struct Row {
    name: &'static str,
    strengths: [f32; SEVERITIES],
    apply: Apply,
}

type Apply = fn(&mut Canvas, f32, &mut ChaCha8Rng) -> Result<(), EvaluateError>;

impl Corruption {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::GaussianNoise, Self::GaussianBlur, Self::Contrast, Self::Shift, Self::Jpeg];

    fn row(self) -> Row {
        let row = |name, strengths, apply: Apply| Row { name, strengths, apply };
        match self {
            Self::GaussianNoise => {
                row("gaussian noise", [0.04, 0.06, 0.08, 0.09, 0.10], gaussian_noise)
            }
            Self::GaussianBlur => row("gaussian blur", [0.4, 0.6, 0.7, 0.8, 1.0], gaussian_blur),
            Self::Contrast => row("contrast", [0.75, 0.5, 0.4, 0.3, 0.15], contrast),
            Self::Shift => row("shift", [1.0, 2.0, 3.0, 4.0, 6.0], shift),
            Self::Jpeg => row("jpeg", [80.0, 65.0, 58.0, 50.0, 40.0], jpeg),
        }
    }

    /// The first `limit` images of a data set, corrupted with a severity of 1 to [`SEVERITIES`].
    /// What happens to an image depends on the seed, the image's position, the kind and the
    /// severity only.
    pub fn corrupt(
        self,
        data: &Dataset,
        severity: usize,
        seed: u64,
        limit: usize,
    ) -> Result<Dataset, EvaluateError> {
        let row = self.row();
        let strength = severity.checked_sub(1).and_then(|index| row.strengths.get(index));
        let Some(&strength) = strength else {
            return Err(EvaluateError::Mismatch(format!("there is no severity {severity}")));
        };
        let shape = [data.channels, data.height, data.width];
        let count = limit.min(data.len());
        let mut pixels = data.pixels[..count * data.image_len()].to_vec();
        let stream = (self as u64) << 32 | (severity as u64) << 40;
        pixels.par_chunks_mut(data.image_len().max(1)).enumerate().try_for_each(
            |(index, values)| {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(stream | index as u64);
                (row.apply)(&mut Canvas { values, shape }, strength, &mut random)
            },
        )?;
        let labels = data.labels[..count].to_vec();
        Ok(Dataset::new(data.classes.clone(), shape, pixels, labels))
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

impl Canvas<'_> {
    fn planes(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let [_, height, width] = self.shape;
        self.values.chunks_exact_mut((height * width).max(1))
    }

    /// Factor on lengths that are meant for the usual side.
    fn scale(&self) -> f32 {
        self.shape[1].min(self.shape[2]) as f32 / SIDE
    }
}

fn rounded(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// Standard deviation `strength`, for values of 0–1.
fn gaussian_noise(
    canvas: &mut Canvas,
    strength: f32,
    random: &mut ChaCha8Rng,
) -> Result<(), EvaluateError> {
    for value in canvas.values.iter_mut() {
        *value = rounded(f32::from(*value) + 255.0 * strength * normal(random));
    }
    Ok(())
}

/// Standard deviation of `strength` pixels; the border is repeated outwards.
fn gaussian_blur(
    canvas: &mut Canvas,
    strength: f32,
    _random: &mut ChaCha8Rng,
) -> Result<(), EvaluateError> {
    let sigma = strength * canvas.scale();
    let reach = (4.0 * sigma).ceil() as isize;
    let mut kernel: Vec<f32> =
        (-reach..=reach).map(|at| (-0.5 * (at as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|weight| *weight /= sum);
    let [_, height, width] = canvas.shape;
    let mut wide = vec![0.0; height * width];
    for plane in canvas.planes() {
        let clamp = |at: usize, offset: isize, extent: usize| {
            at.saturating_add_signed(offset).min(extent - 1)
        };
        for (row, out) in wide.chunks_exact_mut(width).enumerate() {
            for (column, out) in out.iter_mut().enumerate() {
                let sum = kernel.iter().zip(-reach..).map(|(weight, offset)| {
                    weight * f32::from(plane[row * width + clamp(column, offset, width)])
                });
                *out = sum.sum();
            }
        }
        for (index, out) in plane.iter_mut().enumerate() {
            let (row, column) = (index / width, index % width);
            let sum = kernel
                .iter()
                .zip(-reach..)
                .map(|(weight, offset)| weight * wide[clamp(row, offset, height) * width + column]);
            *out = rounded(sum.sum());
        }
    }
    Ok(())
}

/// Distances from the channel's mean are multiplied by `strength`.
fn contrast(
    canvas: &mut Canvas,
    strength: f32,
    _random: &mut ChaCha8Rng,
) -> Result<(), EvaluateError> {
    for plane in canvas.planes() {
        let mean =
            plane.iter().map(|&value| f32::from(value)).sum::<f32>() / plane.len().max(1) as f32;
        for value in plane {
            *value = rounded(mean + strength * (f32::from(*value) - mean));
        }
    }
    Ok(())
}

/// Moves an image by `strength` pixels in one of eight directions.
fn shift(canvas: &mut Canvas, strength: f32, random: &mut ChaCha8Rng) -> Result<(), EvaluateError> {
    let distance = (strength * canvas.scale()).round().max(1.0) as isize;
    let [down, right] = loop {
        let direction: [i32; 2] = [random.random_range(-1..=1), random.random_range(-1..=1)];
        if direction != [0, 0] {
            break direction.map(|sign| sign as isize * distance);
        }
    };
    let [_, height, width] = canvas.shape;
    let from = |at: usize, by: isize, extent: usize| {
        at.checked_add_signed(-by).filter(|&from| from < extent)
    };
    for plane in canvas.planes() {
        let before = plane.to_vec();
        for (index, value) in plane.iter_mut().enumerate() {
            let source = from(index / width, down, height).zip(from(index % width, right, width));
            *value = source.map_or(0, |(row, column)| before[row * width + column]);
        }
    }
    Ok(())
}

/// Quality `strength` of 1–100.
fn jpeg(canvas: &mut Canvas, strength: f32, _random: &mut ChaCha8Rng) -> Result<(), EvaluateError> {
    let refuse = |error: image::ImageError| EvaluateError::Mismatch(format!("JPEG: {error}"));
    let [channels, height, width] = canvas.shape;
    let plane = height * width;
    let interleaved: Vec<u8> = (0..plane)
        .flat_map(|at| (0..channels).map(move |channel| channel * plane + at))
        .map(|index| canvas.values[index])
        .collect();
    let (columns, rows) = (width as u32, height as u32);
    let picture = match channels {
        1 => GrayImage::from_raw(columns, rows, interleaved).map(DynamicImage::from),
        3 => RgbImage::from_raw(columns, rows, interleaved).map(DynamicImage::from),
        _ => None,
    };
    let picture = picture.ok_or_else(|| {
        EvaluateError::Mismatch(format!("there is no JPEG of {channels} channels"))
    })?;
    let mut file = Vec::new();
    picture
        .write_with_encoder(JpegEncoder::new_with_quality(&mut file, strength as u8))
        .map_err(refuse)?;
    let decoded = image::load_from_memory_with_format(&file, ImageFormat::Jpeg).map_err(refuse)?;
    let values = match channels {
        1 => decoded.into_luma8().into_raw(),
        _ => decoded.into_rgb8().into_raw(),
    };
    for (index, value) in values.into_iter().enumerate() {
        canvas.values[index % channels * plane + index / channels] = value;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    /// Smooth images with an edge.
    fn images(channels: usize) -> Dataset {
        let value = |index: usize| {
            let (row, column) = (index / 32 % 32, index % 32);
            (if column < 16 { 60 } else { 180 } + 2 * row) as u8
        };
        let pixels = (0..4 * channels * 1024).map(value).collect();
        Dataset::new(vec!["only".to_owned()], [channels, 32, 32], pixels, vec![0; 4])
    }

    fn distance(a: &Dataset, b: &Dataset) -> f64 {
        let pairs = a.pixels.iter().zip(&b.pixels);
        pairs.map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / a.pixels.len() as f64
    }

    #[test]
    fn images_get_worse_with_severity_and_the_same_for_the_same_seed() {
        for channels in [1, 3] {
            let clean = images(channels);
            for kind in Corruption::ALL {
                let corrupt = |severity| kind.corrupt(&clean, severity, 7, usize::MAX).unwrap();
                let (mildest, worst) = (corrupt(1), corrupt(SEVERITIES));
                assert_eq!(worst, corrupt(SEVERITIES), "{kind}");
                assert!(distance(&clean, &mildest) > 0.0, "{kind}");
                assert!(distance(&clean, &worst) > distance(&clean, &mildest), "{kind}");
                assert_eq!(mildest.labels, clean.labels);
            }
        }
    }

    #[test]
    fn a_prefix_of_the_images_is_corrupted_as_the_whole() {
        let clean = images(3);
        for kind in Corruption::ALL {
            let whole = kind.corrupt(&clean, 3, 1, usize::MAX).unwrap();
            let prefix = kind.corrupt(&clean, 3, 1, 2).unwrap();
            assert_eq!(prefix.len(), 2);
            assert_eq!(prefix.pixels, whole.pixels[..prefix.pixels.len()], "{kind}");
        }
    }

    #[test]
    fn strengths_are_what_they_say() {
        let grey = Dataset::new(vec!["only".to_owned()], [1, 32, 32], vec![128; 1024], vec![0]);
        let noisy = Corruption::GaussianNoise.corrupt(&grey, 5, 0, 1).unwrap();
        let square: f64 =
            noisy.pixels.iter().map(|&value| (f64::from(value) - 128.0).powi(2)).sum();
        assert_relative_eq!((square / 1024.0).sqrt(), 25.5, max_relative = 0.1);
        assert_eq!(Corruption::GaussianBlur.corrupt(&grey, 5, 0, 1).unwrap().pixels, grey.pixels);
        let moved = Corruption::Shift.corrupt(&grey, 4, 0, 1).unwrap();
        let black = moved.pixels.iter().filter(|&&value| value == 0).count();
        assert!(black == 4 * 32 || black == 1024 - 28 * 28, "{black}");
        let mut halves = grey.clone();
        halves.pixels[..512].fill(28);
        let flat = Corruption::Contrast.corrupt(&halves, 2, 0, 1).unwrap();
        assert_eq!((flat.pixels[0], flat.pixels[1023]), (53, 103));
        assert!(Corruption::Jpeg.corrupt(&grey, 0, 0, 1).is_err());
        assert!(Corruption::Jpeg.corrupt(&grey, 6, 0, 1).is_err());
    }
}
