//! Sharing the work of one kernel among cores. Training runs many small networks side by side and never gets there;
//! a large network that is run alone does.

/// Multiply-accumulates, those of all images, from which on it pays: some ten milliseconds of one core.
const WORTHWHILE: usize = 1 << 28;

/// Among how many cores work is shared that can be split so often.
pub(super) fn shared_among(most: usize, multiply_accumulates: usize) -> usize {
    if multiply_accumulates < WORTHWHILE {
        1
    } else {
        rayon::current_num_threads().min(most).max(1)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::{
        Pixel, Scratch,
        conv::{self, ConvShape},
        gather::Position,
        gemm::{View, multiply_shared},
        pixel::flat_mut,
        product::{Product, Stack},
        softmax::{self, AxisShape},
    };

    fn on_cores<T: Send>(count: usize, work: impl Fn() -> T + Sync + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(work)
    }

    fn pixels(count: usize) -> Vec<Pixel> {
        let mut x = vec![Pixel::ZERO; count];
        let pixels = flat_mut(&mut x);
        pixels.copy_from_slice(&values(pixels.len()));
        x
    }

    fn values(count: usize) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
    }

    #[test]
    fn convolutions_do_not_depend_on_the_number_of_cores() {
        for (groups, channels) in [(1, 44), (4, 80)] {
            let shape = ConvShape {
                blocks: 2,
                input: [channels, 28, 28],
                output: [channels + 4 * (groups / 4), 28, 28],
                kernel: [3, 3],
                stride: [1, 1],
                dilation: [1, 1],
                pad: [1, 1],
                groups,
            };
            let outputs = shape.output[0];
            let x = pixels(channels * 2 * 28 * 28);
            let (weight, bias) = (values(outputs * channels / groups * 9), values(outputs));
            let run = || {
                let mut out = vec![Pixel::ZERO; outputs * 2 * 28 * 28];
                let scratch = &mut Scratch::default();
                conv::forward(&shape, &x, &weight, Some(&bias), &mut out, scratch);
                out
            };
            let alone = on_cores(1, run);
            assert!(alone == on_cores(3, run), "{groups} groups");
            assert!(alone == on_cores(8, run), "{groups} groups");
        }
    }

    #[test]
    fn linear_maps_do_not_depend_on_the_number_of_cores() {
        let [m, n, k] = [600, 700, 700];
        let (a, b) = (values(m * k), values(k * n));
        let run = || {
            let mut out = vec![0.0; m * n];
            multiply_shared([m, n, k], View::rows(&a, k), View::rows(&b, n), &mut out);
            out
        };
        assert_eq!(on_cores(1, run), on_cores(3, run));
    }

    #[test]
    fn attention_does_not_depend_on_the_number_of_cores() {
        let [heads, tokens, size] = [3, 90, 96];
        let stack = |rows: usize, columns: usize| Stack {
            starts: (0..heads).map(|head| minor(head * rows * columns)).collect(),
            row: minor(columns),
            column: minor(1),
            minors: heads * rows * columns,
        };
        let (left, right, scores) =
            (stack(tokens, size), stack(size, tokens), stack(tokens, tokens));
        let product = Product { extents: [tokens, tokens, size], a: left, b: right, out: scores };
        let (a, b) = (pixels(8 * heads * tokens * size), pixels(8 * heads * tokens * size));
        let shape = AxisShape { outer: 8 * heads * tokens, length: tokens, inner: 1 };
        let run = || {
            let mut sums = vec![Pixel::ZERO; 8 * heads * tokens * tokens];
            product.forward(8, &a, &b, &mut sums);
            let mut shares = vec![Pixel::ZERO; sums.len()];
            softmax::forward_shared(shape, &sums, &mut shares);
            (sums, shares)
        };
        let alone = on_cores(1, run);
        assert!(alone == on_cores(2, run));
        assert!(alone == on_cores(5, run));
    }

    fn minor(minor: usize) -> Position {
        Position { major: 0, minor }
    }
}
