//! A network as one of a wider or deeper graph (Net2Net, Chen et al. 2016, arXiv:1511.05641): channels are repeated, and
//! whoever reads them counts each repetition for its share; further layers return zero, which changes nothing where
//! shortcuts lead past them.

use std::collections::BTreeMap;

use crate::{
    graph::{Architecture, Layout, Parameter, ParameterId, Role, Weights},
    ops::Registry,
    zoo::{Groups, Moving, Place},
};

/// Why a network is none of a wider graph.
#[derive(Clone, Debug)]
pub struct Unfit {
    /// Parameter of the wider graph.
    pub parameter: ParameterId,
    /// What is wrong about it, as a clause.
    pub why: &'static str,
}

/// Weights of a graph that compute what those of a narrower or shallower one do. `same` tells which parameter of that
/// graph is a parameter of this one, if any is. Layer and group normalisations compute the same only where all channels are
/// repeated equally often, further layers only where shortcuts lead past them: run both networks and see.
///
/// # Errors
///
/// [`Unfit`] where the graphs differ by more than depths and the widths of channels that can be followed, or the network is
/// not the narrower one.
pub fn widen(
    narrow: (&Architecture, &Weights),
    wide: &Architecture,
    registry: &Registry,
    same: impl Fn(ParameterId) -> Option<ParameterId>,
) -> Result<Weights, Unfit> {
    let (architecture, weights) = narrow;
    let groups = [architecture, wide].map(|it| Groups::of(it, registry));
    let mut partners = Partners {
        groups: &groups,
        further: further_groups(wide, &groups[1], &same),
        of: vec![None; groups[1].sizes().len()],
    };
    let mut widened = Weights::absent(wide.parameters.len());
    for index in 0..wide.parameters.len() {
        let parameter = ParameterId(index);
        let Some(own) = same(parameter) else {
            widened.set(parameter, silent(&wide.parameters[index]));
            continue;
        };
        let unfit = |why| Unfit { parameter, why };
        let shape = |architecture: &Architecture, id: ParameterId| {
            architecture.parameters.get(id.0).and_then(|it| it.shape.clone()).unwrap_or_default()
        };
        let (mut from, to) = (shape(architecture, own), shape(wide, parameter));
        if from.len() != to.len() {
            return Err(unfit("it has another number of axes"));
        }
        let mut values = weights.get(own).map(<[f32]>::to_vec).unwrap_or_default();
        for axis in 0..to.len() {
            let along =
                |groups: &Groups, id| groups.moving(id).iter().find(|it| it.axis == axis).cloned();
            let sources = match (along(&groups[0], own), along(&groups[1], parameter)) {
                (Some(own), Some(wide)) => partners.sources(&own, &wide).map_err(unfit)?,
                _ if from[axis] == to[axis] => continue,
                _ => return Err(unfit("channels cannot be followed through it")),
            };
            let read = read_axis(wide, parameter) == Some(axis);
            let inner: usize = from[axis + 1..].iter().product();
            values = values
                .chunks_exact((from[axis] * inner).max(1))
                .flat_map(|block| {
                    sources.iter().flat_map(move |&(source, share)| {
                        let factor = if read { share } else { 1.0 };
                        block[source * inner..][..inner].iter().map(move |value| value * factor)
                    })
                })
                .collect();
            from[axis] = to[axis];
        }
        widened.set(parameter, values);
    }
    Ok(widened)
}

/// Values with which a layer returns zero.
fn silent(parameter: &Parameter) -> Vec<f32> {
    let value = if parameter.role() == Some(Role::RunningVariance) { 1.0 } else { 0.0 };
    vec![value; parameter.len().unwrap_or(0)]
}

/// The axis of a weight along which it reads channels, if it is one of a matrix or a convolution.
fn read_axis(architecture: &Architecture, parameter: ParameterId) -> Option<usize> {
    let slot = architecture.parameters[parameter.0].slots.first()?;
    match slot.layout {
        Layout::OutIn if slot.role == Role::Weight => Some(1),
        Layout::InOut if slot.role == Role::Weight => Some(0),
        _ => None,
    }
}

