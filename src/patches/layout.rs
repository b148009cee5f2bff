//! All patches of one or several architectures, grouped by the output layer that writes them.

use std::collections::HashSet;

use petgraph::Direction;

use crate::graph::{Architecture, Layout, NodeIndex, Operand, ParameterId, Role, Slot, Weights};

use super::{
    Address, Family,
    address::{Patch, Place, patches_of},
    scale::{Scale, pooled_scale},
    source::{Source, Sources},
};

/// Of batch normalisations in the networks that predictors are trained on.
const TRAINED_EPSILON: f32 = 1e-5;

/// A patch and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Index into [`PatchPlan::addresses`].
    pub address: usize,
    /// The parameter written.
    pub parameter: ParameterId,
    /// The elements written.
    pub patch: Patch,
    /// The map from predicted values to weights.
    pub scale: Scale,
}

/// The patches of one architecture.
#[derive(Clone, Debug, Default)]
pub struct PatchPlan {
    /// One per tile of each tap of each predicted parameter.
    pub addresses: Vec<Address>,
    /// Spans by output layer: `spans[family as usize][position]`.
    pub spans: Vec<Vec<Vec<Span>>>,
    /// Length of every parameter, zero for those that are not predicted.
    pub lengths: Vec<usize>,
}

impl PatchPlan {
    /// Plans every parameter that has a shape, a float type and a predictable role. `tokens` are
    /// the nodes that the encoder gives a token to; with `sources`, patches follow the makers of the
    /// channels that a parameter reads.
    pub fn new(
        architecture: &Architecture,
        tokens: &[NodeIndex],
        sources: Option<&Sources>,
    ) -> Self {
        Self::of_parameters(architecture, tokens, sources, 0..architecture.parameters.len())
    }

    /// As [`PatchPlan::new`], for some of the parameters only, so that large networks can be
    /// written piece by piece in bounded memory.
    pub fn of_parameters(
        architecture: &Architecture,
        tokens: &[NodeIndex],
        sources: Option<&Sources>,
        parameters: std::ops::Range<usize>,
    ) -> Self {
        let classifier = classifier(architecture);
        let mut row_of = vec![None; architecture.dag.node_count()];
        for (row, node) in tokens.iter().enumerate() {
            row_of[node.index()] = Some(row);
        }
        let mut plan = Self {
            addresses: Vec::new(),
            spans: Family::ALL.iter().map(|family| vec![Vec::new(); family.positions()]).collect(),
            lengths: vec![0; architecture.parameters.len()],
        };
        for index in parameters {
            let parameter = &architecture.parameters[index];
            let (Some(shape), Some(slot)) = (&parameter.shape, parameter.slots.first()) else {
                continue;
            };
            let Some(token) = row_of[slot.node.index()] else { continue };
            let Some(family) = Family::of(parameter, slot, Some(slot.node) == classifier) else {
                continue;
            };
            if !parameter.is_free() {
                continue;
            }
            plan.lengths[index] = shape.iter().product();
            let seen = slot.view.as_ref().unwrap_or(shape);
            let places = sources.and_then(|sources| places(sources, slot, family, &row_of));
            let places = places.as_deref();
            let image = sources.and_then(|sources| sources.flattened_by(slot.node));
            let window = image.and_then(|image| as_window(seen, slot.layout, places?, image));
            let (seen, places) = match &window {
                Some((shape, channels)) => (shape, Some(channels.as_slice())),
                None => (seen, places),
            };
            let scale = pooled_scale(family, slot.fan_in, places.map_or(1, positions));
            let scale = scale.times(above_epsilon(architecture, slot.node));
            patches_of(seen, slot.layout, family, token, places, |address, patches| {
                for &patch in patches {
                    plan.spans[family as usize][patch.position].push(Span {
                        address: plan.addresses.len(),
                        parameter: ParameterId(index),
                        patch,
                        scale,
                    });
                }
                plan.addresses.push(address);
            });
        }
        plan
    }

    /// The scale of every parameter that is predicted.
    pub fn scales(&self) -> Vec<Option<Scale>> {
        let mut scales = vec![None; self.lengths.len()];
        for span in self.spans.iter().flatten().flatten() {
            scales[span.parameter.0] = Some(span.scale);
        }
        scales
    }

    /// Weights as deviations from the middle of their scale, in its unit. Parameters that are not
    /// predicted come out absent.
    pub fn standardise(&self, weights: &Weights) -> Weights {
        self.mapped(weights, |(centre, unit), weight| (weight - centre) / unit)
    }

