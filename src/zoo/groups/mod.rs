//! Channels that move together. The neurons of a layer may be exchanged if whoever reads them is
//! told; a residual sum, a product, a norm or a depthwise convolution ties the channels of several
//! layers to one order. A *group* is a set of channels that may be exchanged with each other, with
//! all places of all parameters where each of them stands.

mod follow;
mod ties;

use std::collections::BTreeMap;

use crate::{
    graph::{Architecture, ParameterId, Weights},
    ops::Registry,
};

use self::{
    follow::{Followed, follow},
    ties::Axis,
};

use super::ZooError;

/// What stands at one index of a parameter's axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the group.
    pub group: usize,
    /// Channel of the group.
    pub channel: usize,
    /// Which of the channel's numbers along this axis it is: a layer behind a flattened image reads
    /// one for every pixel.
    pub part: usize,
}

/// An axis of a parameter along which channels move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moving {
    /// The axis.
    pub axis: usize,
    /// By index; `None` stays.
    pub places: Vec<Option<Place>>,
}

/// All groups of an architecture. Inputs and outputs of the graph never move, nor does what passes
/// through an operator that cannot be followed: reshapes that cut channels into heads or groups,
/// convolutions in groups, and operators without a kernel.
#[derive(Clone, Debug)]
pub struct Groups {
    sizes: Vec<usize>,
    shapes: Vec<Vec<usize>>,
    moving: Vec<Vec<Moving>>,
    names: Vec<String>,
}

impl Groups {
    /// Of an architecture with known shapes.
    pub fn of(architecture: &Architecture, registry: &Registry) -> Self {
        let Followed { ties, parameters } = follow(architecture, registry);
        let settled = ties.settle();
        let place = |&element: &ties::Element| {
            let (group, channel, part) = settled.place(element)?;
            Some(Place { group, channel, part })
        };
        let axes = |value: Option<Vec<Axis>>| {
            let lists = value.unwrap_or_default().into_iter().enumerate();
            let moving = |(axis, list)| {
                let Axis::Listed(list) = list else { return None };
                let places: Vec<Option<Place>> = list.iter().map(place).collect();
                places.iter().any(Option::is_some).then_some(Moving { axis, places })
            };
            lists.filter_map(moving).collect()
        };
        let moving = parameters.into_iter().map(axes).collect();
        let parameters = &architecture.parameters;
        let shapes = parameters.iter().map(|it| it.shape.clone().unwrap_or_default()).collect();
        let names = parameters.iter().map(|it| it.name.clone()).collect();
        Self { sizes: settled.sizes.clone(), shapes, moving, names }
    }

    /// Channels of every group.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The axes of a parameter along which channels move.
    pub fn moving(&self, parameter: ParameterId) -> &[Moving] {
        self.moving.get(parameter.0).map_or(&[], Vec::as_slice)
    }

    /// The shape of a parameter.
    pub(super) fn shape(&self, parameter: ParameterId) -> &[usize] {
        &self.shapes[parameter.0]
    }

    /// The permutations that change nothing.
    pub fn identity(&self) -> Vec<Vec<usize>> {
        self.sizes.iter().map(|&size| (0..size).collect()).collect()
    }

    /// Moves the channels of a network, which goes on to compute the same: channel `c` of group `g`
    /// becomes what channel `permutations[g][c]` was. Absent tensors stay absent.
    ///
    /// # Errors
    ///
    /// [`ZooError::Mismatch`] if the weights are not those of the architecture or what is given is no
    /// permutation for every group.
    pub fn permute(
        &self,
        weights: &Weights,
        permutations: &[Vec<usize>],
    ) -> Result<Weights, ZooError> {
        self.check(weights)?;
        let sound = |(permutation, &size): (&Vec<usize>, &usize)| {
            let mut seen = vec![false; size];
            let mut fresh = |&channel: &usize| {
                seen.get_mut(channel).is_some_and(|seen| !std::mem::replace(seen, true))
            };
            permutation.len() == size && permutation.iter().all(&mut fresh)
        };
        if permutations.len() != self.sizes.len()
            || !permutations.iter().zip(&self.sizes).all(sound)
        {
            let sizes = &self.sizes;
            let problem =
                format!("permutations of {sizes:?} channels are needed, others were given");
            return Err(ZooError::Mismatch(problem));
        }
        Ok(weights.map(|parameter, values| self.permuted(parameter, values, permutations)))
    }

    /// One parameter of [`Self::permute`], unchecked.
    pub(super) fn permuted(
        &self,
        parameter: ParameterId,
        values: &[f32],
        permutations: &[Vec<usize>],
    ) -> Vec<f32> {
        let mut values = values.to_vec();
        let shape = self.shape(parameter);
        for Moving { axis, places } in self.moving(parameter) {
            let index: BTreeMap<Place, usize> = places
                .iter()
                .enumerate()
                .filter_map(|(index, place)| place.map(|place| (place, index)))
                .collect();
            let source = |(own, place): (usize, &Option<Place>)| {
                let Some(place) = place else { return own };
                let channel = permutations[place.group][place.channel];
                index.get(&Place { channel, ..*place }).copied().unwrap_or(own)
            };
            let sources: Vec<usize> = places.iter().enumerate().map(source).collect();
            let inner: usize = shape[axis + 1..].iter().product();
            values = values
                .chunks(sources.len() * inner)
                .flat_map(|block| {
                    sources.iter().flat_map(move |&source| &block[source * inner..][..inner])
                })
                .copied()
                .collect();
        }
        values
    }

    /// Whether weights have the shapes of the architecture and are numbers.
    pub(super) fn check(&self, weights: &Weights) -> Result<(), ZooError> {
        if weights.len() != self.shapes.len() {
            let (given, wanted) = (weights.len(), self.shapes.len());
            let problem = format!("weights of {given} parameters for a graph that has {wanted}");
            return Err(ZooError::Mismatch(problem));
        }
        for (parameter, values) in weights.tensors() {
            let (shape, name) = (self.shape(parameter), &self.names[parameter.0]);
            let count = shape.iter().product::<usize>();
            if values.len() != count {
                let given = values.len();
                return Err(ZooError::Mismatch(format!(
                    "tensor '{name}' of shape {shape:?} has {given} values"
                )));
            }
            if values.iter().any(|value| !value.is_finite()) {
                return Err(ZooError::Mismatch(format!(
                    "tensor '{name}' has values that are not finite"
                )));
            }
        }
        Ok(())
    }
}
