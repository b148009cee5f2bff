//! How much each of several networks counts in each tensor of their mean, learned from labelled images (Wortsman et
//! al. 2022, arXiv:2203.05482, *learned soup*).

use std::sync::Arc;

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    data::{Augmentation, Dataset},
    graph::{ParameterId, Weights},
    observer::Observer,
    optimise::{Adam, cosine},
    weights::dot,
};

use super::{ConditionError, Fitting, loss::SupportLoss};

/// Steps of a run.
const STEPS: usize = 400;
/// Images of a step.
const BATCH: usize = 128;
/// Peak learning rate of the shares.
const RATE: f32 = 0.02;

/// Networks of one graph, and the share that each has in each tensor of their mean. Shares of a tensor sum to 1 and
/// may lie outside of 0 to 1.
#[derive(Clone, Debug)]
pub struct LearnedSoup<'a> {
    network: Fitting<'a>,
    networks: &'a [Weights],
    /// By parameter, then by network.
    shares: Vec<Vec<f32>>,
}

impl<'a> LearnedSoup<'a> {
    /// The same shares, which sum to 1, for all tensors.
    pub fn new(network: Fitting<'a>, networks: &'a [Weights], shares: &[f64]) -> Self {
        let shares: Vec<f32> = shares.iter().map(|&share| share as f32).collect();
        Self { network, networks, shares: vec![shares; network.architecture.parameters.len()] }
    }

    /// The mean. Tensors that are fixed or no floats are those of the first network.
    pub fn weights(&self) -> Weights {
        let mut mean = self.networks[0].map(|id, first| {
            if !self.mixes(id) {
                return first.to_vec();
            }
            let mut sum = vec![0.0; first.len()];
            for (network, share) in self.networks.iter().zip(&self.shares[id.0]) {
                let values = network.get(id).unwrap_or(first);
                sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += share * value);
            }
            sum
        });
        self.network.architecture.constrain(&mut mean);
        mean
    }

    /// The share of each network, over all values that are mixed.
    pub fn shares(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.networks.len()];
        let mut values = 0.0;
        for (id, first) in self.networks[0].tensors().filter(|(id, _)| self.mixes(*id)) {
            values += first.len() as f64;
            let shares = sums.iter_mut().zip(&self.shares[id.0]);
            shares.for_each(|(sum, share)| *sum += f64::from(*share) * first.len() as f64);
        }
        sums.into_iter().map(|sum| sum / values).collect()
    }

    fn mixes(&self, id: ParameterId) -> bool {
        self.network.architecture.parameters[id.0].is_free()
    }

    /// Moves the shares by Adam along the gradient of the cross-entropy on batches of images, 51,200 in all. Images
    /// have the channels that the network reads.
    ///
    /// # Errors
    ///
    /// Network and images do not fit, or the network cannot be run.
    pub fn learn(
        &mut self,
        data: &Dataset,
        seed: u64,
        observer: &Arc<dyn Observer>,
    ) -> Result<(), ConditionError> {
        let loss = SupportLoss::new(&self.network, data, Augmentation::None, 0.0)?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (batch, mut order) = (BATCH.min(data.len()), Vec::new());
        let zero = vec![vec![0.0f32; self.networks.len()]; self.shares.len()];
        let (mut first, mut second) = (zero.clone(), zero);
        observer.begin(STEPS as u64, 0);
        for step in 0..STEPS {
            if order.len() < batch {
                order = (0..data.len()).collect();
                order.shuffle(&mut random);
            }
            let picked = order.split_off(order.len() - batch);
            let (images, labels) = loss.batcher.pick(&picked, &mut random);
            let mean = self.weights();
            let (_, gradient) = loss.gradient(&mean, &images, &labels)?;
            let slopes = self.slopes(&mean, &gradient);
            let rate = RATE * cosine(step as f32 / STEPS as f32);
            let adam = Adam::at(step as u64 + 1, rate, 1.0);
            let moments = first.iter_mut().zip(&mut second);
            let shares = self.shares.iter_mut().zip(&slopes).zip(moments);
            for ((shares, slopes), (first, second)) in shares {
                adam.step(shares, first, second, slopes);
                let excess = (shares.iter().sum::<f32>() - 1.0) / shares.len() as f32;
                shares.iter_mut().for_each(|share| *share -= excess);
            }
            observer.advance(1);
        }
        observer.end();
        Ok(())
    }

    /// Slopes of the loss along the shares, by parameter; a network that is the mean has none.
    fn slopes(&self, mean: &Weights, gradient: &Weights) -> Vec<Vec<f32>> {
        let slopes = |index: usize| {
            let id = ParameterId(index);
            let gradient = gradient.get(id).filter(|_| self.mixes(id));
            let (Some(mean), Some(gradient)) = (mean.get(id), gradient) else {
                return vec![0.0; self.networks.len()];
            };
            let of_mean = dot(mean, gradient);
            let along = |values: &[f32]| (dot(values, gradient) - of_mean) as f32;
            self.networks.iter().map(|network| network.get(id).map_or(0.0, along)).collect()
        };
        (0..self.shares.len()).into_par_iter().map(slopes).collect()
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use crate::{
        graph::Architecture,
        onnx::Model,
        ops::{Registry, resolve},
        predictor::{CalibrationImages, InputConfig},
        spaces::plain_cnn,
        weights::he_initialisation,
    };

    use super::*;

    #[test]
    fn slopes_are_those_of_finite_differences() {
        let model = Model::from_bytes("plain", plain_cnn().into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        let registry = &Registry::standard();
        resolve(&mut architecture, registry).unwrap();
        let input = &InputConfig { mean: vec![0.5; 3], std: vec![0.25; 3], size: 32 };
        let images = &CalibrationImages { shape: [0, 3, 32, 32], data: Vec::new() };
        let network = Fitting { architecture: &architecture, registry, input, images };
        let networks: Vec<Weights> =
            (0..3).map(|seed| he_initialisation(&architecture, seed)).collect();
        let mut soup = LearnedSoup::new(network, &networks, &[0.5, 0.7, -0.2]);
        // A loss that is linear in the weights: its gradient is known.
        let gradient = he_initialisation(&architecture, 3);
        let loss = |soup: &LearnedSoup| -> f64 {
            let mean = soup.weights();
            mean.tensors().map(|(id, mean)| dot(mean, gradient.get(id).unwrap())).sum()
        };
        let (before, slopes) = (loss(&soup), soup.slopes(&soup.weights(), &gradient));
        let trained = |index: &usize| architecture.parameters[*index].slots[0].fan_in > 1;
        let index = (0..slopes.len()).find(trained).unwrap();
        soup.shares[index][0] += 0.25;
        soup.shares[index][2] -= 0.25;
        let expected = 0.25 * f64::from(slopes[index][0] - slopes[index][2]);
        assert!(expected.abs() > 1e-3, "{expected}");
        assert_relative_eq!(loss(&soup) - before, expected, max_relative = 1e-3);
        let sum: f64 = soup.shares().iter().sum();
        assert_relative_eq!(sum, 1.0, epsilon = 1e-5);
    }
}
