//! Batch and group normalisation.

use super::{
    super::{
        Activation,
        norm::{self, GroupShape, Moments},
        pixel::blocks,
        simd::at_every_level,
    },
    activation::reference,
    assert_close, derivative, pack, random, unpack, wide,
};

/// Mean and biased variance.
fn moments(x: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = x.clone().count() as f64;
    let mean = x.clone().sum::<f64>() / count;
    [mean, x.map(|x| (x - mean) * (x - mean)).sum::<f64>() / count]
}

#[test]
fn batch_normalisation_differentiates_through_its_statistics() {
    at_every_level(|_| {
        const EPSILON: f32 = 1e-3;
        for (batch, plane, rows) in [(3, 5, 0..3), (21, 2, 0..21), (40, 3, 13..35), (20, 4, 16..20)]
        {
            for activation in [None, Some(Activation::Tanh)] {
                // A mean much larger than the deviation is hard for single precision.
                let x: Vec<f32> = random(5, batch * plane).iter().map(|x| 3.0 + x).collect();
                let dy = random(6, batch * plane);
                let [gain, shift] = [1.3f32, -0.2];
                let forward = |x: &[f64], gain: f64, shift: f64| -> Vec<f64> {
                    let [mean, variance] =
                        moments(x[rows.start * plane..rows.end * plane].iter().copied());
                    let scale = gain / (variance + f64::from(EPSILON)).sqrt();
                    let affine = x.iter().map(|x| scale * (x - mean) + shift);
                    affine.map(|y| activation.map_or(y, |of| reference(of, y))).collect()
                };
                let loss = |x: &[f64], gain: f64, shift: f64| -> f64 {
                    forward(x, gain, shift).iter().zip(&dy).map(|(y, dy)| y * f64::from(*dy)).sum()
                };
                let (gain64, shift64) = (f64::from(gain), f64::from(shift));

                let px = pack(&x, batch, 1);
                let moments = Moments::measure(&px, plane, &rows, EPSILON);
                let mut out = px.clone();
                norm::channel_forward(activation, &px, moments, [gain, shift], &mut out);
                assert_close(
                    &unpack(&out, batch, 1),
                    &forward(&wide(&x), gain64, shift64),
                    "output",
                );

                let mut gradient = pack(&dy, batch, 1);
                let affine = norm::channel_backward(
                    activation,
                    &px,
                    moments,
                    [gain, shift],
                    plane,
                    Some(&rows),
                    &mut gradient,
                );
                let slow = derivative(&wide(&x), |x| loss(x, gain64, shift64));
                assert_close(&unpack(&gradient, batch, 1), &slow, "input gradient");
                let slow =
                    derivative(&[gain64, shift64], |affine| loss(&wide(&x), affine[0], affine[1]));
                assert_close(&affine, &slow, "gradients of gain and shift");
            }
        }
    });
}

#[test]
fn group_normalisation_differentiates_through_its_statistics() {
    at_every_level(|_| {
        const EPSILON: f32 = 1e-3;
        for (batch, channels, pixels, groups) in [(2, 6, 3, 2), (17, 4, 2, 1), (3, 3, 9, 3)] {
            for activation in [None, Some(Activation::Silu)] {
                let x: Vec<f32> =
                    random(7, batch * channels * pixels).iter().map(|x| x - 2.0).collect();
                let (dy, gain, shift) =
                    (random(8, x.len()), random(9, channels), random(10, channels));
                let size = channels / groups * pixels;
                let forward = |x: &[f64], gain: &[f64], shift: &[f64]| -> Vec<f64> {
                    let normalised = x.chunks(size).flat_map(|group| {
                        let [mean, variance] = moments(group.iter().copied());
                        let scale = 1.0 / (variance + f64::from(EPSILON)).sqrt();
                        group.iter().map(move |x| (x - mean) * scale)
                    });
                    let affine = normalised.enumerate().map(|(at, x)| {
                        let channel = at / pixels % channels;
                        gain[channel] * x + shift[channel]
                    });
                    affine.map(|y| activation.map_or(y, |of| reference(of, y))).collect()
                };
                let loss = |x: &[f64], gain: &[f64], shift: &[f64]| -> f64 {
                    forward(x, gain, shift).iter().zip(&dy).map(|(y, dy)| y * f64::from(*dy)).sum()
                };
                let shape = GroupShape { blocks: blocks(batch), channels, pixels, groups };
                let px = pack(&x, batch, channels);
                let mut out = px.clone();
                let moments =
                    norm::group_forward(shape, activation, &px, &gain, &shift, EPSILON, &mut out);
                let (x, gain64, shift64) = (wide(&x), wide(&gain), wide(&shift));
                assert_close(
                    &unpack(&out, batch, channels),
                    &forward(&x, &gain64, &shift64),
                    "output",
                );

                let mut gradient = pack(&dy, batch, channels);
                let (mut gains, mut shifts) = (vec![0.0; channels], vec![0.0; channels]);
                norm::group_backward(
                    shape,
                    activation,
                    &px,
                    &moments,
                    &gain,
                    &shift,
                    &mut gradient,
                    &mut gains,
                    &mut shifts,
                );
                let slow = derivative(&x, |x| loss(x, &gain64, &shift64));
                assert_close(&unpack(&gradient, batch, channels), &slow, "input gradient");
                assert_close(&gains, &derivative(&gain64, |gain| loss(&x, gain, &shift64)), "gain");
                assert_close(
                    &shifts,
                    &derivative(&shift64, |shift| loss(&x, &gain64, shift)),
                    "shift",
                );
            }
        }
    });
}
