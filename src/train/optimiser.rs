//! AdamW on one flat parameter vector. Kept on the host, so that clipping, skipping, averaging and
//! resuming are exact and the same on every device.

use rayon::prelude::*;

use crate::{
    kernels::elementwise::dot,
    neural::Entry,
    optimise::{Adam, clip, cosine, warm_up},
};

use super::OptimiserConfig;

/// Optimiser state over the flat parameter vector of a module.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    /// Parameter values.
    pub values: Vec<f32>,
    /// Exponential moving average of the values.
    pub average: Vec<f32>,
    /// First moments.
    pub first: Vec<f32>,
    /// Second moments.
    pub second: Vec<f32>,
    /// Updates made.
    pub updates: u64,
}

/// Values that one core updates at a time. Fixed, so that sums do not depend on the cores.
const CHUNK: usize = 1 << 14;

impl AdamW {
    /// Starts from the given values.
    pub fn new(values: Vec<f32>) -> Self {
        let zeros = vec![0.0; values.len()];
        Self { average: values.clone(), first: zeros.clone(), second: zeros, values, updates: 0 }
    }

    /// One update by the gradient of each entry; an empty one stands for zeros. Returns the norm of
    /// the gradient of what is trained before clipping; a non-finite gradient changes nothing and
    /// returns `None`.
    pub fn update(
        &mut self,
        entries: &[Entry],
        gradient: &[Vec<f32>],
        rate: f32,
        config: &OptimiserConfig,
    ) -> Option<f32> {
        let is_trained = |entry: &Entry| entry.name.starts_with(&config.only);
        let squares: Vec<f64> = entries
            .par_iter()
            .zip(gradient)
            .filter(|(entry, _)| is_trained(entry))
            .flat_map(|(_, gradient)| gradient.par_chunks(CHUNK))
            .map(|chunk| f64::from(dot(chunk, chunk)))
            .collect();
        let norm = squares.iter().sum::<f64>().sqrt() as f32;
        if !norm.is_finite() {
            return None;
        }
        self.updates += 1;
        let scale = clip(norm, config.clip);
        // Early averages would remember the random start for too long.
        let ema = config.ema.min((1.0 + self.updates as f32) / (10.0 + self.updates as f32));
        let zeros = [0.0; CHUNK];
        let mut start = 0;
        for (entry, gradient) in entries.iter().zip(gradient) {
            let range = start..start + entry.len();
            start = range.end;
            if !is_trained(entry) {
                continue;
            }
            let learned = entry.name.starts_with("calibration");
            let rate = if learned { rate * config.calibration_rate } else { rate };
            let matrix = entry.shape.len() == 2 && !learned;
            let keep = if matrix { 1.0 - rate * config.weight_decay } else { 1.0 };
            let adam = Adam::at(self.updates, rate, scale).keeping(keep);
            self.values[range.clone()]
                .par_chunks_mut(CHUNK)
                .zip(self.average[range.clone()].par_chunks_mut(CHUNK))
                .zip(self.first[range.clone()].par_chunks_mut(CHUNK))
                .zip(self.second[range].par_chunks_mut(CHUNK))
                .enumerate()
                .for_each(|(index, (((values, average), first), second))| {
                    let gradient = match gradient.get(index * CHUNK..) {
                        Some(rest) if !rest.is_empty() => rest,
                        _ => &zeros,
                    };
                    adam.step(values, first, second, gradient);
                    for (average, value) in average.iter_mut().zip(&*values) {
                        *average += (1.0 - ema) * (value - *average);
                    }
                });
        }
        Some(norm)
    }
}

/// Learning rate at a step: linear warm-up, then cosine to zero.
pub fn schedule(step: u64, steps: u64, config: &OptimiserConfig) -> f32 {
    if step < config.warmup {
        return warm_up(config.learning_rate, step, config.warmup);
    }
    let span = steps.saturating_sub(config.warmup).max(1) as f32;
    config.learning_rate * cosine((step - config.warmup) as f32 / span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    fn entries() -> Vec<Entry> {
        vec![Entry { name: "weight".into(), shape: vec![2, 2] }]
    }

    #[test]
    fn descends_a_quadratic() {
        let config = OptimiserConfig { weight_decay: 0.0, ..Default::default() };
        let mut adam = AdamW::new(vec![1.0, -2.0, 3.0, 0.5]);
        for _ in 0..2000 {
            let gradient = adam.values.iter().map(|value| 2.0 * value).collect();
            adam.update(&entries(), &[gradient], 1e-2, &config);
        }
        for value in adam.values {
            assert_abs_diff_eq!(value, 0.0, epsilon = 1e-2);
        }
    }

    #[test]
    fn a_non_finite_gradient_changes_nothing() {
        let mut adam = AdamW::new(vec![1.0; 4]);
        let before = adam.clone();
        let gradient = vec![f32::NAN, 0.0, 0.0, 0.0];
        assert_eq!(adam.update(&entries(), &[gradient], 1.0, &OptimiserConfig::default()), None);
        assert_eq!(adam, before);
    }

    #[test]
    fn only_what_is_named_is_trained() {
        let config = OptimiserConfig { only: "own.".to_owned(), clip: 1e9, ..Default::default() };
        let entries = ["own.weight", "other.weight"]
            .map(|name| Entry { name: name.to_owned(), shape: vec![1, 2] });
        let mut adam = AdamW::new(vec![1.0; 4]);
        let gradient = [vec![3.0, 4.0], vec![f32::MAX, 1.0]];
        assert_eq!(adam.update(&entries, &gradient, 0.1, &config), Some(5.0));
        assert_eq!((&adam.values[2..], &adam.average[2..]), (&[1.0; 2][..], &[1.0; 2][..]));
        assert!(adam.values[..2].iter().all(|value| *value < 1.0));
    }

    #[test]
    fn the_schedule_rises_and_falls() {
        let config = OptimiserConfig { learning_rate: 1.0, warmup: 10, ..Default::default() };
        assert_abs_diff_eq!(schedule(0, 110, &config), 0.1);
        assert_abs_diff_eq!(schedule(10, 110, &config), 1.0);
        assert_abs_diff_eq!(schedule(60, 110, &config), 0.5, epsilon = 1e-6);
        assert_abs_diff_eq!(schedule(110, 110, &config), 0.0, epsilon = 1e-6);
    }
}
