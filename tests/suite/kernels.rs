//! The kernels against plain double-precision loops, and the speed of programs (run by hand).

use std::{ops::Range, time::Instant};

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    execute::{Images, NormStatistics, Program, Scratch},
    graph::Architecture,
    kernels::{
        Activation, Pixel, activation,
        conv::{self, ConvShape},
        cross_entropy,
        norm::{self, GroupShape, Moments},
        pixel::{blocks, gather, scatter},
        pool::{self, PoolShape},
    },
    onnx::Model,
    ops::{registry, resolve, resolve_with_input},
    spaces::Space,
};

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// `[image][channel][pixel]` as pixels.
fn pack(x: &[f32], batch: usize, channels: usize) -> Vec<Pixel> {
    let plane = x.len() / (batch * channels);
    let mut out = vec![Pixel::splat(f32::NAN); channels * blocks(batch) * plane];
    gather(x, batch, channels, &mut out);
    out
}

fn unpack(x: &[Pixel], batch: usize, channels: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / blocks(batch) * batch];
    scatter(x, batch, channels, &mut out);
    out
}

#[track_caller]
fn assert_close(fast: &[f32], slow: &[f64], what: &str) {
    assert_eq!(fast.len(), slow.len(), "{what}");
    let scale = slow.iter().fold(1.0f64, |scale, value| scale.max(value.abs()));
    for (index, (fast, slow)) in fast.iter().zip(slow).enumerate() {
        let error = (f64::from(*fast) - slow).abs();
        assert!(error < 2e-5 * scale, "{what} at {index}: {fast} is not {slow}");
    }
}

