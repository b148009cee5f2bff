//! Batch normalisations that are put into a graph to measure what its layers return.

use petgraph::{Direction, visit::EdgeRef};

use crate::{
    condition::Fitting,
    execute::{Runner, Scratch},
    graph::{
        Architecture, Attribute, Attributes, DType, Edge, Fact, Node, NodeIndex, Operand,
        Parameter, ParameterId, Weights,
    },
};

use super::{MergeError, layer::Layer};

/// Added to a measured variance before it is divided by.
pub(super) const EPSILON: f32 = 1e-5;
/// Most images that are measured, all in one pass: means and deviations of channels need no more.
const MOST_IMAGES: usize = 512;
/// An opset whose definition of the operator is the present one.
const OPSET: i64 = 15;

/// Mean and standard deviation of each channel that a layer makes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moments {
    pub mean: Vec<f32>,
    pub deviation: Vec<f32>,
}

impl Moments {
    /// What each channel of a standardised value has.
    pub fn standard(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], deviation: vec![1.0; channels] }
    }
}

/// A graph with a batch normalisation for each of some layers.
#[derive(Debug)]
pub(super) struct Probed {
    architecture: Architecture,
    norms: Vec<Norm>,
}

#[derive(Clone, Copy, Debug)]
struct Norm {
    node: NodeIndex,
    /// Gain, shift, mean and variance.
    parameters: [ParameterId; 4],
    channels: usize,
}

impl Probed {
    /// Normalisations beside the readers of layers, which change nothing.
    pub fn beside(architecture: &Architecture, layers: &[Layer]) -> Self {
        Self::new(architecture, layers, false)
    }

    /// Normalisations between layers and their readers.
    pub fn behind(architecture: &Architecture, layers: &[Layer]) -> Self {
        Self::new(architecture, layers, true)
    }

    fn new(architecture: &Architecture, layers: &[Layer], between: bool) -> Self {
        let mut probed = architecture.clone();
        let norms: Vec<Norm> =
            layers.iter().map(|layer| insert(&mut probed, layer, between)).collect();
        let last_first = norms.iter().rev();
        let values: Vec<Operand> =
            last_first.map(|norm| Operand::Node { node: norm.node, slot: 0 }).collect();
        Self { architecture: probed.returning(&values), norms }
    }

    /// What the layers return on images, with all batch normalisations on the statistics of these images; each
    /// normalisation that was put in sets what is behind it to the moments of `sets`.
    pub fn moments(
        &self,
        fitting: &Fitting,
        weights: &Weights,
        sets: &[Moments],
    ) -> Result<Vec<Moments>, MergeError> {
        let unmeasured = |why| MergeError::Unmeasured { needs: "'rescale'", why };
        let images = fitting.images.fitted(fitting.architecture, MOST_IMAGES);
        let images = images.map_err(unmeasured)?.images;
        let runner = Runner::of_batch(&self.architecture, images.shape, fitting.registry);
        let runner = runner.map_err(unmeasured)?;
        let mut all: Vec<Option<Vec<f32>>> =
            weights.by_parameter().map(|values| values.map(<[f32]>::to_vec)).collect();
        for (norm, Moments { mean, deviation }) in self.norms.iter().zip(sets) {
            let channels = norm.channels;
            let own = [deviation.clone(), mean.clone(), vec![0.0; channels], vec![1.0; channels]];
            all.extend(own.map(Some));
        }
        let all: Weights = all.into_iter().collect();
        let measured = runner.statistics(&all, images.view(), &mut Scratch::default())?;
        let of = |norm: &Norm| {
            let found = measured.iter().find(|measured| measured.mean == norm.parameters[2]);
            let found = found.ok_or_else(|| unmeasured("a layer was not run".to_owned()))?;
            let deviation = found.variances.iter().map(|variance| variance.max(0.0).sqrt());
            Ok(Moments { mean: found.means.clone(), deviation: deviation.collect() })
        };
        self.norms.iter().map(of).collect()
    }
}

/// Adds a normalisation of what a layer returns; its readers read the normalised values if it stands
/// between.
fn insert(architecture: &mut Architecture, layer: &Layer, between: bool) -> Norm {
    let (from, channels) = (layer.node, layer.channels());
    let output = architecture.dag[from].outputs.first().cloned().unwrap_or_default();
    let parameters = ["gain", "shift", "mean", "variance"].map(|what| {
        architecture.parameters.push(Parameter {
            name: format!("{}/{what}", output.name),
            dtype: DType::F32,
            shape: Some(vec![channels]),
            ..Parameter::default()
        });
        ParameterId(architecture.parameters.len() - 1)
    });
    let value = Operand::Node { node: from, slot: 0 };
    let inputs = [value].into_iter().chain(parameters.map(Operand::Parameter)).collect();
    let epsilon = ("epsilon".to_owned(), Attribute::Float(EPSILON));
    let node = architecture.dag.add_node(Node {
        op_type: "BatchNormalization".to_owned(),
        opset: OPSET,
        attributes: Attributes([epsilon].into_iter().collect()),
        inputs,
        outputs: vec![Fact { name: format!("{}/normalised", output.name), ..output }],
        position: architecture.dag[from].position,
        ..Node::default()
    });
    if between {
        let edges = architecture.dag.edges_directed(from, Direction::Outgoing);
        let edges: Vec<_> = edges
            .filter(|edge| edge.weight().source_slot == 0)
            .map(|edge| (edge.id(), edge.target(), *edge.weight()))
            .collect();
        let normalised = Operand::Node { node, slot: 0 };
        for (edge, reader, weight) in edges {
            architecture.dag.remove_edge(edge);
            architecture.dag.add_edge(node, reader, weight);
            let inputs = &mut architecture.dag[reader].inputs;
            inputs.iter_mut().filter(|it| **it == value).for_each(|it| *it = normalised);
        }
    }
    architecture.dag.add_edge(from, node, Edge { source_slot: 0, destination_slot: 0 });
    let place = architecture.order.iter().position(|&it| it == from).map_or(0, |place| place + 1);
    architecture.order.insert(place, node);
    Norm { node, parameters, channels }
}