    /// Weights from what [`PatchPlan::standardise`] makes of them.
    pub fn restore(&self, standardised: &Weights) -> Weights {
        self.mapped(standardised, |(centre, unit), value| centre + unit * value)
    }

    fn mapped(&self, from: &Weights, of: impl Fn((f32, f32), f32) -> f32) -> Weights {
        let tensor = |(values, scale): (Option<&[f32]>, Option<Scale>)| -> Option<Vec<f32>> {
            let standard = scale?.standard();
            Some(values?.iter().map(|&value| of(standard, value)).collect())
        };
        from.by_parameter().zip(self.scales()).map(tensor).collect()
    }

    /// Whether a parameter is written by some patch.
    pub fn covers(&self, parameter: ParameterId) -> bool {
        self.lengths[parameter.0] > 0
    }
}

impl Span {
    /// Writes predicted values (`patch` of the family, row-major) into the parameter's tensor.
    pub fn scatter(&self, predicted: &[f32], columns: usize, tensor: &mut [f32]) {
        self.visit(columns, |from, to| tensor[to] = self.scale.apply(predicted[from]));
    }

    /// Gradient with respect to the predicted values, from the parameter's gradient.
    /// Positions of the patch beyond the tensor's edge keep what they hold.
    pub fn gather(&self, tensor: &[f32], gradient: &[f32], columns: usize, predicted: &mut [f32]) {
        self.visit(columns, |from, to| {
            predicted[from] = gradient[to] * self.scale.slope(tensor[to]);
        });
    }

    /// Reads the parameter's tensor into a patch. Positions beyond the tensor's edge keep what they hold.
    pub fn read(&self, tensor: &[f32], columns: usize, patch: &mut [f32]) {
        self.visit(columns, |from, to| patch[from] = tensor[to]);
    }

    #[inline]
    fn visit(&self, columns: usize, mut element: impl FnMut(usize, usize)) {
        let Patch { start, offset, extent, stride, .. } = self.patch;
        for row in 0..extent[0] {
            for column in 0..extent[1] {
                let to = offset + row * stride[0] + column * stride[1];
                element((start[0] + row) * columns + start[1] + column, to);
            }
        }
    }
}

/// Maker and number of every channel that a parameter reads; `None` for those that follow the
/// channels their own node makes, and for groups, whose members share their columns.
fn places(
    sources: &Sources,
    slot: &Slot,
    family: Family,
    row_of: &[Option<usize>],
) -> Option<Vec<Place>> {
    let reads = match family {
        Family::Depthwise | Family::Gain | Family::Shift => true,
        Family::Bias => sources.is_depthwise(slot.node),
        Family::Stem | Family::Spatial | Family::Pointwise | Family::Classifier => slot.groups == 1,
        Family::Free => false,
    };
    let place = |source: Source| Place {
        source: source.node.and_then(|node| *row_of.get(node.index())?),
        channel: source.channel,
    };
    let sources = reads.then(|| sources.of_input(slot.node))??;
    Some(sources.into_iter().map(place).collect())
}

/// What the weights of a layer are multiplied by so that the batch normalisation that alone reads it does as it
/// would with the epsilon that predictors are trained with: what deviates less than the root of a larger one,
/// as Keras and MobileNetV3 have it, would shrink from layer to layer.
fn above_epsilon(architecture: &Architecture, layer: NodeIndex) -> f32 {
    let mut readers = architecture.dag.neighbors_directed(layer, Direction::Outgoing);
    let (Some(reader), None) = (readers.next(), readers.next()) else { return 1.0 };
    let reader = &architecture.dag[reader];
    let epsilon = match reader.op_type.as_str() {
        "BatchNormalization" => reader.attributes.float("epsilon", TRAINED_EPSILON),
        _ => return 1.0,
    };
    (epsilon.unwrap_or(TRAINED_EPSILON) / TRAINED_EPSILON).max(1.0).sqrt()
}

/// The shape of a linear map that reads a flattened image as the convolution that it is, with a window of
/// the whole image, and the places of its channels. `None` for maps from inputs to outputs, and where
/// channels do not stand side by side.
fn as_window(
    shape: &[usize],
    layout: Layout,
    places: &[Place],
    [height, width]: [usize; 2],
) -> Option<(Vec<usize>, Vec<Place>)> {
    let (&[outputs, inputs], Layout::OutIn) = (shape, layout) else { return None };
    let channels = places.chunks_exact(height * width);
    let together = channels.clone().all(|of| of.iter().all(|place| *place == of[0]));
    let fits = together && channels.remainder().is_empty() && places.len() == inputs;
    let first: Vec<Place> = channels.map(|of| of[0]).collect();
    fits.then(|| (vec![outputs, first.len(), height, width], first))
}

