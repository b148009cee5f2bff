//! Where a network's head is.

use crate::{
    graph::{Architecture, Layout, Node, NodeIndex, Operand, ParameterId, Role, Slot, Weights},
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
    /// Heads whose scores are added to its own, as those of a distilled transformer are (Touvron et al. 2021): once it
    /// is solved they say nothing.
    pub others: Vec<Head>,
}

impl Head {
    /// That of a resolved architecture, the first one if scores of several are added. What follows it may only hand
    /// class scores on: reshape, average and rectify them.
    ///
    /// # Errors
    ///
    /// Outputs do not follow from linear maps, or their weights are used elsewhere, too.
    pub fn of(architecture: &Architecture, registry: &Registry) -> Result<Self, HeadError> {
        let none = |why: String| HeadError::NoHead(why);
        let classes = architecture.class_count().map_err(|problem| none(problem.to_string()))?;
        match architecture.outputs.first() {
            Some(&(_, output)) => {
                let computed = computed(architecture);
                Search { architecture, registry, classes, computed: &computed }.from(output)
            }
            None => Err(none("it returns nothing".to_owned())),
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
        for head in std::iter::once(self).chain(&self.others) {
            set(head.weight, if head.transposed { |_| 1 } else { |_| 0 });
            if let Some(bias) = head.bias {
                set(bias, |axes| axes.saturating_sub(1));
            }
        }
        // With what the file declares of its own classes left aside.
        let input = other.inputs.first().and_then(|input| input.shape.clone());
        resolve_with_input(&mut other, &input.unwrap_or_default(), registry)?;
        Ok(other)
    }

    /// All that changes when it is solved.
    pub fn parameters(&self) -> impl Iterator<Item = ParameterId> {
        let heads = std::iter::once(self).chain(&self.others);
        heads.flat_map(|head| [Some(head.weight), head.bias].into_iter().flatten())
    }

    /// Makes the heads beside it say nothing.
    pub(super) fn silence_others(&self, weights: &mut Weights) {
        for id in self.others.iter().flat_map(Head::parameters) {
            let silent = weights.get(id).map(|values| vec![0.0; values.len()]);
            weights.set(id, silent.unwrap_or_default());
        }
    }

    /// The head and those beside it, each alone.
    fn apart(mut self) -> impl Iterator<Item = Self> {
        let others = std::mem::take(&mut self.others);
        std::iter::once(self).chain(others)
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

/// A search for heads against the direction of the graph.
struct Search<'a, F> {
    architecture: &'a Architecture,
    registry: &'a Registry,
    classes: usize,
    /// Tells what depends on the images.
    computed: F,
}

impl<F: Fn(&Operand) -> bool> Search<'_, F> {
    /// The head whose scores arrive there.
    fn from(&self, mut at: Operand) -> Result<Head, HeadError> {
        let &Self { architecture, registry, .. } = self;
        let none = |why: String| HeadError::NoHead(why);
        let joins = |node| none(format!("{} joins several branches", architecture.describe(node)));
        let (mut bias, mut rectified) = (None, false);
        loop {
            let Operand::Node { node, .. } = at else {
                return Err(none("its output is one of its inputs".to_owned()));
            };
            if let Some((weight, slot)) = slot_of(architecture, node, Role::Weight) {
                let own = slot_of(architecture, node, Role::Bias).map(|(id, _)| id);
                let head = self.head(node, weight, slot, own.or(bias))?;
                return Ok(Head { rectified, ..head });
            }
            let inputs = architecture.dag[node].inputs.iter();
            let inputs: Vec<Operand> =
                inputs.copied().filter(|operand| (self.computed)(operand)).collect();
            let family = registry.find(&architecture.dag[node]).map(|known| known.family());
            match family {
                _ if adds(&architecture.dag[node]) && inputs.len() > 1 => {
                    let heads = inputs.into_iter().map(|input| self.from(input));
                    let heads = heads.collect::<Result<Vec<Head>, _>>()?;
                    let alone = heads.into_iter().flat_map(Head::apart).collect::<Vec<Head>>();
                    let rectified = rectified || alone.iter().any(|head| head.rectified);
                    let mut alone = alone.into_iter();
                    return match alone.next().filter(|_| bias.is_none() && !rectified) {
                        Some(first) => Ok(Head { others: alone.collect(), ..first }),
                        None => Err(joins(node)),
                    };
                }
                _ if multiplies(architecture, node) => {}
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
            let [input] = inputs[..] else { return Err(joins(node)) };
            at = input;
        }
    }

    /// The linear map of a node.
    fn head(
        &self,
        node: NodeIndex,
        weight: ParameterId,
        slot: &Slot,
        bias: Option<ParameterId>,
    ) -> Result<Head, HeadError> {
        let &Self { architecture, registry, classes, .. } = self;
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
            Layout::OutIn if outputs(0) == Some(&classes) => false,
            Layout::InOut if outputs(1) == Some(&classes) => true,
            _ => return refuse("it has not one output for each class"),
        };
        let Some(features) = parameter.len().map(|length| length / classes) else {
            return refuse("its size is not known");
        };
        let family = registry.find(&architecture.dag[node]).map(|known| known.family());
        Ok(Head {
            input: architecture.dag[node].inputs[0],
            weight,
            transposed,
            bias,
            classes,
            features,
            features_last: family.is_ok_and(|family| family != OperatorFamily::Convolution),
            rectified: false,
            others: Vec::new(),
        })
    }
}

/// Whether a node returns the sum or mean of its inputs.
fn adds(node: &Node) -> bool {
    node.domain.is_empty() && ["Add", "Sum", "Mean"].contains(&node.op_type.as_str())
}

/// Whether a node multiplies scores by a positive constant, or divides them by one.
fn multiplies(architecture: &Architecture, node: NodeIndex) -> bool {
    let Node { domain, op_type, inputs, .. } = &architecture.dag[node];
    let is_positive = |operand: &Operand| {
        let value = architecture.fact(*operand).and_then(|fact| fact.value);
        value.is_some_and(|value| {
            value.floats().is_some_and(|all| all.len() == 1 && all.iter().all(|&it| it > 0.0))
        })
    };
    match (domain.as_str(), op_type.as_str(), inputs.as_slice()) {
        ("", "Div", [_, by]) => is_positive(by),
        ("", "Mul", [one, other]) => is_positive(one) || is_positive(other),
        _ => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        graph::Architecture,
        onnx::Model,
        ops::resolve,
        spaces::{GraphBuilder, Value},
    };

    fn head(logits: impl Fn(&mut GraphBuilder, &Value) -> Value) -> Result<Head, HeadError> {
        let (mut builder, image) = GraphBuilder::new("heads", [1, 3, 5]);
        let features = builder.flatten("flat", &image);
        let logits = logits(&mut builder, &features);
        let model = Model::from_bytes("heads", builder.finish(&logits).into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        let registry = Registry::standard();
        resolve(&mut architecture, &registry).unwrap();
        Head::of(&architecture, &registry)
    }

    #[test]
    fn the_first_of_several_heads_speaks_for_all() {
        let head = head(|builder, features| {
            let heads = ["one", "two", "three"].map(|name| builder.linear(name, features, 4));
            let both = builder.add("both", &heads[0], &heads[1]);
            builder.add("all", &both, &heads[2])
        })
        .unwrap();
        assert_eq!((head.classes, head.features, head.others.len()), (4, 15, 2));
        assert_eq!(head.parameters().count(), 6);
        let mut weights = Weights::absent(6);
        head.parameters().for_each(|id| weights.set(id, vec![1.0; 2]));
        head.silence_others(&mut weights);
        assert_eq!(weights.get(head.weight), Some(&[1.0; 2][..]));
        assert_eq!(weights.get(head.others[0].weight), Some(&[0.0; 2][..]));
    }

    #[test]
    fn what_is_added_to_scores_may_not_be_rectified() {
        let head = head(|builder, features| {
            let one = builder.linear("one", features, 4);
            let other = builder.linear("other", features, 4);
            let other = builder.activation("relu", &other, crate::spaces::Activation::Relu);
            builder.add("both", &one, &other)
        });
        assert!(matches!(head, Err(HeadError::NoHead(_))));
    }
}
