//! Pooling over windows.

use super::{
    super::{
        Pixel,
        pool::{self, PoolShape, Windows},
        simd::at_every_level,
    },
    assert_close, pack, random, unpack,
};

#[test]
fn pools_agree_with_plain_loops() {
    at_every_level(|_| {
        let shape = |input: [usize; 2], kernel: [usize; 2], stride: [usize; 2], pad: [usize; 2]| {
            let extent =
                |axis: usize| (input[axis] + 2 * pad[axis] - kernel[axis]) / stride[axis] + 1;
            let windows = Windows::Sliding { kernel, stride, pad };
            (PoolShape { input, output: [extent(0), extent(1)], windows }, kernel, stride, pad)
        };
        let shapes = [
            shape([8, 8], [2, 2], [2, 2], [0, 0]),
            shape([7, 5], [3, 3], [2, 1], [1, 1]),
            shape([5, 9], [1, 4], [1, 3], [0, 2]),
            shape([6, 6], [6, 6], [1, 1], [0, 0]),
        ];
        let (batch, channels) = (18, 2);
        for (shape, kernel, stride, pad) in shapes {
            let (plane, pixels) =
                (shape.input.iter().product::<usize>(), shape.output.iter().product::<usize>());
            let x = random(11, batch * channels * plane);
            let dy = random(12, batch * channels * pixels);
            for counts_pad in [None, Some(false), Some(true)] {
                let (mut y, mut dx) = (vec![0.0f64; dy.len()], vec![0.0f64; x.len()]);
                for at in 0..dy.len() {
                    let (image, row, column) =
                        (at / pixels, at % pixels / shape.output[1], at % shape.output[1]);
                    let cells: Vec<usize> = (0..kernel[0] * kernel[1])
                        .filter_map(|tap| {
                            let y = (row * stride[0] + tap / kernel[1]).checked_sub(pad[0])?;
                            let x = (column * stride[1] + tap % kernel[1]).checked_sub(pad[1])?;
                            (y < shape.input[0] && x < shape.input[1])
                                .then_some(image * plane + y * shape.input[1] + x)
                        })
                        .collect();
                    match counts_pad {
                        None => {
                            let best =
                                *cells.iter().max_by(|a, b| x[**a].total_cmp(&x[**b])).unwrap();
                            y[at] = x[best].into();
                            dx[best] += f64::from(dy[at]);
                        }
                        Some(all) => {
                            let count = if all { kernel[0] * kernel[1] } else { cells.len() };
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
    });
}

#[test]
fn equal_values_share_no_gradient() {
    at_every_level(|_| {
        let shape = PoolShape {
            input: [2, 2],
            output: [1, 1],
            windows: Windows::Sliding { kernel: [2, 2], stride: [2, 2], pad: [0, 0] },
        };
        let x = [Pixel::splat(3.0); 4];
        let mut gradient = [Pixel::ZERO; 4];
        pool::max_backward(&shape, &x, &[x[0]], &[Pixel::splat(5.0)], &mut gradient);
        assert_eq!(gradient[0], Pixel::splat(5.0));
        assert_eq!(gradient[1..], [Pixel::ZERO; 3]);
    });
}

#[test]
fn adaptive_windows_are_those_of_pytorch() {
    at_every_level(|_| {
        let shape = PoolShape { input: [2, 3], output: [3, 2], windows: Windows::Adaptive };
        let x: Vec<Pixel> = (1..=6u8).map(|it| Pixel::splat(it.into())).collect();
        let mut out = vec![Pixel::ZERO; 6];
        pool::average_forward(&shape, false, &x, &mut out);
        // torch.nn.AdaptiveAvgPool2d((3, 2))(torch.arange(1., 7.).view(1, 2, 3))
        let expected = [1.5, 2.5, 3.0, 4.0, 4.5, 5.5];
        assert_eq!(out, expected.map(Pixel::splat));
        let mut gradient = vec![Pixel::ZERO; 6];
        pool::average_backward(&shape, false, &vec![Pixel::splat(4.0); 6], &mut gradient);
        assert_eq!(gradient, [3.0, 6.0, 3.0, 3.0, 6.0, 3.0].map(Pixel::splat));
    });
}
