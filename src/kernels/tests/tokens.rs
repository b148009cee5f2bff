//! Kernels of token networks, image by image.

use approx::assert_abs_diff_eq;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::{
    Pixel,
    broadcast::{self, WeightMap},
    gather::{self, GatherMap, Position},
    layer_norm,
    pixel::IMAGES,
    product::{Product, Stack},
    simd::at_every_level,
    softmax::{self, AxisShape},
};

fn pixels(seed: u64, count: usize) -> Vec<Pixel> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| Pixel(std::array::from_fn(|_| random.random_range(-1.0..1.0)))).collect()
}

fn values(seed: u64, count: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(0.5..1.5)).collect()
}

fn lane(pixels: &[Pixel], lane: usize) -> Vec<f64> {
    pixels.iter().map(|pixel| f64::from(pixel.0[lane])).collect()
}

#[track_caller]
fn assert_close(fast: &[Pixel], lane_of: usize, slow: &[f64]) {
    assert_eq!(fast.len(), slow.len());
    for (fast, slow) in lane(fast, lane_of).iter().zip(slow) {
        assert_abs_diff_eq!(fast, slow, epsilon = 2e-5 * slow.abs().max(1.0));
    }
}

/// The derivatives of `Σ seed · f(x)` by central differences.
fn derivative(x: &[f64], seed: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let total = |x: &[f64]| -> f64 { f(x).iter().zip(seed).map(|(y, seed)| y * seed).sum() };
    (0..x.len())
        .map(|index| {
            let mut moved = x.to_vec();
            moved[index] += 1e-5;
            let above = total(&moved);
            moved[index] -= 2e-5;
            (above - total(&moved)) / 2e-5
        })
        .collect()
}

#[test]
fn softmax_along_any_axis() {
    at_every_level(|_| {
        let (outer, length, inner) = (2, 5, 3);
        let plain = |x: &[f64]| -> Vec<f64> {
            let mut out = vec![0.0; x.len()];
            for run in 0..outer * inner {
                let at = |k: usize| run / inner * length * inner + k * inner + run % inner;
                let total: f64 = (0..length).map(|k| x[at(k)].exp()).sum();
                (0..length).for_each(|k| out[at(k)] = x[at(k)].exp() / total);
            }
            out
        };
        let shape = AxisShape { outer, length, inner };
        let x = pixels(0, outer * length * inner);
        let mut out = x.clone();
        softmax::forward(shape, &x, &mut out);
        let seeds = pixels(1, x.len());
        let mut gradient = seeds.clone();
        softmax::backward(shape, &out, &mut gradient);
        for of in 0..IMAGES {
            assert_close(&out, of, &plain(&lane(&x, of)));
            assert_close(&gradient, of, &derivative(&lane(&x, of), &lane(&seeds, of), plain));
        }
    });
}

#[test]
fn layer_normalisation_over_channels() {
    at_every_level(|_| {
        let (channels, columns) = (6, 7);
        let (gain, shift) = (values(2, channels), values(3, channels));
        let plain = |x: &[f64], gain: &[f64], shift: &[f64]| -> Vec<f64> {
            let mut out = vec![0.0; x.len()];
            for column in 0..columns {
                let at = |c: usize| c * columns + column;
                let mean = (0..channels).map(|c| x[at(c)]).sum::<f64>() / channels as f64;
                let variance =
                    (0..channels).map(|c| (x[at(c)] - mean).powi(2)).sum::<f64>() / channels as f64;
                for c in 0..channels {
                    out[at(c)] = (x[at(c)] - mean) / (variance + 1e-5).sqrt() * gain[c] + shift[c];
                }
            }
            out
        };
        let wide = |x: &[f32]| -> Vec<f64> { x.iter().copied().map(f64::from).collect() };
        let (gain_wide, shift_wide) = (wide(&gain), wide(&shift));
        let x = pixels(4, channels * columns);
        let mut out = x.clone();
        let moments = layer_norm::forward(&x, &gain, &shift, 1e-5, &mut out);
        let seeds = pixels(5, x.len());
        let mut gradient = seeds.clone();
        let (mut gains, mut shifts) = (vec![0.0; channels], vec![0.0; channels]);
        layer_norm::backward(&x, &moments, &gain, &mut gradient, &mut gains, &mut shifts);
        let (mut gains_slow, mut shifts_slow) = (vec![0.0; channels], vec![0.0; channels]);
        for of in 0..IMAGES {
            let (x, seeds) = (lane(&x, of), lane(&seeds, of));
            assert_close(&out, of, &plain(&x, &gain_wide, &shift_wide));
            let slow = derivative(&x, &seeds, |x| plain(x, &gain_wide, &shift_wide));
            assert_close(&gradient, of, &slow);
            let by_gain = derivative(&gain_wide, &seeds, |gain| plain(&x, gain, &shift_wide));
            let by_shift = derivative(&shift_wide, &seeds, |shift| plain(&x, &gain_wide, shift));
            gains_slow.iter_mut().zip(by_gain).for_each(|(sum, term)| *sum += term);
            shifts_slow.iter_mut().zip(by_shift).for_each(|(sum, term)| *sum += term);
        }
        for (fast, slow) in gains.iter().chain(&shifts).zip(gains_slow.iter().chain(&shifts_slow)) {
            assert_abs_diff_eq!(f64::from(*fast), slow, epsilon = 2e-4);
        }
    });
}

