//! Where a network's head is.

use crate::{
    graph::{Architecture, Layout, NodeIndex, Operand, ParameterId, Role, Slot},
    ops::{OperatorFamily, Registry, ResolveError, resolve_with_input},
};

use super::HeadError;

/// The last linear map of a classifier: `Gemm`, `MatMul` or `Conv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it maps.
    pub input: Operand,
    /// Its matrix or kernel.
    pub weight: ParameterId,
    /// Whether the matrix is stored `[in, out]`.
    pub transposed: bool,
    /// What is added to every class, if anything is.
    pub bias: Option<ParameterId>,
    /// Classes.
    pub classes: usize,
    /// Values of the input that make one class score.
    pub features: usize,
    /// Whether features are the last axis of the input; otherwise they are the first one behind the batch.
    pub features_last: bool,
    /// Whether an activation that lets only positive values through follows.
    pub rectified: bool,
}

impl Head {
    /// That of a resolved architecture. What follows it may only hand class scores on: reshape, average and
    /// rectify them.
    ///
    /// # Errors
    ///
    /// Outputs do not follow from one linear map, or its weights are used elsewhere, too.
    pub fn of(architecture: &Architecture, registry: &Registry) -> Result<Self, HeadError> {
        let none = |why: String| HeadError::NoHead(why);
        let classes = architecture.class_count().map_err(|problem| none(problem.to_string()))?;
        let computed = computed(architecture);
        let Some(&(_, mut at)) = architecture.outputs.first() else {
            return Err(none("it returns nothing".to_owned()));
        };
        let (mut bias, mut rectified) = (None, false);
        loop {
            let Operand::Node { node, .. } = at else {
                return Err(none("its output is one of its inputs".to_owned()));
            };
            if let Some((weight, slot)) = slot_of(architecture, node, Role::Weight) {
                let own = slot_of(architecture, node, Role::Bias).map(|(id, _)| id);
                let bias = own.or(bias);
                let input = architecture.dag[node].inputs[0];
                let place = Place { node, input, classes, rectified };
                return place.head(architecture, registry, weight, slot, bias);
            }
            let family = registry.find(&architecture.dag[node]).map(|known| known.family());
            match family {
                Ok(OperatorFamily::Shape | OperatorFamily::Other) => {}
                Ok(OperatorFamily::Pooling | OperatorFamily::Reduction) => {}
                Ok(OperatorFamily::Activation) => rectified = true,
                Ok(OperatorFamily::Arithmetic) if bias.is_none() => {
                    bias = slot_of(architecture, node, Role::Bias).map(|(id, _)| id);
                    if bias.is_none() {
                        return Err(none(format!("{} follows", architecture.describe(node))));
                    }
                }
                _ => return Err(none(format!("{} follows", architecture.describe(node)))),
            }
            let mut inputs =
                architecture.dag[node].inputs.iter().filter(|operand| computed(operand));
            at = match (inputs.next(), inputs.next()) {
                (Some(&input), None) => input,
                _ => {
                    let node = architecture.describe(node);
                    return Err(none(format!("{node} joins several branches")));
                }
            };
        }
    }

    /// The architecture that tells so many classes apart instead.
    ///
    /// # Errors
    ///
    /// What follows the head takes no other number of classes.
    pub fn for_classes(
        &self,
        architecture: &Architecture,
        registry: &Registry,
        classes: usize,
    ) -> Result<Architecture, ResolveError> {
        let mut other = architecture.clone();
        let mut set = |id: ParameterId, axis: fn(usize) -> usize| {
            if let Some(shape) = &mut other.parameters[id.0].shape {
                let axis = axis(shape.len());
                shape[axis] = classes;
            }
        };
        set(self.weight, if self.transposed { |_| 1 } else { |_| 0 });
        if let Some(bias) = self.bias {
            set(bias, |axes| axes.saturating_sub(1));
        }
        // With what the file declares of its own classes left aside.
        let input = other.inputs.first().and_then(|input| input.shape.clone());
        resolve_with_input(&mut other, &input.unwrap_or_default(), registry)?;
        Ok(other)
    }

    /// Whether a head that is solved for so many classes takes its place.
    pub fn takes(&self, classes: usize) -> bool {
        self.classes == classes && !self.rectified
    }

