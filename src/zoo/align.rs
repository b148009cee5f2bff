//! Bringing a network into the gauge of another: the channels of each layer may be exchanged without
//! any effect, so two networks can only be compared weight by weight after their channels have been
//! put in one order. Weight matching of Git Re-Basin (Ainsworth, Hayase & Srinivasa 2023,
//! arXiv:2209.04836): group by group, the order that agrees most with the reference while all other
//! groups stay, until nothing moves.

use crate::{
    graph::{Architecture, ParameterId, Weights},
    kernels::gemm::{View, multiply},
    ops::Registry,
    weights::{distance, dot},
};

use super::{Groups, ZooError, assignment::assign, groups::Moving};

/// Rounds over all groups; it takes a handful.
const ROUNDS: usize = 50;
/// Gains below this share are rounding.
const ROUNDING: f64 = 1e-7;

/// A network whose channels are in the order of a reference.
#[derive(Clone, Debug)]
pub struct Aligned {
    /// They compute what the given ones do.
    pub weights: Weights,
    /// By group of [`Groups`], see [`Groups::permute`].
    pub permutations: Vec<Vec<usize>>,
    /// [`distance`] of the given weights from the reference.
    pub before: f64,
    /// Distance of the aligned ones.
    pub after: f64,
}

/// Puts the channels of a network in the order of a reference of the same architecture. All
/// parameters that channels stand in count, each by its mean square, so that the scale of one does not
/// drown the others. The same arguments always give the same result.
///
/// # Errors
///
/// [`ZooError::Mismatch`] if weights do not fit the architecture or are not finite.
pub fn align(
    architecture: &Architecture,
    registry: &Registry,
    weights: &Weights,
    reference: &Weights,
) -> Result<Aligned, ZooError> {
    let groups = Groups::of(architecture, registry);
    groups.check(weights)?;
    groups.check(reference)?;
    let matching = Matching::new(&groups, weights, reference);
    // Where this ends does not depend on the order in which the channels are given.
    let mut permutations = matching.outward();
    matching.descend(&mut permutations);
    let given = groups.identity();
    if matching.agreement(&permutations) < matching.agreement(&given) {
        permutations = given;
        matching.descend(&mut permutations);
    }
    Aligned::of(architecture, &groups, weights, reference, permutations)
}

impl Aligned {
    /// A network with its channels in a given order, beside a reference.
    pub(crate) fn of(
        architecture: &Architecture,
        groups: &Groups,
        weights: &Weights,
        reference: &Weights,
        permutations: Vec<Vec<usize>>,
    ) -> Result<Self, ZooError> {
        let aligned = groups.permute(weights, &permutations)?;
        let [before, after] =
            [weights, &aligned].map(|weights| distance(architecture, weights, reference));
        Ok(Self { weights: aligned, permutations, before, after })
    }
}

/// Two networks, and what of them can be compared.
struct Matching<'a> {
    groups: &'a Groups,
    weights: &'a Weights,
    reference: &'a Weights,
    /// What a product of values counts, by parameter; zero where there is nothing to compare.
    scales: Vec<f64>,
    /// By group, the parameters in which its channels stand.
    users: Vec<Vec<ParameterId>>,
}

impl<'a> Matching<'a> {
    fn new(groups: &'a Groups, weights: &'a Weights, reference: &'a Weights) -> Self {
        let mut scales = vec![0.0; weights.len()];
        for (parameter, [a, b]) in weights.pairs(reference) {
            let root = |values: &[f32]| (dot(values, values) / values.len() as f64).sqrt();
            let product = root(a) * root(b);
            if product > 0.0 {
                scales[parameter.0] = 1.0 / product;
            }
        }
        let mut users = vec![Vec::new(); groups.sizes().len()];
        for index in (0..weights.len()).filter(|&index| scales[index] > 0.0) {
            let parameter = ParameterId(index);
            for place in groups.moving(parameter).iter().flat_map(|it| &it.places).flatten() {
                let users: &mut Vec<ParameterId> = &mut users[place.group];
                if users.last() != Some(&parameter) {
                    users.push(parameter);
                }
            }
        }
        Self { groups, weights, reference, scales, users }
    }

    /// One pass in the order of the graph in which each group looks only at what is in order already:
    /// from the inputs outward. It recovers a network whose channels were shuffled.
    fn outward(&self) -> Vec<Vec<usize>> {
        let mut permutations = self.groups.identity();
        let mut settled = vec![false; permutations.len()];
        for group in 0..permutations.len() {
            let gains = self.gains(group, &permutations, Some(&settled));
            let moves = assign(&gains, self.groups.sizes()[group]);
            permutations[group] = compose(&permutations[group], &moves);
            settled[group] = true;
        }
        permutations
    }

