//! Which channels of two networks do the same, by what they return on images.

use burn::tensor::Device;

use crate::{
    condition::Fitting,
    execute::upload_weights,
    graph::{Architecture, NodeIndex, Operand, Weights},
    kernels::{
        Step,
        gemm::{View, multiply},
    },
    ops::Registry,
    zoo::{Groups, Place, assign},
};

use super::{
    MergeError,
    activations::{PASS, activations, by_channel},
    layer::{Layer, readers},
};

/// Images that activations are compared on.
const IMAGES: usize = 128;

/// By group, the order of a network's channels whose activations correlate most with those of a reference,
/// summed over all layers that make channels of the group.
pub(super) fn matched(
    fitting: &Fitting,
    groups: &Groups,
    weights: &Weights,
    reference: &Weights,
) -> Result<Vec<Vec<usize>>, MergeError> {
    let Fitting { architecture, registry, images, .. } = *fitting;
    let unmeasured = |why| MergeError::Unmeasured { needs: "'activations'", why };
    let fitted = images.fitted(architecture, IMAGES).map_err(unmeasured)?.images;
    let layers = Layer::all(architecture, registry);
    let signals: Vec<Operand> =
        layers.iter().map(|layer| signal(architecture, registry, layer.node)).collect();
    let part = architecture.returning(&signals);
    let device = Device::flex();
    let networks = [reference, weights].map(|it| upload_weights(architecture, it, &device));
    let mut moments: Vec<Moments> = layers.iter().map(|it| Moments::new(it.channels())).collect();
    for (_, pass) in fitted.passes(PASS) {
        let run = |network: usize| {
            activations(fitting, &part, &networks[network], &pass, &device).map_err(unmeasured)
        };
        let (own, other) = (run(0)?, run(1)?);
        for (((layer, moments), a), b) in layers.iter().zip(&mut moments).zip(&own).zip(&other) {
            let [a, b] =
                [a, b].map(|it| by_channel(&it.download(), it.shape(), layer.channel_axis));
            moments.add(&a, &b);
        }
    }
    let sizes = groups.sizes();
    let mut gains: Vec<Vec<f32>> = sizes.iter().map(|size| vec![0.0; size * size]).collect();
    for (layer, moments) in layers.iter().zip(&moments) {
        let moving = groups.moving(layer.weight).iter().find(|moving| moving.axis == layer.axis);
        let Some(moving) = moving else { continue };
        let placed = |(index, place): (usize, &Option<_>)| Some((index, (*place)?));
        let places: Vec<(usize, Place)> =
            moving.places.iter().enumerate().filter_map(placed).collect();
        for &(row, to) in &places {
            // Channels that move together keep their order.
            let alike = |from: &Place| (from.group, from.part) == (to.group, to.part);
            for &(column, from) in places.iter().filter(|(_, from)| alike(from)) {
                let size = sizes[to.group];
                gains[to.group][to.channel * size + from.channel] +=
                    moments.correlation(row, column);
            }
        }
    }
    Ok(gains.iter().zip(sizes).map(|(gains, &size)| assign(gains, size)).collect())
}

/// What a layer makes, behind the normalisations and non-linearities that alone read it.
fn signal(architecture: &Architecture, registry: &Registry, mut node: NodeIndex) -> Operand {
    while let [reader] = readers(architecture, node)[..] {
        match registry.step(architecture, &architecture.dag[reader]) {
            Some(Step::BatchNorm { .. } | Step::Activation(_)) => node = reader,
            _ => break,
        }
    }
    Operand::Node { node, slot: 0 }
}

/// Sums over activations of two networks.
struct Moments {
    count: f64,
    sums: [Vec<f64>; 2],
    squares: [Vec<f64>; 2],
    products: Vec<f32>,
}

impl Moments {
    fn new(channels: usize) -> Self {
        let none = || [vec![0.0; channels], vec![0.0; channels]];
        Self { count: 0.0, sums: none(), squares: none(), products: vec![0.0; channels * channels] }
    }

    /// Adds activations, a row per channel.
    fn add(&mut self, a: &[f32], b: &[f32]) {
        let channels = self.sums[0].len();
        let width = a.len() / channels;
        self.count += width as f64;
        for (network, values) in [a, b].into_iter().enumerate() {
            for (channel, row) in values.chunks_exact(width).enumerate() {
                for &value in row {
                    self.sums[network][channel] += f64::from(value);
                    self.squares[network][channel] += f64::from(value).powi(2);
                }
            }
        }
        let extents = [channels, channels, width];
        let (a, b) = (View::rows(a, width), View::transposed(b, width));
        multiply(extents, a, b, &mut self.products, channels, true);
    }

    /// Of a channel of the first network and one of the second; none where one of them is constant.
    fn correlation(&self, row: usize, column: usize) -> f32 {
        let channels = self.sums[0].len();
        let mean = |network: usize, channel: usize| self.sums[network][channel] / self.count;
        let variance = |network: usize, channel: usize| {
            self.squares[network][channel] / self.count - mean(network, channel).powi(2)
        };
        let scale = (variance(0, row) * variance(1, column)).max(0.0).sqrt();
        let product = f64::from(self.products[row * channels + column]) / self.count;
        let together = product - mean(0, row) * mean(1, column);
        if scale > 1e-12 { (together / scale) as f32 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn channels_that_do_the_same_correlate() {
        let mut moments = Moments::new(2);
        // The second network does the same with channels exchanged, scaled and shifted.
        moments.add(&[1.0, 2.0, 3.0, 0.0, 1.0, 0.0], &[5.0, 7.0, 5.0, 0.0, 3.0, 6.0]);
        assert_abs_diff_eq!(moments.correlation(0, 1), 1.0, epsilon = 1e-5);
        assert_abs_diff_eq!(moments.correlation(1, 0), 1.0, epsilon = 1e-5);
        assert_abs_diff_eq!(moments.correlation(0, 0), 0.0, epsilon = 1e-5);
    }
}
