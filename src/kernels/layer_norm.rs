//! Layer normalisation over channels, one set of moments per pixel.

use super::{Pixel, norm::Moments, simd::vectorised};

/// Pixels that are worked on together.
const WIDTH: usize = 4;

vectorised! {
    /// `x` is `[channels][columns]`; every column is normalised, scaled and shifted. Returns the
    /// moments of the columns.
    pub fn forward(x: &[Pixel], gain: &[f32], shift: &[f32], epsilon: f32, out: &mut [Pixel]) -> Vec<Moments> {
        let columns = x.len() / gain.len().max(1);
        let share = 1.0 / gain.len().max(1) as f32;
        let mut moments = Vec::with_capacity(columns);
        for start in (0..columns).step_by(WIDTH) {
            let width = WIDTH.min(columns - start);
            let (mut mean, mut variance) = ([Pixel::ZERO; WIDTH], [Pixel::ZERO; WIDTH]);
            for row in x.chunks_exact(columns) {
                for (mean, x) in mean.iter_mut().zip(&row[start..start + width]) {
                    *mean = mean.zip(*x, |mean, x| mean + share * x);
                }
            }
            for row in x.chunks_exact(columns) {
                let centred = mean.iter().zip(&row[start..start + width]);
                for (variance, (mean, x)) in variance.iter_mut().zip(centred) {
                    let off = x.zip(*mean, |x, mean| x - mean);
                    *variance = variance.zip(off, |variance, off| variance + share * off * off);
                }
            }
            let here = moments.len();
            for (mean, variance) in mean.iter().zip(variance).take(width) {
                moments.push(Moments::new(*mean, variance, epsilon));
            }
            let rows = x.chunks_exact(columns).zip(out.chunks_exact_mut(columns));
            for (channel, (row, out)) in rows.enumerate() {
                let (gain, shift) = (gain[channel], shift.get(channel).copied().unwrap_or(0.0));
                let pixels = row[start..start + width].iter().zip(&moments[here..]);
                for (out, (x, moments)) in out[start..start + width].iter_mut().zip(pixels) {
                    let off = x.zip(moments.mean, |x, mean| x - mean);
                    *out = off.zip(moments.inverse, |off, inverse| off * inverse * gain + shift);
                }
            }
        }
        moments
    }
}

vectorised! {
    /// `gradient`, that of the result, becomes that of `x`; adds to those of gain and shift.
    pub fn backward(x: &[Pixel], moments: &[Moments], gain: &[f32], gradient: &mut [Pixel], gains: &mut [f32], shifts: &mut [f32]) {
        let columns = moments.len();
        let share = 1.0 / gain.len().max(1) as f32;
        for start in (0..columns).step_by(WIDTH) {
            let width = WIDTH.min(columns - start);
            let run = start..start + width;
            let moments = &moments[run.clone()];
            // Means over channels of gradient · gain, and of that times the normalised value.
            let (mut level, mut along) = ([Pixel::ZERO; WIDTH], [Pixel::ZERO; WIDTH]);
            let rows = x.chunks_exact(columns).zip(gradient.chunks_exact(columns));
            for (channel, (x, gradient)) in rows.enumerate() {
                let (mut slope, mut total) = (Pixel::ZERO, Pixel::ZERO);
                let pixels = x[run.clone()].iter().zip(&gradient[run.clone()]).zip(moments);
                for ((level, along), ((x, gradient), moments)) in level.iter_mut().zip(&mut along).zip(pixels) {
                    let unit = x.zip(moments.mean, |x, mean| x - mean).zip(moments.inverse, |off, inverse| off * inverse);
                    let term = unit.zip(*gradient, |unit, gradient| unit * gradient);
                    slope = slope.zip(term, |slope, term| slope + term);
                    total = total.zip(*gradient, |total, gradient| total + gradient);
                    *along = along.zip(term, |along, term| along + share * gain[channel] * term);
                    *level = level.zip(*gradient, |level, gradient| level + share * gain[channel] * gradient);
                }
                gains[channel] += slope.total();
                if let Some(shift) = shifts.get_mut(channel) {
                    *shift += total.total();
                }
            }
            let rows = x.chunks_exact(columns).zip(gradient.chunks_exact_mut(columns));
            for (channel, (x, gradient)) in rows.enumerate() {
                let sums = level.iter().zip(&along).zip(moments);
                let pixels = x[run.clone()].iter().zip(&mut gradient[run.clone()]);
                for ((x, gradient), ((level, along), moments)) in pixels.zip(sums) {
                    let unit = x.zip(moments.mean, |x, mean| x - mean).zip(moments.inverse, |off, inverse| off * inverse);
                    let pull = unit.zip(*along, |unit, along| unit * along).zip(*level, |pull, level| pull + level);
                    let push = gradient.zip(pull, |gradient, pull| gain[channel] * gradient - pull);
                    *gradient = push.zip(moments.inverse, |push, inverse| push * inverse);
                }
            }
        }
    }
}
