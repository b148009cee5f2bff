//! Normalisations followed by an optional non-linearity, in one pass each way.

use std::ops::Range;

use super::{
    Activation, Pixel,
    activation::{affine, affine_backward},
    elementwise::{combine, squared_deviations, sums},
    pixel::IMAGES,
};

/// The statistics that values were normalised with, image by image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: Pixel,
    /// Biased variance.
    pub variance: Pixel,
    /// 1 / √(variance + ε)
    pub inverse: Pixel,
}

impl Moments {
    /// Of given statistics.
    pub fn new(mean: Pixel, variance: Pixel, epsilon: f32) -> Self {
        let inverse = variance.zip(Pixel::ZERO, |variance, _| 1.0 / (variance + epsilon).sqrt());
        Self { mean, variance, inverse }
    }

    /// Of one channel over some images of the batch; the same for every image.
    pub fn measure(x: &[Pixel], plane: usize, images: &Range<usize>, epsilon: f32) -> Self {
        let count = (images.len() * plane).max(1) as f32;
        let over = |of: &dyn Fn(&[Pixel]) -> Pixel| -> f32 {
            let blocks = images.start / IMAGES..images.end.div_ceil(IMAGES);
            let total = blocks.map(|block| {
                let values = of(&x[block * plane..(block + 1) * plane]);
                lanes(block, images).map(|lane| values.0[lane]).sum::<f32>()
            });
            total.sum::<f32>() / count
        };
        let mean = over(&sums);
        let variance = over(&|x| squared_deviations(x, Pixel::splat(mean)));
        Self::new(Pixel::splat(mean), Pixel::splat(variance), epsilon)
    }

    /// The affine map x ↦ gain · (x − mean) · inverse + shift as (scale, shift).
    fn fold(self, gain: f32, shift: f32) -> (Pixel, Pixel) {
        let scale = self.inverse.zip(Pixel::splat(gain), |inverse, gain| gain * inverse);
        let offset = self.mean.zip(scale, |mean, scale| mean * scale);
        (scale, Pixel::splat(shift).zip(offset, |shift, offset| shift - offset))
    }
}

/// Lanes of a block that are among some images.
fn lanes(block: usize, images: &Range<usize>) -> Range<usize> {
    let first = block * IMAGES;
    let lane = |image: usize| image.clamp(first, first + IMAGES) - first;
    lane(images.start)..lane(images.end)
}

/// Batch normalisation of one channel, all images normalised by the same moments.
pub fn channel_forward(
    activation: Option<Activation>,
    x: &[Pixel],
    moments: Moments,
    [gain, shift]: [f32; 2],
    out: &mut [Pixel],
) {
    let (scale, shift) = moments.fold(gain, shift);
    affine(activation, x, scale, shift, out);
}

/// Gradient of [`channel_forward`]: `gradient` holds that of the output and becomes that of `x`.
/// `measured` are the images that the moments were measured on; their gradient includes what flows
/// through the statistics, to which all images contribute. Returns the gradients of gain and
/// shift.
pub fn channel_backward(
    activation: Option<Activation>,
    x: &[Pixel],
    moments: Moments,
    [gain, shift]: [f32; 2],
    plane: usize,
    measured: Option<&Range<usize>>,
    gradient: &mut [Pixel],
) -> [f32; 2] {
    let (scale, folded) = moments.fold(gain, shift);
    let sums = affine_backward(activation, x, scale, folded, moments.mean, gradient);
    let total = sums[0].total();
    // Σ dy · x̂, with x̂ = (x − mean) · inverse
    let along = sums[1].zip(moments.inverse, |along, inverse| along * inverse).total();
    let blocks = gradient.chunks_exact_mut(plane.max(1)).zip(x.chunks_exact(plane.max(1)));
    for (block, (gradient, x)) in blocks.enumerate() {
        // dx = scale · (dy − Σdy / m − x̂ · Σ(dy · x̂) / m) for the measured images, scale · dy for
        // all others.
        let (mut slope, mut offset) = (Pixel::ZERO, Pixel::ZERO);
        if let Some(images) = measured {
            let count = (images.len() * plane).max(1) as f32;
            for lane in lanes(block, images) {
                slope.0[lane] = -scale.0[lane] * along * moments.inverse.0[lane] / count;
                offset.0[lane] =
                    -scale.0[lane] * total / count - slope.0[lane] * moments.mean.0[lane];
            }
        }
        combine(scale, slope, offset, x, gradient);
    }
    [along, total]
}

