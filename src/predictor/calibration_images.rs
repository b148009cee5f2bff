//! The images that a filled network is run on before it is written, made to fit what it reads.

use std::ops::Range;

use crate::{data::LUMA, execute::Images, graph::Architecture, kernels::pixel::IMAGES};

/// Most channels of an image whose channels come last.
const MOST_LAST_CHANNELS: usize = 4;

/// Normalised images, NCHW.
#[derive(Clone, Debug)]
pub struct CalibrationImages {
    /// Number of images, channels, height, width.
    pub shape: [usize; 4],
    /// Values, row-major.
    pub data: Vec<f32>,
}

/// Images as a network reads them.
#[derive(Clone, Debug)]
pub struct FittedImages {
    /// The images; their shape is that of the network's input, NCHW or NHWC.
    pub images: CalibrationImages,
    /// What was done to their channels that a user would not expect.
    pub notice: Option<String>,
}

impl CalibrationImages {
    /// The first images at another size.
    pub fn resized(&self, count: usize, [height, width]: [usize; 2]) -> Self {
        let [own, channels, rows, columns] = self.shape;
        let count = count.min(own);
        let first = &self.data[..count * channels * rows * columns];
        let data = match [rows, columns] == [height, width] {
            true => first.to_vec(),
            false => interpolated(first, [rows, columns], [height, width]),
        };
        Self { shape: [count, channels, height, width], data }
    }

    /// Some of the images, by number.
    pub fn range(&self, images: Range<usize>) -> Self {
        let [_, channels, height, width] = self.shape;
        let values = channels * height * width;
        let data = self.data[images.start * values..images.end * values].to_vec();
        Self { shape: [images.len(), channels, height, width], data }
    }

    /// All images, at most so many at a time, with the number of the first of them.
    pub fn passes(&self, most: usize) -> impl Iterator<Item = (usize, Self)> {
        let count = self.shape[0];
        let pass = move |first: usize| (first, self.range(first..count.min(first + most)));
        (0..count).step_by(most).map(pass)
    }

    /// At most so many of the first images as the first input of an architecture takes them: at its
    /// size and with its channels. Of large images there are fewer, in bounded memory: they have more
    /// pixels each. Refuses with a sentence where the input takes no images.
    pub fn fitted(&self, architecture: &Architecture, most: usize) -> Result<FittedImages, String> {
        self.range(0..self.at_once(architecture, most)?).at(architecture)
    }

    /// How many of at most so many of the first images [`Self::fitted`] takes.
    pub fn at_once(&self, architecture: &Architecture, most: usize) -> Result<usize, String> {
        let (_, [height, width], _) = layout(architecture)?;
        let [own, _, rows, columns] = self.shape;
        let carried = own.min(most);
        let count = carried * 4 * rows * columns / (height * width);
        Ok(match count >= carried {
            true => carried,
            // Kernels take so many at a time, of which fewer cost as much.
            false => (count / IMAGES * IMAGES).max(IMAGES).min(carried),
        })
    }

    /// All images as the first input of an architecture takes them. Refuses with a sentence where the input
    /// takes no images.
    pub fn at(&self, architecture: &Architecture) -> Result<FittedImages, String> {
        let (channels, size, channels_last) = layout(architecture)?;
        let own = self.shape[1];
        let images = self.resized(self.shape[0], size).with_channels(channels);
        let notice = (channels != own && channels != 1 && own != 1).then(|| {
            format!(
                "the network reads {channels} channels: the {own} of the calibration images are taken in turn"
            )
        });
        let images = if channels_last { images.channels_last() } else { images };
        Ok(FittedImages { images, notice })
    }

    /// All images, to be run on.
    pub fn view(&self) -> Images<'_> {
        let [batch, channels, height, width] = self.shape;
        Images { batch, channels, height, width, data: &self.data }
    }

    /// With so many channels: colour becomes luminance, all else repeats the channels in turn.
    fn with_channels(self, wanted: usize) -> Self {
        let [count, own, rows, columns] = self.shape;
        if own == wanted {
            return self;
        }
        let plane = rows * columns;
        let mut data = Vec::with_capacity(count * wanted * plane);
        for image in self.data.chunks_exact(own * plane) {
            let channel = |index: usize| &image[index % own * plane..][..plane];
            match (own, wanted) {
                (3, 1) => data.extend((0..plane).map(|pixel| -> f32 {
                    LUMA.iter().enumerate().map(|(index, part)| part * channel(index)[pixel]).sum()
                })),
                _ => (0..wanted).for_each(|index| data.extend_from_slice(channel(index))),
            }
        }
        Self { shape: [count, wanted, rows, columns], data }
    }

    /// NHWC.
    fn channels_last(self) -> Self {
        let [count, channels, rows, columns] = self.shape;
        let plane = rows * columns;
        let mut data = Vec::with_capacity(self.data.len());
        for image in self.data.chunks_exact(channels * plane) {
            let values = |pixel| (0..channels).map(move |channel| image[channel * plane + pixel]);
            data.extend((0..plane).flat_map(values));
        }
        Self { shape: [count, rows, columns, channels], data }
    }
}

