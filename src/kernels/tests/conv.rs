//! Convolutions of any geometry, and their speed (run by hand).

use std::{ops::Range, time::Instant};

use proptest::prelude::*;

use super::{
    super::{
        Pixel, Scratch,
        conv::{self, ConvShape},
        pixel::blocks,
        simd::at_every_level,
    },
    assert_close, pack, random, unpack,
};

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

    let (px, pdy) = (pack(&x, batch, shape.input[0]), pack(&dy, batch, shape.output[0]));
    let scratch = &mut Scratch::default();
    at_every_level(|_| {
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
    });
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
