//! Normalisations followed by an optional non-linearity, in one pass each way.

use std::ops::Range;

use super::{
    Activation,
    activation::{affine, affine_backward},
    elementwise::{combine, dot, squared_deviation, sum},
};

/// Mean and inverse standard deviation that a block of values was normalised with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: f32,
    /// Biased variance.
    pub variance: f32,
    /// 1 / √(variance + ε)
    pub inverse: f32,
}

impl Moments {
    /// Of given statistics.
    pub fn new(mean: f32, variance: f32, epsilon: f32) -> Self {
        Self { mean, variance, inverse: 1.0 / (variance + epsilon).sqrt() }
    }

    /// Of some values.
    pub fn measure(x: &[f32], epsilon: f32) -> Self {
        let count = x.len().max(1) as f32;
        let mean = sum(x) / count;
        Self::new(mean, squared_deviation(x, mean) / count, epsilon)
    }

    /// The affine map x ↦ gain · (x − mean) · inverse + shift as (scale, shift).
    fn fold(self, gain: f32, shift: f32) -> (f32, f32) {
        let scale = gain * self.inverse;
        (scale, shift - self.mean * scale)
    }
}

/// Batch normalisation of one channel, all rows normalised by the same moments.
pub fn channel_forward(
    activation: Option<Activation>,
    x: &[f32],
    moments: Moments,
    [gain, shift]: [f32; 2],
    out: &mut [f32],
) {
    let (scale, shift) = moments.fold(gain, shift);
    affine(activation, x, scale, shift, out);
}

/// Gradient of [`channel_forward`]: `gradient` holds that of the output and becomes that of `x`.
/// `measured` is the range of `x` that the moments were measured on; its gradient includes the way
/// through the statistics, to which all of `x` contributes. Returns the gradients of gain and
/// shift.
pub fn channel_backward(
    activation: Option<Activation>,
    x: &[f32],
    moments: Moments,
    [gain, shift]: [f32; 2],
    measured: Option<Range<usize>>,
    gradient: &mut [f32],
) -> [f32; 2] {
    let (scale, folded) = moments.fold(gain, shift);
    affine_backward(activation, x, scale, folded, gradient);
    let total = sum(gradient);
    // Σ dy · x̂, with x̂ = (x − mean) · inverse
    let along = (dot(gradient, x) - moments.mean * total) * moments.inverse;
    match measured {
        Some(range) if !range.is_empty() => {
            let count = range.len() as f32;
            // dx = scale · (dy − Σdy / m − x̂ · Σ(dy · x̂) / m) inside the range
            let slope = -scale * along * moments.inverse / count;
            let offset = -scale * total / count - slope * moments.mean;
            let (before, rest) = gradient.split_at_mut(range.start);
            let (inside, after) = rest.split_at_mut(range.len());
            combine(scale, slope, offset, &x[range], inside);
            for outside in [before, after] {
                outside.iter_mut().for_each(|gradient| *gradient *= scale);
            }
        }
        _ => gradient.iter_mut().for_each(|gradient| *gradient *= scale),
    }
    [along, total]
}

/// Geometry of a group normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupShape {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels per channel and image.
    pub pixels: usize,
    /// Channel groups.
    pub groups: usize,
}

impl GroupShape {
    /// The planes of one image of one group: channel and range.
    fn planes(self, image: usize, group: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let size = self.channels / self.groups;
        (group * size..(group + 1) * size).map(move |channel| {
            let start = (channel * self.batch + image) * self.pixels;
            (channel, start..start + self.pixels)
        })
    }
}

/// Group normalisation with a gain and shift per channel. Returns the moments by image and group.
pub fn group_forward(
    shape: GroupShape,
    activation: Option<Activation>,
    x: &[f32],
    gain: &[f32],
    shift: &[f32],
    epsilon: f32,
    out: &mut [f32],
) -> Vec<Moments> {
    let count = (shape.channels / shape.groups * shape.pixels).max(1) as f32;
    let mut moments = Vec::with_capacity(shape.batch * shape.groups);
    for image in 0..shape.batch {
        for group in 0..shape.groups {
            let planes = || shape.planes(image, group);
            let mean = planes().map(|(_, range)| sum(&x[range])).sum::<f32>() / count;
            let variance =
                planes().map(|(_, range)| squared_deviation(&x[range], mean)).sum::<f32>() / count;
            let measured = Moments::new(mean, variance, epsilon);
            for (channel, range) in planes() {
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
    x: &[f32],
    moments: &[Moments],
    gain: &[f32],
    shift: &[f32],
    gradient: &mut [f32],
    gain_gradient: &mut [f32],
    shift_gradient: &mut [f32],
) {
    gain_gradient.fill(0.0);
    shift_gradient.fill(0.0);
    let count = (shape.channels / shape.groups * shape.pixels).max(1) as f32;
    for image in 0..shape.batch {
        for group in 0..shape.groups {
            let measured = moments[image * shape.groups + group];
            let (mut total, mut along) = (0.0, 0.0);
            for (channel, range) in shape.planes(image, group) {
                let (scale, folded) = measured.fold(gain[channel], shift[channel]);
                let (x, gradient) = (&x[range.clone()], &mut gradient[range]);
                affine_backward(activation, x, scale, folded, gradient);
                let sum = sum(gradient);
                let dot = (dot(gradient, x) - measured.mean * sum) * measured.inverse;
                gain_gradient[channel] += dot;
                shift_gradient[channel] += sum;
                total += gain[channel] * sum;
                along += gain[channel] * dot;
            }
            let slope = -along * measured.inverse * measured.inverse / count;
            let offset = -measured.inverse * total / count - slope * measured.mean;
            for (channel, range) in shape.planes(image, group) {
                let scale = gain[channel] * measured.inverse;
                combine(scale, slope, offset, &x[range.clone()], &mut gradient[range]);
            }
        }
    }
}
