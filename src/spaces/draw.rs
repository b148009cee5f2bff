//! Random choices, the same on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Choices with their weights, as TOML writes them: `[["relu", 0.5], ["tanh", 0.1]]`.
pub(super) type Weighted<T> = Vec<(T, f64)>;

/// A stream of choices, named by a space and a seed.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub fn new(space: &str, seed: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"weightsmith search space\0");
        hash.update(seed.to_le_bytes());
        hash.update(space);
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the choices, `None` where there is none.
    pub fn pick<T: Copy>(&mut self, choices: &[(T, f64)]) -> Option<T> {
        let mut left = self.unit() * choices.iter().map(|(_, weight)| weight).sum::<f64>();
        for (choice, weight) in choices {
            left -= weight;
            if left < 0.0 {
                return Some(*choice);
            }
        }
        choices.last().map(|(choice, _)| *choice)
    }

    /// A whole number between two, both included; the density falls towards the higher.
    pub fn width(&mut self, [low, high]: [usize; 2]) -> usize {
        let (first, second) = (self.unit(), self.unit());
        low + (first * second.sqrt() * (high - low + 1) as f64) as usize
    }

    /// A number between two, its logarithm uniform. Square roots are the same on every machine, powers
    /// need not be.
    pub fn log_uniform(&mut self, [low, high]: [f64; 2]) -> f64 {
        let (mut rest, mut root, mut value) = (self.unit(), high / low, low);
        for _ in 0..32 {
            (rest, root) = (2.0 * rest, root.sqrt());
            if rest >= 1.0 {
                (rest, value) = (rest - 1.0, value * root);
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octave_is_as_likely() {
        let mut draw = Draw::new("test", 0);
        let mut octaves = [0; 8];
        for _ in 0..8000 {
            let value = draw.log_uniform([3.0, 768.0]);
            assert!((3.0..=768.0).contains(&value), "{value}");
            octaves[((value / 3.0).log2() as usize).min(7)] += 1;
        }
        assert!(octaves.iter().all(|count| (880..1120).contains(count)), "{octaves:?}");
    }
}