    /// Moves one group at a time to where it agrees most, as long as any does.
    fn descend(&self, permutations: &mut [Vec<usize>]) {
        for _ in 0..ROUNDS {
            let mut moved = false;
            for group in 0..permutations.len() {
                let gains = self.gains(group, permutations, None);
                let moves = assign(&gains, self.groups.sizes()[group]);
                let better = compose(&permutations[group], &moves);
                if better == permutations[group] {
                    continue;
                }
                // A weight whose two axes are of one group agrees otherwise than its axes do.
                let before = self.agreement_of(&self.users[group], permutations);
                let former = std::mem::replace(&mut permutations[group], better);
                let after = self.agreement_of(&self.users[group], permutations);
                match after > before + ROUNDING * before.abs() {
                    true => moved = true,
                    false => permutations[group] = former,
                }
            }
            if !moved {
                break;
            }
        }
    }

    /// How much each channel of a group in the reference (row) agrees with each of the network
    /// (column). Given which groups are settled, parameters with others along another axis do not
    /// count, unless there is nothing else.
    fn gains(
        &self,
        group: usize,
        permutations: &[Vec<usize>],
        settled: Option<&[bool]>,
    ) -> Vec<f32> {
        let size = self.groups.sizes()[group];
        let mut gains = vec![0.0; size * size];
        let mut found = false;
        for &parameter in &self.users[group] {
            let moving = self.groups.moving(parameter);
            let Some([values, reference]) = self.pair(parameter) else { continue };
            let values = self.groups.permuted(parameter, values, permutations);
            for (number, along) in moving.iter().enumerate() {
                let others = moving.iter().enumerate().filter(|&(other, _)| other != number);
                let mut places = others.flat_map(|(_, other)| &other.places).flatten();
                if settled.is_some_and(|settled| places.any(|place| !settled[place.group])) {
                    continue;
                }
                let shape = self.groups.shape(parameter);
                let [own, theirs] =
                    [reference, &values[..]].map(|values| rows(values, shape, along, group, size));
                let scale = self.scales[parameter.0] as f32;
                let own: Vec<f32> = own.iter().map(|value| value * scale).collect();
                let width = own.len() / size;
                found |= width > 0;
                let (a, b) = (View::rows(&own, width), View::transposed(&theirs, width));
                multiply([size, size, width], a, b, &mut gains, size, true);
            }
        }
        match settled {
            Some(_) if !found => self.gains(group, permutations, None),
            _ => gains,
        }
    }

    /// A parameter of the network and of the reference.
    fn pair(&self, parameter: ParameterId) -> Option<[&'a [f32]; 2]> {
        Some([self.weights.get(parameter)?, self.reference.get(parameter)?])
    }

    fn agreement(&self, permutations: &[Vec<usize>]) -> f64 {
        let all: Vec<ParameterId> = (0..self.weights.len()).map(ParameterId).collect();
        self.agreement_of(&all, permutations)
    }

    fn agreement_of(&self, parameters: &[ParameterId], permutations: &[Vec<usize>]) -> f64 {
        let of = |&parameter: &ParameterId| {
            let scale = self.scales[parameter.0];
            match self.pair(parameter).filter(|_| scale > 0.0) {
                Some([values, reference]) => {
                    scale * dot(&self.groups.permuted(parameter, values, permutations), reference)
                }
                None => 0.0,
            }
        };
        parameters.iter().map(of).sum()
    }
}

/// The values of each channel of a group along an axis, a row per channel.
fn rows(values: &[f32], shape: &[usize], along: &Moving, group: usize, size: usize) -> Vec<f32> {
    let mut indices: Vec<Vec<(usize, usize)>> = vec![Vec::new(); size];
    for (index, place) in along.places.iter().enumerate() {
        if let Some(place) = place.filter(|place| place.group == group) {
            indices[place.channel].push((place.part, index));
        }
    }
    let inner: usize = shape[along.axis + 1..].iter().product();
    let block = shape[along.axis] * inner;
    let mut rows = Vec::new();
    for indices in &mut indices {
        indices.sort_unstable();
        for block in values.chunks(block) {
            for &(_, index) in indices.iter() {
                rows.extend_from_slice(&block[index * inner..][..inner]);
            }
        }
    }
    rows
}

/// One permutation after another.
fn compose(first: &[usize], second: &[usize]) -> Vec<usize> {
    second.iter().map(|&channel| first[channel]).collect()
}
