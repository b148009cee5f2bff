//! Weights by retrieval: those of the nearest graph of a zoo, cropped or tiled to fit. The baseline
//! that asks how much of a prediction is memory.

use std::{collections::BTreeMap, path::Path};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    benchmark::Baseline,
    graph::{Architecture, Parameter, Role, Weights},
    neural::normal,
    ops::Registry,
    predictor::Prediction,
    zoo::{Origin, Record, Zoo},
};

use crate::Failure;

/// What the name of a baseline begins with for the weights of the nearest graph of a zoo, and for the mean of
/// its nearest graphs plus noise.
const NEAREST: &str = "nearest:";
const MEAN: &str = "mean:";
/// Graphs of such a mean, and its noise beside the root mean square of each tensor.
const MEAN_OF: (usize, f32) = (32, 0.1);

/// A zoo whose graphs were drawn again, to look up the nearest.
#[derive(Debug)]
pub struct Retrieval {
    name: String,
    zoo: Zoo,
    graphs: Vec<Known>,
    neighbours: usize,
    noise: f32,
}

/// A graph of the zoo.
#[derive(Debug)]
struct Known {
    architecture: Architecture,
    descriptor: Descriptor,
    /// Its best checkpoint.
    record: Record,
}

/// What graphs are compared by: the share of every operator, and the logarithms of sizes.
#[derive(Debug)]
struct Descriptor {
    operators: BTreeMap<String, f64>,
    sizes: [f64; 3],
}

impl Retrieval {
    /// The baseline of a name; `None` where it is none of retrieval.
    pub fn named(name: &str) -> Result<Option<Self>, Failure> {
        match (name.strip_prefix(NEAREST), name.strip_prefix(MEAN)) {
            (Some(zoo), _) => Self::open(name, Path::new(zoo), 1, 0.0).map(Some),
            (_, Some(zoo)) => Self::open(name, Path::new(zoo), MEAN_OF.0, MEAN_OF.1).map(Some),
            _ => Ok(None),
        }
    }

    /// Opens a zoo. With several neighbours their weights are averaged, and normal noise of `noise`
    /// times the root mean square of each tensor is added: with many, the mean of the zoo plus noise.
    fn open(name: &str, folder: &Path, neighbours: usize, noise: f32) -> Result<Self, Failure> {
        let zoo = Zoo::open(folder)?;
        let mut graphs = Vec::new();
        for fingerprint in zoo.graphs() {
            let accuracy = |record: &&Record| record.validation.map_or(0.0, |it| it.accuracy);
            let records = zoo.of_graph(fingerprint).iter();
            let best = records.max_by(|a, b| accuracy(a).total_cmp(&accuracy(b)));
            let Some(record) = best else { continue };
            if matches!(record.origin, Origin::File(_)) {
                continue;
            }
            let (_, architecture) = zoo.graph(record, &Registry::standard())?;
            let descriptor = Descriptor::of(&architecture);
            graphs.push(Known { architecture, descriptor, record: record.clone() });
        }
        if graphs.is_empty() {
            return Err(format!("{}: holds no graph of a space", folder.display()).into());
        }
        Ok(Self { name: name.to_owned(), zoo, graphs, neighbours, noise })
    }
}

impl Baseline for Retrieval {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn weights(&self) -> String {
        "retrieved from a zoo".to_owned()
    }

