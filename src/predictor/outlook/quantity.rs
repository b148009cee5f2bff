//! The sizes in which a network may lie beyond those of training.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{
    graph::{Architecture, Layout, NodeIndex, Operand, Role},
    ops::{Registry, Summary},
};

/// A size of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quantity {
    /// The most channels that a layer with weights writes.
    Width,
    /// The most nodes with weights on any path.
    Depth,
    /// Values of all parameters.
    Parameters,
    /// The longer side of the images that it reads.
    ImageSize,
    /// The most positions of a map that a layer reads as one vector: 1 behind a global pool, all of them
    /// behind a flatten.
    HeadPositions,
}

/// The sizes of one network, those that it has.
pub type Quantities = BTreeMap<Quantity, usize>;

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Width, Self::Depth, Self::Parameters, Self::ImageSize, Self::HeadPositions];

    /// All sizes of a resolved architecture.
    pub fn of(architecture: &Architecture, registry: &Registry) -> Quantities {
        let depth = Summary::of(architecture, registry).weighted_depth;
        let sizes = [
            (Self::Width, width(architecture)),
            (Self::Depth, Some(depth)),
            (Self::Parameters, Some(architecture.parameter_count())),
            (Self::ImageSize, image_size(architecture)),
            (Self::HeadPositions, head_positions(architecture)),
        ];
        sizes.into_iter().filter_map(|(quantity, size)| Some((quantity, size?))).collect()
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Width => "width",
            Self::Depth => "depth",
            Self::Parameters => "parameters",
            Self::ImageSize => "image size",
            Self::HeadPositions => "positions read by the head",
        })
    }
}

fn width(architecture: &Architecture) -> Option<usize> {
    let channels = architecture.parameters.iter().filter_map(|parameter| {
        let slot = parameter.slots.iter().find(|slot| slot.role == Role::Weight)?;
        let shape = slot.view.as_ref().or(parameter.shape.as_ref())?;
        match slot.layout {
            Layout::OutIn => shape.first().copied(),
            Layout::InOut => shape.get(1).map(|width| width.saturating_mul(slot.groups)),
            Layout::Vector | Layout::Free => None,
        }
    });
    channels.max()
}

fn image_size(architecture: &Architecture) -> Option<usize> {
    match architecture.inputs.first()?.shape.as_deref()? {
        &[_, _, height, width] => Some(height.max(width)),
        _ => None,
    }
}

/// The most of any layer that reads vectors.
fn head_positions(architecture: &Architecture) -> Option<usize> {
    let slots = architecture.parameters.iter().flat_map(|parameter| &parameter.slots);
    let layers: BTreeSet<NodeIndex> =
        slots.filter(|slot| slot.role == Role::Weight).map(|slot| slot.node).collect();
    layers.iter().filter_map(|&layer| positions_read(architecture, &layers, layer)).max()
}

/// Positions of the map that a layer reads as one vector: 1 if it is no map, or was pooled before.
fn positions_read(
    architecture: &Architecture,
    layers: &BTreeSet<NodeIndex>,
    layer: NodeIndex,
) -> Option<usize> {
    let data = |node: NodeIndex| {
        let inputs = architecture.dag[node].inputs.iter();
        inputs.copied().find(|operand| matches!(operand, Operand::Node { .. } | Operand::Input(_)))
    };
    let mut operand = data(layer)?;
    let &[_, read] = &architecture.fact(operand)?.shape?[..] else { return None };
    while let Operand::Node { node, .. } = operand {
        let shape = architecture.fact(operand)?.shape?;
        if let [_, channels, positions @ ..] = &shape[..]
            && positions.iter().any(|&extent| extent > 1)
        {
            let held =
                positions.iter().fold(*channels, |held, &extent| held.saturating_mul(extent));
            return if held == read { read.checked_div(*channels) } else { Some(1) };
        }
        if layers.contains(&node) {
            break;
        }
        operand = data(node)?;
    }
    Some(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{onnx::Model, ops::resolve, spaces::NAMED};

    fn sizes(name: &str) -> [Option<usize>; 5] {
        let named = NAMED.iter().find(|named| named.name == name).unwrap();
        let model = Model::from_bytes(name, named.onnx().into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        let registry = Registry::standard();
        resolve(&mut architecture, &registry).unwrap();
        let sizes = Quantity::of(&architecture, &registry);
        Quantity::ALL.map(|quantity| sizes.get(&quantity).copied())
    }

    #[test]
    fn sizes_are_those_of_the_papers() {
        // LeNet-5 flattens 5 × 5 positions.
        assert_eq!(sizes("lenet-5"), [120, 5, 61_706, 28, 25].map(Some));
        let [width, depth, _, image, positions] = sizes("resnet-18");
        assert_eq!([width, depth, image, positions], [512, 18, 32, 1].map(Some));
        // A mean of tokens.
        assert_eq!(sizes("vit-tiny")[4], Some(1));
    }
}