/// By group, whether only further layers make it.
fn further_groups(
    wide: &Architecture,
    groups: &Groups,
    same: impl Fn(ParameterId) -> Option<ParameterId>,
) -> Vec<bool> {
    let makes = |id: ParameterId| {
        let made = groups.moving(id).iter().filter(move |it| Some(it.axis) != read_axis(wide, id));
        made.flat_map(|it| it.places.iter().flatten()).map(|it| it.group)
    };
    let weights = (0..wide.parameters.len())
        .map(ParameterId)
        .filter(|id| wide.parameters[id.0].role() == Some(Role::Weight));
    let (shared, added): (Vec<_>, Vec<_>) = weights.partition(|&id| same(id).is_some());
    let mut further = vec![false; groups.sizes().len()];
    added.into_iter().flat_map(makes).for_each(|group| further[group] = true);
    shared.into_iter().flat_map(makes).for_each(|group| further[group] = false);
    further
}

/// Which groups of a narrower and a wider graph are the same, as far as it is known.
struct Partners<'a> {
    groups: &'a [Groups; 2],
    /// By group of the wider graph, whether the narrower one has none of it: its channels are zero.
    further: Vec<bool>,
    /// By group of the wider graph.
    of: Vec<Option<usize>>,
}

impl Partners<'_> {
    /// By index of a wider axis, the index of the narrower one that it repeats, and one by how often that is repeated.
    fn sources(&mut self, own: &Moving, wide: &Moving) -> Result<Vec<(usize, f32)>, &'static str> {
        let [theirs, mut ours] = [own, wide].map(|it| in_order(&it.places));
        ours.retain(|&group| !self.further[group]);
        if theirs.len() != ours.len() {
            return Err("its channels are grouped otherwise");
        }
        for (&group, &partner) in ours.iter().zip(&theirs) {
            if *self.of[group].get_or_insert(partner) != partner {
                return Err("its channels are grouped otherwise");
            }
        }
        let stays = |places: &[Option<Place>]| -> Vec<usize> {
            let all = places.iter().enumerate();
            all.filter_map(|(index, place)| place.is_none().then_some(index)).collect()
        };
        let fixed = stays(&own.places);
        if fixed.len() != stays(&wide.places).len() {
            return Err("channels that keep their order differ in number");
        }
        let mut fixed = fixed.into_iter();
        let index: BTreeMap<Place, usize> = (own.places.iter().enumerate())
            .filter_map(|(index, place)| place.map(|place| (place, index)))
            .collect();
        let source = |place: &Option<Place>| {
            let Some(place) = place else { return fixed.next().map(|index| (index, 1.0)) };
            if self.further[place.group] {
                return Some((0, 0.0));
            }
            let group = self.of[place.group]?;
            let narrow = self.groups[0].sizes()[group];
            let channel = place.channel % narrow;
            let repeated = (self.groups[1].sizes()[place.group] - channel).div_ceil(narrow);
            let source = index.get(&Place { group, channel, part: place.part })?;
            Some((*source, 1.0 / repeated as f32))
        };
        for &group in &ours {
            let narrow = self.of[group].map_or(0, |partner| self.groups[0].sizes()[partner]);
            if narrow > self.groups[1].sizes()[group] {
                return Err("name the wider network first");
            }
        }
        let sources: Option<Vec<(usize, f32)>> = wide.places.iter().map(source).collect();
        sources.ok_or("its channels have other parts")
    }
}

/// Groups along an axis, in the order in which they come first.
fn in_order(places: &[Option<Place>]) -> Vec<usize> {
    let mut groups = Vec::new();
    for place in places.iter().flatten() {
        if !groups.contains(&place.group) {
            groups.push(place.group);
        }
    }
    groups
}