    fn fill(&self, architecture: &Architecture, seed: u64) -> Result<Prediction, Failure> {
        let own = Descriptor::of(architecture);
        let mut nearest: Vec<&Known> = self.graphs.iter().collect();
        nearest.sort_by(|a, b| own.distance(&a.descriptor).total_cmp(&own.distance(&b.descriptor)));
        nearest.truncate(self.neighbours);
        let sources = nearest
            .into_iter()
            .map(|known| Ok((known, self.zoo.weights(&known.record, &known.architecture)?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut weights: Vec<Vec<f32>> = Vec::with_capacity(architecture.parameters.len());
        for parameter in &architecture.parameters {
            let mut mean = vec![0.0; parameter.len().unwrap_or(0)];
            for (known, weights) in &sources {
                let fitted = fit(architecture, parameter, &known.architecture, weights);
                for (mean, value) in mean.iter_mut().zip(fitted) {
                    *mean += value / sources.len() as f32;
                }
            }
            let square: f32 = mean.iter().map(|value| value * value).sum();
            let scale = self.noise * (square / mean.len().max(1) as f32).sqrt();
            if scale > 0.0 && !parameter.role().is_some_and(Role::is_statistic) {
                mean.iter_mut().for_each(|value| *value += scale * normal(&mut random));
            }
            weights.push(mean);
        }
        Ok(Prediction::from_elsewhere(architecture, weights.into_iter().collect()))
    }
}

impl Descriptor {
    fn of(architecture: &Architecture) -> Self {
        let count = architecture.dag.node_count().max(1) as f64;
        let mut operators = BTreeMap::new();
        for node in architecture.dag.node_weights() {
            *operators.entry(node.op_type.clone()).or_insert(0.0) += 1.0 / count;
        }
        let weights = architecture.parameters.iter().filter(|it| it.role() == Some(Role::Weight));
        let layers = weights.count().max(1) as f64;
        let parameters = architecture.parameter_count().max(1) as f64;
        Self { operators, sizes: [count.ln(), layers.ln(), (parameters / layers).ln()] }
    }

    fn distance(&self, other: &Self) -> f64 {
        let share = |of: &Self, name: &str| of.operators.get(name).copied().unwrap_or(0.0);
        let names = self.operators.keys().chain(other.operators.keys());
        // Operators that both have are met twice, which orders graphs the same way.
        let operators: f64 = names.map(|name| (share(self, name) - share(other, name)).abs()).sum();
        let sizes: f64 =
            self.sizes.iter().zip(other.sizes).map(|(own, other)| (own - other).abs()).sum();
        operators + 0.3 * sizes
    }
}

/// Where a parameter's node stands in its graph, from 0 to 1.
fn depth(architecture: &Architecture, parameter: &Parameter) -> f64 {
    let position = parameter.slots.first().map_or(0, |slot| architecture.dag[slot.node].position);
    position as f64 / architecture.dag.node_count().max(1) as f64
}

/// A parameter of another graph that plays the same part, cropped or tiled: of those with the same role,
/// number of axes and grouping the one at the most similar depth, with the most similar window. Without
/// one, the conventional starting value.
fn fit(
    architecture: &Architecture,
    parameter: &Parameter,
    source: &Architecture,
    weights: &Weights,
) -> Vec<f32> {
    let length = parameter.len().unwrap_or(0);
    let usual = match parameter.role() {
        Some(Role::Gain | Role::RunningVariance) => 1.0,
        _ => 0.0,
    };
    let (Some(shape), Some(slot)) = (&parameter.shape, parameter.slots.first()) else {
        return vec![usual; length];
    };
    let window = |shape: &[usize]| shape.iter().skip(2).product::<usize>() as f64;
    let fits = |(values, other): &(&[f32], &Parameter)| {
        let same_groups = |of: &Parameter| of.slots.first().is_some_and(|slot| slot.groups > 1);
        other.role() == parameter.role()
            && Some(values.len()) == other.len()
            && other.shape.as_ref().is_some_and(|other| other.len() == shape.len())
            && same_groups(other) == same_groups(parameter)
    };
    let own = depth(architecture, parameter);
    let cost = |other: &Parameter| {
        let windows = other.shape.as_ref().map_or(0.0, |other| window(other).ln());
        (depth(source, other) - own).abs() + 0.5 * (windows - window(shape).ln()).abs()
    };
    let candidates = weights.tensors().map(|(id, values)| (values, &source.parameters[id.0]));
    let candidates = candidates.filter(fits);
    let Some((values, best)) = candidates.min_by(|(_, a), (_, b)| cost(a).total_cmp(&cost(b)))
    else {
        return vec![usual; length];
    };
    let (Some(from), Some(other)) = (&best.shape, best.slots.first()) else {
        return vec![usual; length];
    };
    // A sum over more inputs needs smaller weights.
    let scale = match slot.role {
        Role::Weight => (other.fan_in.max(1) as f32 / slot.fan_in.max(1) as f32).sqrt(),
        _ => 1.0,
    };
    tiled(values, from, shape).into_iter().map(|value| scale * value).collect()
}

/// A tensor at another shape of as many axes: the first two axes are cropped or repeated, further ones
/// (the window of a kernel) aligned at their middles, with zeros around.
fn tiled(values: &[f32], from: &[usize], to: &[usize]) -> Vec<f32> {
    let mut out = Vec::with_capacity(to.iter().product());
    let mut at = vec![0usize; to.len()];
    for _ in 0..to.iter().product() {
        let mut offset = Some(0);
        for (axis, (&index, (&own, &wanted))) in at.iter().zip(from.iter().zip(to)).enumerate() {
            let source = match axis < 2 {
                true => index.checked_rem(own),
                false => (index + own / 2).checked_sub(wanted / 2).filter(|&index| index < own),
            };
            offset = offset.zip(source).map(|(offset, index)| offset * own + index);
        }
        out.push(offset.and_then(|offset| values.get(offset)).copied().unwrap_or(0.0));
        for (index, &extent) in at.iter_mut().zip(to).rev() {
            *index += 1;
            if *index < extent {
                break;
            }
            *index = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_repeat_and_windows_keep_their_middle() {
        let kernel: Vec<f32> = (0..9).map(|value| value as f32).collect();
        assert_eq!(tiled(&kernel, &[1, 1, 3, 3], &[1, 1, 1, 1]), [4.0]);
        assert_eq!(tiled(&[7.0], &[1, 1, 1, 1], &[1, 2, 3, 1]), [0.0, 7.0, 0.0, 0.0, 7.0, 0.0]);
        assert_eq!(tiled(&[1.0, 2.0], &[2], &[5]), [1.0, 2.0, 1.0, 2.0, 1.0]);
        assert_eq!(tiled(&[1.0, 2.0, 3.0, 4.0], &[2, 2], &[1, 1]), [1.0]);
    }
}