    /// Places of an input of so many values that it maps one by one.
    pub(super) fn places(&self, values: usize) -> Option<usize> {
        (self.features > 0 && values.is_multiple_of(self.features) && values > 0)
            .then(|| values / self.features)
    }

    /// Value of a feature at one of the places.
    pub(super) fn at(&self, feature: usize, place: usize, places: usize) -> usize {
        match self.features_last {
            true => place * self.features + feature,
            false => feature * places + place,
        }
    }

    /// The mean of every feature over all places, image by image.
    pub(super) fn pooled(&self, rows: &[f32], places: usize) -> Vec<f32> {
        if places == 1 {
            return rows.to_vec();
        }
        let of_image = |image: &[f32]| -> Vec<f32> {
            let value = |feature| {
                let values = (0..places).map(|place| image[self.at(feature, place, places)]);
                values.sum::<f32>() / places as f32
            };
            (0..self.features).map(value).collect()
        };
        rows.chunks_exact(self.features * places).flat_map(of_image).collect()
    }

    /// The gradient by the input of what was [pooled](Self::pooled) over so many places.
    pub(super) fn spread(&self, gradient: &[f32], places: usize) -> Vec<f32> {
        let mut out = vec![0.0; gradient.len() * places];
        let images = out.chunks_exact_mut(self.features * places);
        for (out, gradient) in images.zip(gradient.chunks_exact(self.features)) {
            for (feature, value) in gradient.iter().enumerate() {
                for place in 0..places {
                    out[self.at(feature, place, places)] = value / places as f32;
                }
            }
        }
        out
    }
}

/// A linear map that was found.
struct Place {
    node: NodeIndex,
    input: Operand,
    classes: usize,
    rectified: bool,
}

impl Place {
    fn head(
        &self,
        architecture: &Architecture,
        registry: &Registry,
        weight: ParameterId,
        slot: &Slot,
        bias: Option<ParameterId>,
    ) -> Result<Head, HeadError> {
        let parameter = &architecture.parameters[weight.0];
        let refuse = |why: &str| {
            let (name, why) = (parameter.name.clone(), why.to_owned());
            Err(HeadError::NotFree { name, why })
        };
        let tied = |id: ParameterId| architecture.parameters[id.0].slots.len() != 1;
        if tied(weight) || bias.is_some_and(tied) {
            return refuse("it is used in several places");
        }
        if slot.groups != 1 || slot.view.is_some() {
            return refuse("its classes do not see all features");
        }
        let outputs = |axis: usize| parameter.shape.as_ref().and_then(|shape| shape.get(axis));
        let transposed = match slot.layout {
            Layout::OutIn if outputs(0) == Some(&self.classes) => false,
            Layout::InOut if outputs(1) == Some(&self.classes) => true,
            _ => return refuse("it has not one output for each class"),
        };
        let Some(features) = parameter.len().map(|length| length / self.classes) else {
            return refuse("its size is not known");
        };
        let family = registry.find(&architecture.dag[self.node]).map(|known| known.family());
        Ok(Head {
            input: self.input,
            weight,
            transposed,
            bias,
            classes: self.classes,
            features,
            features_last: family.is_ok_and(|family| family != OperatorFamily::Convolution),
            rectified: self.rectified,
        })
    }
}

/// The parameter that does this for a node, and how.
fn slot_of(
    architecture: &Architecture,
    node: NodeIndex,
    role: Role,
) -> Option<(ParameterId, &Slot)> {
    let of = |parameter: &'_ crate::graph::Parameter| {
        parameter.slots.iter().position(|slot| slot.node == node && slot.role == role)
    };
    let mut all = architecture.parameters.iter().enumerate();
    all.find_map(|(index, parameter)| {
        of(parameter).map(|slot| (ParameterId(index), &architecture.parameters[index].slots[slot]))
    })
}

/// Tells what depends on the images.
fn computed(architecture: &Architecture) -> impl Fn(&Operand) -> bool {
    let mut computed = vec![false; architecture.dag.node_count()];
    let depends = |computed: &[bool], operand: &Operand| match operand {
        Operand::Input(_) => true,
        Operand::Node { node, .. } => computed[node.index()],
        _ => false,
    };
    for &node in &architecture.order {
        let inputs = &architecture.dag[node].inputs;
        computed[node.index()] = inputs.iter().any(|operand| depends(&computed, operand));
    }
    move |operand| depends(&computed, operand)
}