/// Visits every product of a convolution: indices of output, input and weight.
fn products(shape: &ConvShape, batch: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let ([inputs, height, width], [outputs, rows, columns]) = (shape.input, shape.output);
    let (own_inputs, own_outputs) = (inputs / shape.groups, outputs / shape.groups);
    let [kh, kw] = shape.kernel;
    for image in 0..batch {
        for o in 0..outputs {
            for at in 0..rows * columns {
                for i in 0..own_inputs {
                    for tap in 0..kh * kw {
                        let y = (at / columns * shape.stride[0] + tap / kw * shape.dilation[0])
                            .wrapping_sub(shape.pad[0]);
                        let x = (at % columns * shape.stride[1] + tap % kw * shape.dilation[1])
                            .wrapping_sub(shape.pad[1]);
                        if y < height && x < width {
                            let channel = o / own_outputs * own_inputs + i;
                            visit(
                                (image * outputs + o) * rows * columns + at,
                                ((image * inputs + channel) * height + y) * width + x,
                                (o * own_inputs + i) * kh * kw + tap,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// A convolution of any geometry, and a batch.
fn convolutions() -> impl Strategy<Value = (ConvShape, usize)> {
    let pair = |range: Range<usize>| [range.clone(), range];
    let channels = (1usize..4, 1usize..12, 1usize..12);
    (channels, pair(1..12), pair(1..4), pair(1..4), pair(1..3), pair(0..3), pair(0..3), 1usize..36)
        .prop_map(|((groups, i, o), size, kernel, stride, dilation, pad, after, batch)| {
            // Every third is depthwise.
            let (groups, i, o) = if (i + o) % 3 == 0 { (i, 1, 1 + o % 2) } else { (groups, i, o) };
            let mut pad = pad;
            let extents: [usize; 2] = std::array::from_fn(|axis| {
                let reach = dilation[axis] * (kernel[axis] - 1) + 1;
                pad[axis] = pad[axis].min(reach - 1);
                let padded = size[axis] + pad[axis] + after[axis].min(reach - 1);
                padded.max(reach).saturating_sub(reach) / stride[axis] + 1
            });
            let input = [i * groups, size[0], size[1]];
            let output = [o * groups, extents[0], extents[1]];
            let blocks = blocks(batch);
            (ConvShape { blocks, input, output, kernel, stride, dilation, pad, groups }, batch)
        })
}

fn check_convolution(shape: &ConvShape, batch: usize) {
    let taps = shape.kernel[0] * shape.kernel[1];
    let count = |extent: [usize; 3]| batch * extent.iter().product::<usize>();
    let x = random(1, count(shape.input));
    let weight = random(2, shape.output[0] * shape.input[0] / shape.groups * taps);
    let bias = random(3, shape.output[0]);
    let dy = random(4, count(shape.output));
    let plane = shape.output[1] * shape.output[2];
    let mut y: Vec<f64> =
        (0..dy.len()).map(|at| bias[at / plane % shape.output[0]].into()).collect();
    let (mut dx, mut dw) = (vec![0.0f64; x.len()], vec![0.0f64; weight.len()]);
    let mut db = vec![0.0f64; bias.len()];
    for (at, dy) in dy.iter().enumerate() {
        db[at / plane % shape.output[0]] += f64::from(*dy);
    }
    products(shape, batch, |at, from, tap| {
        y[at] += f64::from(x[from]) * f64::from(weight[tap]);
        dx[from] += f64::from(dy[at]) * f64::from(weight[tap]);
        dw[tap] += f64::from(dy[at]) * f64::from(x[from]);
    });

    let scratch = &mut Scratch::default();
    let (px, pdy) = (pack(&x, batch, shape.input[0]), pack(&dy, batch, shape.output[0]));
    let mut out = vec![Pixel::splat(f32::NAN); pdy.len()];
    conv::forward(shape, &px, &weight, Some(&bias), &mut out, scratch);
    assert_close(&unpack(&out, batch, shape.output[0]), &y, "output");

    let mut out = vec![Pixel::splat(f32::NAN); px.len()];
    conv::backward_input(shape, &weight, &pdy, false, &mut out, scratch);
    assert_close(&unpack(&out, batch, shape.input[0]), &dx, "input gradient");
    conv::backward_input(shape, &weight, &pdy, true, &mut out, scratch);
    let twice: Vec<f64> = dx.iter().map(|value| 2.0 * value).collect();
    assert_close(&unpack(&out, batch, shape.input[0]), &twice, "added input gradient");

    let (mut weights, mut biases) = (vec![0.0; weight.len()], vec![0.0; bias.len()]);
    conv::backward_weight(shape, &px, &pdy, &mut weights, Some(&mut biases), scratch);
    assert_close(&weights, &dw, "weight gradient");
    assert_close(&biases, &db, "bias gradient");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn convolutions_of_any_geometry_are_exact((shape, batch) in convolutions()) {
        check_convolution(&shape, batch);
    }
}

#[test]
fn convolutions_that_do_not_fit_in_one_packed_copy_are_exact() {
    let dense = |channels, side, kernel: usize, stride: usize| ConvShape {
        blocks: 2,
        input: [channels, side, side],
        output: [20, side.div_ceil(stride), side.div_ceil(stride)],
        kernel: [kernel, kernel],
        stride: [stride, stride],
        dilation: [1, 1],
        pad: [kernel / 2, kernel / 2],
        groups: 1,
    };
    for shape in [dense(40, 17, 3, 1), dense(13, 40, 5, 2), dense(3, 90, 3, 1), dense(200, 6, 1, 1)]
    {
        check_convolution(&shape, 18);
    }
}

/// The derivative of `f` by each of `x`.
fn derivative(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut moved = x.to_vec();
    (0..x.len())
        .map(|index| {
            let mut at = |step: f64| {
                moved[index] = x[index] + step;
                f(&moved)
            };
            let difference = at(STEP) - at(-STEP);
            moved[index] = x[index];
            difference / (2.0 * STEP)
        })
        .collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}

fn reference(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(alpha) => x.max(0.0) + f64::from(alpha) * x.min(0.0),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::Silu => x * sigmoid(x),
        Activation::HardSigmoid { alpha, beta } => {
            (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
        }
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Tanh => x.tanh(),
        Activation::Elu(alpha) => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * x.exp_m1()
            }
        }
        Activation::Selu { alpha, gamma } => {
            f64::from(gamma) * if x > 0.0 { x } else { f64::from(alpha) * x.exp_m1() }
        }
        Activation::Celu(alpha) if x <= 0.0 => f64::from(alpha) * (x / f64::from(alpha)).exp_m1(),
        Activation::Celu(_) => x,
        Activation::Softplus => x.exp().ln_1p(),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Mish => x * x.exp().ln_1p().tanh(),
        Activation::Clip { low, high } => x.clamp(low.into(), high.into()),
    }
}

const ACTIVATIONS: [Activation; 16] = [
    Activation::Relu,
    Activation::LeakyRelu(0.1),
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Sigmoid,
    Activation::Silu,
    Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
    Activation::HardSwish,
    Activation::Tanh,
    Activation::Elu(0.7),
    Activation::Selu { alpha: 1.673_263_2, gamma: 1.050_701 },
    Activation::Celu(0.7),
    Activation::Softplus,
    Activation::Softsign,
    Activation::Mish,
    Activation::Clip { low: -0.5, high: 2.0 },
];

#[test]
fn activations_and_their_slopes_are_exact() {
    // Odd, so that kinks are not among them.
    let x: Vec<f32> = (-400..=400).map(|step| (step as f32 + 0.37) / 66.0).collect();
    for activation in ACTIVATIONS {
        let mut out = vec![0.0; x.len()];
        activation::apply(activation, &x, &mut out);
        let values: Vec<f64> = x.iter().map(|&x| reference(activation, x.into())).collect();
        assert_close(&out, &values, &format!("{activation:?}"));
        let mut slopes = vec![1.0; x.len()];
        activation::apply_backward(activation, &x, &mut slopes);
        let slow: Vec<f64> = x
            .iter()
            .map(|&x| {
                let at = |step: f64| reference(activation, f64::from(x) + step);
                (at(1e-6) - at(-1e-6)) / 2e-6
            })
            .collect();
        assert_close(&slopes, &slow, &format!("slope of {activation:?}"));
    }
}

#[test]
fn no_activation_hides_a_value_that_is_not_a_number() {
    for activation in ACTIVATIONS {
        let mut out = [0.0];
        activation::apply(activation, &[f32::NAN], &mut out);
        assert!(out[0].is_nan(), "{activation:?}");
    }
}

/// Mean and biased variance.
fn moments(x: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = x.clone().count() as f64;
    let mean = x.clone().sum::<f64>() / count;
    [mean, x.map(|x| (x - mean) * (x - mean)).sum::<f64>() / count]
}

#[test]
fn batch_normalisation_differentiates_through_its_statistics() {
    const EPSILON: f32 = 1e-3;
    for (batch, plane, rows) in [(3, 5, 0..3), (21, 2, 0..21), (40, 3, 13..35), (20, 4, 16..20)] {
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
            assert_close(&unpack(&out, batch, 1), &forward(&wide(&x), gain64, shift64), "output");

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
}

#[test]
fn group_normalisation_differentiates_through_its_statistics() {
    const EPSILON: f32 = 1e-3;
    for (batch, channels, pixels, groups) in [(2, 6, 3, 2), (17, 4, 2, 1), (3, 3, 9, 3)] {
        for activation in [None, Some(Activation::Silu)] {
            let x: Vec<f32> =
                random(7, batch * channels * pixels).iter().map(|x| x - 2.0).collect();
            let (dy, gain, shift) = (random(8, x.len()), random(9, channels), random(10, channels));
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
            assert_close(&unpack(&out, batch, channels), &forward(&x, &gain64, &shift64), "output");

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
            assert_close(&shifts, &derivative(&shift64, |shift| loss(&x, &gain64, shift)), "shift");
        }
    }
}

#[test]
fn pools_agree_with_plain_loops() {
    let shape = |input: [usize; 2], kernel: [usize; 2], stride: [usize; 2], pad: [usize; 2]| {
        let extent = |axis: usize| (input[axis] + 2 * pad[axis] - kernel[axis]) / stride[axis] + 1;
        PoolShape { input, output: [extent(0), extent(1)], kernel, stride, pad }
    };
    let shapes = [
        shape([8, 8], [2, 2], [2, 2], [0, 0]),
        shape([7, 5], [3, 3], [2, 1], [1, 1]),
        shape([5, 9], [1, 4], [1, 3], [0, 2]),
        shape([6, 6], [6, 6], [1, 1], [0, 0]),
    ];
    let (batch, channels) = (18, 2);
    for shape in shapes {
        let (plane, pixels) =
            (shape.input.iter().product::<usize>(), shape.output.iter().product::<usize>());
        let x = random(11, batch * channels * plane);
        let dy = random(12, batch * channels * pixels);
        for counts_pad in [None, Some(false), Some(true)] {
            let (mut y, mut dx) = (vec![0.0f64; dy.len()], vec![0.0f64; x.len()]);
            for at in 0..dy.len() {
                let (image, row, column) =
                    (at / pixels, at % pixels / shape.output[1], at % shape.output[1]);
                let cells: Vec<usize> = (0..shape.kernel[0] * shape.kernel[1])
                    .filter_map(|tap| {
                        let y = (row * shape.stride[0] + tap / shape.kernel[1])
                            .checked_sub(shape.pad[0])?;
                        let x = (column * shape.stride[1] + tap % shape.kernel[1])
                            .checked_sub(shape.pad[1])?;
                        (y < shape.input[0] && x < shape.input[1])
                            .then_some(image * plane + y * shape.input[1] + x)
                    })
                    .collect();
                match counts_pad {
                    None => {
                        let best = *cells.iter().max_by(|a, b| x[**a].total_cmp(&x[**b])).unwrap();
                        y[at] = x[best].into();
                        dx[best] += f64::from(dy[at]);
                    }
                    Some(all) => {
                        let count =
                            if all { shape.kernel[0] * shape.kernel[1] } else { cells.len() };
                        for cell in cells {
                            y[at] += f64::from(x[cell]) / count as f64;
                            dx[cell] += f64::from(dy[at]) / count as f64;
                        }
                    }
                }
            }
            let (px, pdy) = (pack(&x, batch, channels), pack(&dy, batch, channels));
            let (mut out, mut gradient) = (pdy.clone(), vec![Pixel::ZERO; px.len()]);
            match counts_pad {
                None => {
                    pool::max_forward(&shape, &px, &mut out);
                    pool::max_backward(&shape, &px, &out, &pdy, &mut gradient);
                }
                Some(all) => {
                    pool::average_forward(&shape, all, &px, &mut out);
                    pool::average_backward(&shape, all, &pdy, &mut gradient);
                }
            }
            assert_close(&unpack(&out, batch, channels), &y, "output");
            assert_close(&unpack(&gradient, batch, channels), &dx, "input gradient");
        }
    }
}

#[test]
fn equal_values_share_no_gradient() {
    let shape =
        PoolShape { input: [2, 2], output: [1, 1], kernel: [2, 2], stride: [2, 2], pad: [0, 0] };
    let x = [Pixel::splat(3.0); 4];
    let mut gradient = [Pixel::ZERO; 4];
    pool::max_backward(&shape, &x, &[x[0]], &[Pixel::splat(5.0)], &mut gradient);
    assert_eq!(gradient[0], Pixel::splat(5.0));
    assert_eq!(gradient[1..], [Pixel::ZERO; 3]);
}

/// A sampled graph with random weights for a batch, and its images.
struct Network {
    program: Program,
    weights: Vec<Vec<f32>>,
    images: Vec<f32>,
    shape: [usize; 4],
}

impl Network {
    /// `None` where the graph does not take images of this size.
    fn new(onnx: &[u8], shape: [usize; 4]) -> Option<Self> {
        let model = Model::from_bytes("sample", onnx.to_vec().into()).ok()?;
        let mut architecture = Architecture::from_model(&model).ok()?;
        resolve(&mut architecture, registry()).ok()?;
        resolve_with_input(&mut architecture, &shape, registry()).ok()?;
        let program = Program::compile(&architecture, registry()).ok()?;
        let weights = architecture.parameters.iter().enumerate().map(|(index, parameter)| {
            let bound = (3.0 / parameter.slots[0].fan_in.max(1) as f32).sqrt();
            let mut values = random(index as u64, parameter.len().unwrap_or(0));
            values.iter_mut().for_each(|value| *value *= bound);
            values
        });
        let weights = weights.collect();
        Some(Self { program, weights, images: random(99, shape.iter().product()), shape })
    }

    fn gradients(&self, rows: Range<usize>, scratch: &mut Scratch) -> (f32, Vec<Vec<f32>>) {
        let [batch, channels, height, width] = self.shape;
        let images = Images { batch, channels, height, width, data: &self.images };
        let labels: Vec<u16> = (0..batch).map(|image| image as u16 % 10).collect();
        let weights: Vec<&[f32]> = self.weights.iter().map(Vec::as_slice).collect();
        let classes = self.program.classes();
        let mut loss = |logits: &[f32], gradient: &mut [f32]| {
            cross_entropy(logits, &labels, 0.1, gradient, classes).loss
        };
        let statistics = NormStatistics::Measured { rows };
        let (loss, gradients) =
            self.program.gradients(&weights, images, &statistics, &mut loss, false, scratch);
        (loss, gradients.parameters)
    }
}

#[test]
fn used_scratch_memory_changes_nothing() {
    let space = Space::load("tiny").unwrap();
    let scratch = &mut Scratch::default();
    for seed in 0..12 {
        let graph = space.sample(seed).unwrap();
        let model = Model::from_bytes(&graph.name, graph.onnx.clone()).unwrap();
        let input = Architecture::from_model(&model).unwrap().inputs[0].shape.clone().unwrap();
        let network = Network::new(&graph.onnx, [21, input[1], input[2], input[3]]).unwrap();
        // Weights that are not a number must not leave traces.
        let mut broken = Network::new(&graph.onnx, network.shape).unwrap();
        broken.weights.iter_mut().flatten().for_each(|weight| *weight = f32::NAN);
        let fresh = network.gradients(3..20, &mut Scratch::default());
        assert!(!broken.gradients(3..20, scratch).0.is_finite());
        assert_eq!(fresh, network.gradients(3..20, scratch));
        assert!(fresh.0.is_finite());
    }
}

/// Milliseconds of the fastest of some runs.
fn fastest(mut run: impl FnMut()) -> f64 {
    let times = (0..10).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    });
    times.fold(f64::MAX, f64::min)
}

#[test]
#[ignore = "a benchmark"]
fn speed_of_convolutions() {
    println!("two stacked convolutions, forward and backward, batch 64, one core");
    for (channels, side, kernel, groups) in [
        (16, 16, 3, 1),
        (32, 16, 3, 1),
        (64, 8, 3, 1),
        (64, 16, 1, 1),
        (32, 16, 3, 32),
        (64, 32, 3, 1),
    ] {
        let extent = [channels, side, side];
        let shape = ConvShape {
            blocks: blocks(64),
            input: extent,
            output: extent,
            kernel: [kernel; 2],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [kernel / 2; 2],
            groups,
        };
        let x = pack(&random(1, 64 * channels * side * side), 64, channels);
        let weight = random(2, channels * channels / groups * kernel * kernel);
        let (mut out, mut dx) = (x.clone(), x.clone());
        let mut dw = vec![0.0; weight.len()];
        let scratch = &mut Scratch::default();
        let time = 2.0
            * fastest(|| {
                conv::forward(&shape, &x, &weight, None, &mut out, scratch);
                conv::backward_weight(&shape, &x, &out, &mut dw, None, scratch);
                conv::backward_input(&shape, &weight, &out, false, &mut dx, scratch);
            });
        let work = 12.0 * (64 * side * side * weight.len()) as f64;
        println!(
            "c{channels} hw{side} k{kernel} groups {groups}: {time:.2} ms, {:.0} GFLOP/s",
            work / time / 1e6
        );
    }
}

#[test]
#[ignore = "a benchmark"]
fn speed_on_sampled_graphs() {
    println!("one step (forward and backward, batch 64) on one core");
    let space = Space::load("cifar10").unwrap();
    for size in [16, 32] {
        let scratch = &mut Scratch::default();
        let (mut total, mut work, mut count) = (0.0, 0.0, 0.0);
        for seed in 0..60 {
            let graph = space.sample(seed).unwrap();
            let Some(network) = Network::new(&graph.onnx, [64, 3, size, size]) else { continue };
            total += fastest(|| {
                network.gradients(0..64, scratch);
            });
            work += 6.0 * 64.0 * graph.multiply_accumulates as f64 * (size * size) as f64 / 1024.0;
            count += 1.0;
        }
        println!(
            "{count} graphs at {size}x{size}: mean {:.2} ms, {:.0} GFLOP/s",
            total / count,
            work / total / 1e6
        );
    }
}
