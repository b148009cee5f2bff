//! The components of AZ-NAS (Lee and Ham 2024) that need a run; its fourth, complexity, is `flops`.
//! Features are those between [blocks], which are cut where the graph is one value wide instead of
//! where somebody's code has modules.
//!
//! [blocks]: crate::rank::blocks

use rand::Rng;

use crate::{
    execute::{Images, NormStatistics, Runner},
    rank::{
        Score, ScoreError, Subject,
        blocks::blocks,
        features::Features,
        spectrum::{Symmetric, transposed},
        subject::random,
    },
};

/// Most pixels that a covariance of channels is taken over.
const PIXELS: usize = 1024;
/// Most channels, or pixels where channels are more, whose covariance is decomposed.
const SAMPLES: usize = 256;

/// One of the three.
struct Component {
    name: &'static str,
    about: &'static str,
    of: fn(&Features) -> Result<f64, ScoreError>,
}

impl Score for Component {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        (self.of)(subject.features(Features::of)?)
    }
}

impl Features {
    fn of(subject: &Subject) -> Result<Self, ScoreError> {
        let blocks = blocks(&subject.architecture, &subject.live);
        let (mut entropies, mut stretches) = (Vec::new(), Vec::new());
        let mut shape = subject.input()?;
        let mut data = subject.noise("az images")?;
        let batch = subject.probe.images.shape[0];
        let all = NormStatistics::Measured { rows: 0..batch };
        let mut draws = random(subject.probe.seed, "az signs");
        let scratch = &mut subject.scratch.borrow_mut();
        for (index, block) in blocks.iter().enumerate() {
            let runner = Runner::new(block, &subject.registry);
            let [channels, height, width] = shape;
            let images = Images { batch, channels, height, width, data: &data };
            let output = block.outputs.first().and_then(|(_, output)| block.fact(*output)?.shape);
            let Some(&[_, c, h, w]) = output.as_deref() else { return Err(ScoreError::NotImages) };
            let mut signs: Vec<f32> = Vec::new();
            let mut returned = Vec::new();
            if index == 0 {
                returned = runner.logits(subject.weights(), images, &all, scratch)?;
            } else {
                let loss = &mut |values: &[f32], seeds: &mut [f32]| {
                    returned = values.to_vec();
                    let sign = |seed: &mut f32| *seed = if draws.random() { 1.0 } else { -1.0 };
                    seeds.iter_mut().for_each(sign);
                    signs = seeds.to_vec();
                    0.0
                };
                let (_, gradients) =
                    runner.gradients(subject.weights(), images, &all, loss, true, scratch)?;
                let gradient = gradients.images.unwrap_or_default();
                stretches.push(stretch(&gradient, shape, &signs, [c, h, w]));
            }
            shape = [c, h, w];
            entropies.push(entropy(&returned, shape));
            data = returned;
        }
        if entropies.len() < 2 {
            return Err(ScoreError::Lacks("two blocks between which it is one value wide"));
        }
        Ok(Self { entropies, stretches })
    }
}

/// One row of channels for each pixel.
fn pixels(images: &[f32], [channels, height, width]: [usize; 3]) -> Vec<f64> {
    let plane = height * width;
    let row = |image: &[f32], at: usize| -> Vec<f64> {
        (0..channels).map(|channel| f64::from(image[channel * plane + at])).collect()
    };
    let images = images.chunks_exact(channels * plane);
    images.flat_map(|image| (0..plane).flat_map(move |at| row(image, at))).collect()
}

/// Entropy of the normalised eigenvalues of the covariance of channels.
fn entropy(images: &[f32], shape: [usize; 3]) -> f64 {
    let channels = shape[0];
    let all = pixels(images, shape);
    let step = (all.len() / channels).div_ceil(PIXELS).max(1);
    let mut rows: Vec<f64> = all.chunks_exact(channels).step_by(step).flatten().copied().collect();
    let count = rows.len() / channels;
    let columns = transposed(&rows, channels);
    let means = columns.chunks_exact(count).map(|column| column.iter().sum::<f64>() / count as f64);
    let means: Vec<f64> = means.collect();
    for row in rows.chunks_exact_mut(channels) {
        row.iter_mut().zip(&means).for_each(|(value, mean)| *value -= mean);
    }
    let gram = if channels <= SAMPLES {
        Symmetric::gram(&transposed(&rows, channels), count)
    } else {
        let step = count.div_ceil(SAMPLES);
        let some: Vec<f64> = rows.chunks_exact(channels).step_by(step).flatten().copied().collect();
        Symmetric::gram(&some, channels)
    };
    let eigenvalues = gram.eigenvalues();
    let total: f64 = eigenvalues.iter().map(|value| value.max(0.0)).sum();
    let shares = eigenvalues.iter().map(|value| value.max(0.0) / total.max(1e-300));
    shares.map(|share| -share * (share + 1e-8).ln()).sum()
}