/// Rows of `columns` elements inside of the blocks, one matrix per major.
fn stack(matrices: usize, rows: usize, columns: usize) -> Stack {
    Stack {
        starts: (0..matrices).map(|major| Position { major, minor: 0 }).collect(),
        row: Position { major: 0, minor: columns },
        column: Position { major: 0, minor: 1 },
        minors: rows * columns,
    }
}

#[test]
fn products_of_stacks_of_any_extent() {
    at_every_level(|_| {
        for [rows, columns, depth] in [[5, 6, 7], [4, 4, 4], [1, 9, 2], [3, 1, 1]] {
            let (matrices, blocks) = (2, 2);
            let product = Product {
                extents: [rows, columns, depth],
                a: stack(matrices, rows, depth),
                b: stack(matrices, depth, columns),
                out: stack(matrices, rows, columns),
            };
            let stacks = matrices * blocks;
            let plain = |a: &[f64], b: &[f64]| -> Vec<f64> {
                (0..stacks * rows * columns)
                    .map(|index| {
                        let (of, row, column) =
                            (index / (rows * columns), index / columns % rows, index % columns);
                        let left = |k: usize| a[(of * rows + row) * depth + k];
                        (0..depth).map(|k| left(k) * b[(of * depth + k) * columns + column]).sum()
                    })
                    .collect()
            };
            let (a, b) = (pixels(6, stacks * rows * depth), pixels(7, stacks * depth * columns));
            let seeds = pixels(8, stacks * rows * columns);
            let mut out = vec![Pixel::ZERO; seeds.len()];
            product.forward(blocks, &a, &b, &mut out);
            let mut left = vec![Pixel::ZERO; a.len()];
            product.backward_left(blocks, &b, &seeds, &mut left);
            let mut right = vec![Pixel::ZERO; b.len()];
            product.backward_right(blocks, &a, &seeds, &mut right);
            for of in [0, IMAGES - 1] {
                let (a, b, seeds) = (lane(&a, of), lane(&b, of), lane(&seeds, of));
                assert_close(&out, of, &plain(&a, &b));
                assert_close(&left, of, &derivative(&a, &seeds, |a| plain(a, &b)));
                assert_close(&right, of, &derivative(&b, &seeds, |b| plain(&a, b)));
            }
        }
    });
}

#[test]
fn weights_meet_their_elements_in_every_block() {
    at_every_level(|_| {
        let (majors, minors, blocks) = (3, 2, 2);
        let map = WeightMap { of: vec![0, 1, 1, 2, 2, 0], minors };
        let weight = [0.5, -1.0, 2.0];
        let x = pixels(9, majors * minors * blocks);
        for multiplies in [false, true] {
            let of = |place: usize| map.of[place / (blocks * minors) * minors + place % minors];
            let mut out = x.clone();
            broadcast::forward(&map, multiplies, blocks, &x, &weight, &mut out);
            let seeds = pixels(10, x.len());
            let (mut gradient, mut weights) = (seeds.clone(), vec![0.0; 3]);
            broadcast::backward(&map, multiplies, blocks, &x, &weight, &mut gradient, &mut weights);
            let mut sums = [0.0; 3];
            for place in 0..x.len() {
                let own = of(place) as usize;
                for lane in 0..IMAGES {
                    let (x, seed) = (x[place].0[lane], seeds[place].0[lane]);
                    let (y, slope, term) = match multiplies {
                        true => (x * weight[own], seed * weight[own], seed * x),
                        false => (x + weight[own], seed, seed),
                    };
                    assert_abs_diff_eq!(out[place].0[lane], y, epsilon = 1e-6);
                    assert_abs_diff_eq!(gradient[place].0[lane], slope, epsilon = 1e-6);
                    sums[own] += term;
                }
            }
            for (fast, slow) in weights.iter().zip(sums) {
                assert_abs_diff_eq!(*fast, slow, epsilon = 1e-4);
            }
        }
    });
}

#[test]
fn gathered_elements_give_their_gradient_back() {
    at_every_level(|_| {
        let map = GatherMap { from: vec![[1, 0], [0, 1], [0, 1]], minors: [1, 2] };
        let blocks = 2;
        let x = pixels(11, 2 * 2 * blocks);
        let mut out = vec![Pixel::ZERO; 3 * blocks];
        gather::forward(&map, blocks, &x, &mut out);
        let at = |major: usize, block: usize, minor: usize| x[(major * blocks + block) * 2 + minor];
        let expected =
            [at(1, 0, 0), at(1, 1, 0), at(0, 0, 1), at(0, 1, 1), at(0, 0, 1), at(0, 1, 1)];
        assert_eq!(out, expected);
        let mut gradient = vec![Pixel::ZERO; x.len()];
        gather::backward(&map, blocks, &vec![Pixel::splat(1.0); out.len()], &mut gradient);
        let times: Vec<f32> = gradient.iter().map(|pixel| pixel.0[0]).collect();
        assert_eq!(times, [0.0, 2.0, 0.0, 2.0, 1.0, 0.0, 1.0, 0.0]);
    });
}