/// Geometry of a group normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupShape {
    /// Blocks of images.
    pub blocks: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels per channel and image.
    pub pixels: usize,
    /// Channel groups.
    pub groups: usize,
}

impl GroupShape {
    /// The planes of one block of one group: channel and range.
    fn planes(self, block: usize, group: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let size = self.channels / self.groups;
        (group * size..(group + 1) * size).map(move |channel| {
            let start = (channel * self.blocks + block) * self.pixels;
            (channel, start..start + self.pixels)
        })
    }

    /// Values that share their moments.
    fn count(self) -> f32 {
        (self.channels / self.groups * self.pixels).max(1) as f32
    }
}

fn plus(sum: Pixel, term: Pixel) -> Pixel {
    sum.zip(term, |sum, term| sum + term)
}

/// Group normalisation with a gain and shift per channel. Returns the moments by block and group.
pub fn group_forward(
    shape: GroupShape,
    activation: Option<Activation>,
    x: &[Pixel],
    gain: &[f32],
    shift: &[f32],
    epsilon: f32,
    out: &mut [Pixel],
) -> Vec<Moments> {
    let share = Pixel::splat(1.0 / shape.count());
    let mut moments = Vec::with_capacity(shape.blocks * shape.groups);
    for block in 0..shape.blocks {
        for group in 0..shape.groups {
            let mean_of = |of: &dyn Fn(&[Pixel]) -> Pixel| {
                let planes = shape.planes(block, group);
                let total = planes.fold(Pixel::ZERO, |sum, (_, range)| plus(sum, of(&x[range])));
                total.zip(share, |total, share| total * share)
            };
            let mean = mean_of(&sums);
            let variance = mean_of(&|x| squared_deviations(x, mean));
            let measured = Moments::new(mean, variance, epsilon);
            for (channel, range) in shape.planes(block, group) {
                let (scale, shift) = measured.fold(gain[channel], shift[channel]);
                affine(activation, &x[range.clone()], scale, shift, &mut out[range]);
            }
            moments.push(measured);
        }
    }
    moments
}

/// Gradient of [`group_forward`]: `gradient` becomes that of `x`; those of gain and shift are
/// overwritten.
#[allow(clippy::too_many_arguments)]
pub fn group_backward(
    shape: GroupShape,
    activation: Option<Activation>,
    x: &[Pixel],
    moments: &[Moments],
    gain: &[f32],
    shift: &[f32],
    gradient: &mut [Pixel],
    gain_gradient: &mut [f32],
    shift_gradient: &mut [f32],
) {
    gain_gradient.fill(0.0);
    shift_gradient.fill(0.0);
    let count = shape.count();
    for block in 0..shape.blocks {
        for group in 0..shape.groups {
            let measured = moments[block * shape.groups + group];
            let (mean, inverse) = (measured.mean, measured.inverse);
            let (mut total, mut along) = (Pixel::ZERO, Pixel::ZERO);
            for (channel, range) in shape.planes(block, group) {
                let (scale, folded) = measured.fold(gain[channel], shift[channel]);
                let (x, gradient) = (&x[range.clone()], &mut gradient[range]);
                let [sum, dot] = affine_backward(activation, x, scale, folded, mean, gradient);
                let dot = dot.zip(inverse, |dot, inverse| dot * inverse);
                gain_gradient[channel] += dot.total();
                shift_gradient[channel] += sum.total();
                let gain = Pixel::splat(gain[channel]);
                total = plus(total, sum.zip(gain, |sum, gain| sum * gain));
                along = plus(along, dot.zip(gain, |dot, gain| dot * gain));
            }
            let slope = along.zip(inverse, |along, inverse| -along * inverse * inverse / count);
            let offset = plus(
                total.zip(inverse, |total, inverse| -total * inverse / count),
                slope.zip(mean, |slope, mean| -slope * mean),
            );
            for (channel, range) in shape.planes(block, group) {
                let scale =
                    inverse.zip(Pixel::splat(gain[channel]), |inverse, gain| inverse * gain);
                combine(scale, slope, offset, &x[range.clone()], &mut gradient[range]);
            }
        }
    }
}