/// Largest singular value of the mean product of input and output gradients of a pixel. Pixels of a
/// larger input are stacked onto the channels of the pixel that they become.
fn stretch(gradient: &[f32], shape: [usize; 3], signs: &[f32], out: [usize; 3]) -> f64 {
    let [channels, height, width] = shape;
    let fold = [height / out[1].max(1), width / out[2].max(1)].map(|times| times.max(1));
    let (rows, columns) = (height / fold[0], width / fold[1]);
    let folded: Vec<f32> = gradient
        .chunks_exact(channels * height * width)
        .flat_map(|image| {
            let at = move |index: usize| {
                let (pixel, stacked) = (index % (rows * columns), index / (rows * columns));
                let (part, channel) =
                    (stacked % (fold[0] * fold[1]), stacked / (fold[0] * fold[1]));
                let row = pixel / columns * fold[0] + part / fold[1];
                let column = pixel % columns * fold[1] + part % fold[1];
                image[(channel * height + row) * width + column]
            };
            (0..channels * fold[0] * fold[1] * rows * columns).map(at)
        })
        .collect();
    let inputs = channels * fold[0] * fold[1];
    let from = pixels(&folded, [inputs, rows, columns]);
    let to = pixels(signs, out);
    let count = (from.len() / inputs).min(to.len() / out[0]);
    let mut matrix = vec![0.0; inputs * out[0]];
    for (from, to) in from.chunks_exact(inputs).zip(to.chunks_exact(out[0])) {
        for (row, from) in matrix.chunks_exact_mut(out[0]).zip(from) {
            row.iter_mut().zip(to).for_each(|(entry, to)| *entry += from * to / count as f64);
        }
    }
    largest_singular_value(&matrix, out[0])
}

/// By power iteration from a vector of ones, which random matrices do not annihilate.
fn largest_singular_value(matrix: &[f64], columns: usize) -> f64 {
    let mut vector = vec![1.0; columns];
    let mut value = 0.0;
    for _ in 0..100 {
        let mut next = vec![0.0; columns];
        for row in matrix.chunks_exact(columns) {
            let product: f64 = row.iter().zip(&vector).map(|(a, b)| a * b).sum();
            next.iter_mut().zip(row).for_each(|(next, entry)| *next += product * entry);
        }
        let norm = next.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
        let before = std::mem::replace(&mut value, norm.sqrt());
        if norm == 0.0 || (value - before).abs() < 1e-6 * value {
            break;
        }
        vector = next.into_iter().map(|entry| entry / norm).collect();
    }
    value
}

pub(in crate::rank) fn scores() -> Vec<Box<dyn Score>> {
    let all = [
        Component {
            name: "az-expressivity",
            about: "entropy of the principal components of features, summed over blocks",
            of: |features| Ok(features.entropies.iter().sum()),
        },
        Component {
            name: "az-progressivity",
            about: "the least gain of that entropy from block to block",
            of: |features| {
                let gains = features.entropies.windows(2).map(|pair| pair[1] - pair[0]);
                Ok(gains.fold(f64::INFINITY, f64::min))
            },
        },
        Component {
            name: "az-trainability",
            about: "how near 1 the blocks' Jacobians stretch a gradient",
            of: |features| {
                let term = |stretch: &f64| 2.0 - stretch - 1.0 / (stretch + 1e-6);
                let terms = features.stretches.iter().map(term);
                Ok(terms.sum::<f64>() / features.stretches.len() as f64)
            },
        },
    ];
    all.into_iter().map(|score| Box::new(score) as Box<dyn Score>).collect()
}