/// Channels, height and width of what the first input of an architecture takes, and whether its channels come
/// last.
fn layout(architecture: &Architecture) -> Result<(usize, [usize; 2], bool), String> {
    let shape = architecture.inputs.first().and_then(|input| input.shape.as_deref());
    let Some(&[_, first, second, third]) = shape else {
        return Err(match shape {
            Some(shape) => format!("the network reads a tensor of shape {shape:?}, not images"),
            None => "the network reads a tensor of unknown shape, not images".to_owned(),
        });
    };
    if [first, second, third].contains(&0) {
        return Err(format!("the network reads images of {first} × {second} × {third}"));
    }
    let channels_last = first > MOST_LAST_CHANNELS && third <= MOST_LAST_CHANNELS && third < second;
    Ok(match channels_last {
        true => (third, [first, second], true),
        false => (first, [second, third], false),
    })
}

/// Planes at another size, by bilinear interpolation (half-pixel centres).
fn interpolated(
    planes: &[f32],
    [rows, columns]: [usize; 2],
    [height, width]: [usize; 2],
) -> Vec<f32> {
    let mut out = Vec::with_capacity(planes.len() / (rows * columns) * height * width);
    for plane in planes.chunks(rows * columns) {
        for row in 0..height {
            let (top, bottom, down) = neighbours(height, rows, row);
            for column in 0..width {
                let (left, right, across) = neighbours(width, columns, column);
                let mix = |row: usize| {
                    let (a, b) = (plane[row * columns + left], plane[row * columns + right]);
                    a + across * (b - a)
                };
                out.push(mix(top) + down * (mix(bottom) - mix(top)));
            }
        }
    }
    out
}

/// The two pixels of a line of `from` that a pixel of one of `to` lies between, and how close it is to the
/// second.
fn neighbours(to: usize, from: usize, position: usize) -> (usize, usize, f32) {
    let at = ((position as f32 + 0.5) * from as f32 / to as f32 - 0.5).max(0.0);
    let low = (at as usize).min(from - 1);
    (low, (low + 1).min(from - 1), at - low as f32)
}

/// What [`CalibrationImages::resized`] does to a line of `from` pixels, as a matrix `[to, from]`.
pub(crate) fn interpolation(to: usize, from: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; to * from];
    for (position, row) in matrix.chunks_exact_mut(from).enumerate() {
        let (low, high, share) = neighbours(to, from, position);
        row[low] += 1.0 - share;
        row[high] += share;
    }
    matrix
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::graph::Fact;

    /// Two images of 2 × 2 in colour: channel `c` of image `i` holds `10 i + c` everywhere.
    fn colour() -> CalibrationImages {
        let value = |index: usize| (10 * (index / 12) + index / 4 % 3) as f32;
        CalibrationImages { shape: [2, 3, 2, 2], data: (0..24).map(value).collect() }
    }

    fn fitted(input: &[usize]) -> Result<FittedImages, String> {
        let read = Fact { shape: Some(input.to_vec()), ..Fact::default() };
        let architecture = Architecture { inputs: vec![read], ..Architecture::default() };
        colour().fitted(&architecture, 64)
    }

    #[test]
    fn colour_becomes_luminance_for_a_network_that_reads_grey() {
        let grey = fitted(&[1, 1, 2, 2]).unwrap();
        assert_eq!(grey.images.shape, [2, 1, 2, 2]);
        assert_relative_eq!(grey.images.data[0], 0.587 + 2.0 * 0.114, epsilon = 1e-6);
        assert_relative_eq!(grey.images.data[4], 10.815, epsilon = 1e-5);
        assert_eq!(grey.notice, None);
    }

    #[test]
    fn lines_are_interpolated_by_a_matrix() {
        let line = CalibrationImages { shape: [1, 1, 1, 3], data: vec![1.0, 5.0, 2.0] };
        for to in [2, 3, 7] {
            let matrix = interpolation(to, 3);
            let row = |row: &[f32]| -> f32 { row.iter().zip(&line.data).map(|(a, b)| a * b).sum() };
            let product: Vec<f32> = matrix.chunks(3).map(row).collect();
            assert_relative_eq!(product[..], line.resized(1, [1, to]).data[..], epsilon = 1e-6);
        }
    }

    #[test]
    fn other_channels_are_taken_in_turn_and_it_is_said() {
        let five = fitted(&[1, 5, 2, 2]).unwrap();
        let channels: Vec<f32> = five.images.data.chunks(4).take(5).map(|plane| plane[0]).collect();
        assert_eq!(channels, [0.0, 1.0, 2.0, 0.0, 1.0]);
        assert!(five.notice.unwrap().contains("5 channels"));
    }

    #[test]
    fn channels_come_last_where_the_network_reads_them_last() {
        let last = fitted(&[1, 8, 8, 3]).unwrap();
        assert_eq!(last.images.shape[1..], [8, 8, 3]);
        assert_eq!(last.images.data[..6], [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);
    }

    #[test]
    fn signals_are_no_images() {
        let refused = fitted(&[1, 10, 49]).unwrap_err();
        assert!(refused.contains("[1, 10, 49]"), "{refused}");
    }
}