/// At how many positions of a flattened image a layer reads every channel.
fn positions(places: &[Place]) -> usize {
    let distinct: HashSet<&Place> = places.iter().collect();
    places.len() / distinct.len().max(1)
}

/// The last node that holds a weight matrix on the way to the first output.
fn classifier(architecture: &Architecture) -> Option<NodeIndex> {
    let weighted = |node| {
        architecture.parameters.iter().any(|parameter| {
            parameter.slots.iter().any(|slot| slot.node == node && slot.role == Role::Weight)
        })
    };
    let (_, mut operand) =
        *architecture.outputs.first().map(|(name, operand)| (name, operand)).as_ref()?;
    let mut steps = 0;
    while let Operand::Node { node, .. } = operand {
        if weighted(*node) {
            return Some(*node);
        }
        steps += 1;
        if steps > architecture.dag.node_count() {
            return None;
        }
        operand = architecture.dag[*node].inputs.first()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use approx::assert_relative_eq;

    use crate::{
        graph::Attribute,
        onnx::Model,
        ops::{Registry, resolve},
        patches::TAPS,
        spaces::{Conv, GraphBuilder, Named},
    };

    use super::*;

    #[test]
    fn a_map_that_reads_a_flattened_image_has_a_tap_for_every_position() {
        let (mut builder, x) = GraphBuilder::new("flat", [1, 3, 5]);
        let conv = Conv { out: 20, kernel: 3, stride: 1, groups: 1, bias: true };
        let image = builder.conv("conv", &x, conv);
        let flat = builder.flatten("flatten", &image);
        let logits = builder.linear("head", &flat, 7);
        let model = Model::from_bytes("flat", builder.finish(&logits).into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        let registry = Registry::standard();
        resolve(&mut architecture, &registry).unwrap();
        let tokens: Vec<NodeIndex> = architecture.order.clone();
        let sources = Sources::new(&architecture, &registry);
        let plan = PatchPlan::new(&architecture, &tokens, Some(&sources));
        let named = |name: &str| architecture.parameters.iter().position(|it| it.name == name);
        let head = ParameterId(named("head.weight").unwrap());
        let mut tensor = vec![0.0; plan.lengths[head.0]];
        let mut taps = BTreeSet::new();
        for span in plan.spans.iter().flatten().flatten().filter(|it| it.parameter == head) {
            assert_eq!(span.scale, pooled_scale(Family::Classifier, 20 * 15, 1));
            taps.insert(plan.addresses[span.address].tap);
            // Every column holds its tap.
            let patch = vec![plan.addresses[span.address].tap as f32 / 1e3; 16 * 16];
            let scale = Scale::Linear(1.0);
            Span { scale, ..*span }.scatter(&patch, 16, &mut tensor);
        }
        assert_eq!((taps.len(), plan.lengths[head.0]), (15, 7 * 300));
        assert!(taps.contains(&(TAPS / 2)));
        // As PyTorch flattens: the positions of a channel stand side by side.
        let (first, second) = (&tensor[..15], &tensor[15..30]);
        assert_eq!(first, second);
        assert!(first.iter().enumerate().all(|(at, tap)| first[..at].iter().all(|it| it != tap)));
    }

    #[test]
    fn layers_in_front_of_a_large_epsilon_are_larger() {
        let onnx = Named::find("resnet-20").unwrap().onnx();
        let model = Model::from_bytes("resnet-20", onnx.into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        let scales = |architecture: &Architecture| {
            PatchPlan::new(architecture, &architecture.order, None).scales()
        };
        let usual = scales(&architecture);
        let norms = architecture.dag.node_weights_mut();
        for norm in norms.filter(|it| it.op_type == "BatchNormalization") {
            norm.attributes.0.insert("epsilon".to_owned(), Attribute::Float(1e-3));
        }
        let (mut kernels, mut others) = (0, 0);
        for ((own, usual), parameter) in
            scales(&architecture).iter().zip(&usual).zip(&architecture.parameters)
        {
            match (own, usual, parameter.shape.as_ref().map(Vec::len)) {
                (Some(Scale::Linear(own)), Some(Scale::Linear(usual)), Some(4)) => {
                    assert_relative_eq!(*own, 10.0 * usual, max_relative = 1e-5);
                    kernels += 1;
                }
                _ => {
                    assert_eq!(own, usual);
                    others += 1;
                }
            }
        }
        assert!(kernels > 18 && others > 40, "{kernels} {others}");
    }
}
