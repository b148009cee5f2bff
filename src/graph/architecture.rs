//! The architecture: operators, the values between them, and the parameters to be written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use petgraph::stable_graph::NodeIndex;
use petgraph::stable_graph::StableDiGraph;

use super::{Attributes, Constant, DType, Fact, Form, OpenDim, StorageMap, Tensor, TorchCall};

/// Index into [`Architecture::parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParameterId(pub usize);

/// What feeds one input slot of a node (or one output of the graph).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// An optional input left out (`""` in the file).
    Absent,
    /// A data input of the graph, by index into [`Architecture::inputs`].
    Input(usize),
    /// An output slot of another node.
    Node {
        /// The producing node.
        node: NodeIndex,
        /// Its output slot.
        slot: usize,
    },
    /// A tensor that training would learn, by index into [`Architecture::parameters`].
    Parameter(ParameterId),
    /// A tensor that training would not learn (shapes, axes, indices), by index into
    /// [`Architecture::constants`].
    Constant(usize),
}

/// One operator of the graph.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Name in the file; may be empty.
    pub name: String,
    /// Operator domain; `ai.onnx` is written as the empty string.
    pub domain: String,
    /// Operator type, for example `Conv`.
    pub op_type: String,
    /// Imported opset version of the domain.
    pub opset: i64,
    /// Attributes.
    pub attributes: Attributes,
    /// Positional inputs.
    pub inputs: Vec<Operand>,
    /// Outputs; shapes are filled in by shape inference.
    pub outputs: Vec<Fact>,
    /// Position in the file, kept because any topological order is only *an* order. Nodes that a
    /// rewrite made have that of the node they stand for.
    pub position: usize,
    /// Path of the module that it is part of, where the exporter says so: `layer1.0.conv1`.
    pub module: Option<String>,
    /// Whether it comes from a function of the file, whose nodes cannot be changed one by one.
    pub inlined: bool,
    /// Whether it stands in a branch that need not be taken.
    pub conditional: bool,
    /// What the exporter made of it: names of the rules that it applied.
    pub rules: String,
    /// The call that it is part of, where the exporter says so.
    pub call: Option<TorchCall>,
}

/// An edge of the DAG: which output of the source feeds which input of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// Output slot of the source node.
    pub source_slot: usize,
    /// Input slot of the destination node.
    pub destination_slot: usize,
}

/// Where a parameter's tensor stands in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// `GraphProto.initializer[index]` (perhaps listed as a graph input too).
    Initializer(usize),
    /// `GraphProto.sparse_initializer[index]`; carried through, never written.
    SparseInitializer(usize),
    /// A graph input without a value (`keep_initializers_as_inputs`), by index into
    /// `GraphProto.input`.
    GraphInput(usize),
    /// Output of a `Constant` node, by node position.
    Constant(usize),
    /// Output of a `ConstantOfShape` node (a stripped weight), by node position.
    ConstantOfShape(usize),
    /// A name that is used but defined nowhere (a weightless export).
    #[default]
    Undefined,
    /// The file holds other tensors that it follows from: see [`Storage`].
    Composed {
        /// Index into [`Architecture::storages`].
        storage: usize,
        /// Its place among the parameters there.
        place: usize,
    },
}

/// How a tensor that the file does not define is put there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// Nodes whose only output it takes the place of, by position.
    pub supplants: Vec<usize>,
    /// Inputs of nodes that are to read it, by position of the node. The number of inputs that the
    /// node has so far stands for one more.
    pub inputs: Vec<[usize; 2]>,
}

/// What a parameter does for the node that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Kernel or matrix of a linear map.
    Weight,
    /// Additive vector of a linear map.
    Bias,
    /// Multiplicative vector of a normalisation (gamma).
    Gain,
    /// Additive vector of a normalisation (beta).
    Shift,
    /// Running mean of a batch normalisation.
    RunningMean,
    /// Running variance of a batch normalisation.
    RunningVariance,
    /// Slope of a PRelu.
    Slope,
    /// A free tensor added to or multiplied with activations (positional embeddings, layer scale).
    Free,
}

impl Role {
    /// Whether it is measured by running the network, and not learned.
    pub fn is_statistic(self) -> bool {
        matches!(self, Self::RunningMean | Self::RunningVariance)
    }

    /// What it is called in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Bias => "bias",
            Self::Gain => "gain",
            Self::Shift => "shift",
            Self::RunningMean => "running mean",
            Self::RunningVariance => "running variance",
            Self::Slope => "slope",
            Self::Free => "free",
        }
    }

    /// The attribute that a PyTorch module holds such a tensor under.
    pub fn torch_attribute(self) -> Option<&'static str> {
        match self {
            Self::Weight | Self::Gain | Self::Slope => Some("weight"),
            Self::Bias | Self::Shift => Some("bias"),
            Self::RunningMean => Some("running_mean"),
            Self::RunningVariance => Some("running_var"),
            Self::Free => None,
        }
    }
}

/// How the axes of a parameter map to output and input channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `[out, in / groups, k…]`: Conv, Gemm with `transB`, `[out, in]`.
    OutIn,
    /// `[in, out / groups, k…]`: MatMul, Gemm without `transB`, ConvTranspose.
    InOut,
    /// One value per channel (possibly with unit axes around it).
    Vector,
    /// Anything else.
    Free,
}

/// One use of a parameter by a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// The operator that computes with it (unary chains such as Transpose or Identity between
    /// parameter and operator are followed).
    pub node: NodeIndex,
    /// Input slot of that operator.
    pub input: usize,
    /// What it does there; set by the operator's parameter rule.
    pub role: Role,
    /// Axis meaning *of the stored tensor* (a Transpose on the way is accounted for).
    pub layout: Layout,
    /// Channel groups of the operator (1 unless a grouped convolution).
    pub groups: usize,
    /// Number of input values that one output value sums over.
    pub fan_in: usize,
    /// Extents under which the operator sees the stored values, where a Reshape or the like stands
    /// between; `layout` is the meaning of these axes then.
    pub view: Option<Vec<usize>>,
}

/// A tensor of the graph that training would learn.
#[derive(Clone, Debug, Default)]
pub struct Parameter {
    /// The exact ONNX value name.
    pub name: String,
    /// Element type (F32 where a weightless file does not say).
    pub dtype: DType,
    /// Extents; `None` until declared or inferred.
    pub shape: Option<Vec<usize>>,
    /// Where it stands in the file.
    pub origin: Origin,
    /// Its uses, in node order. More than one: a tied parameter. Empty: role unknown.
    pub slots: Vec<Slot>,
    /// The value in the file, if it is small; kept in case the tensor turns out not to be learned.
    pub value: Option<Tensor>,
    /// Whether all its values in the file are one number, as in a fresh network.
    pub uniform: bool,
    /// How it is put into the file, if the file does not define it by this name.
    pub wiring: Wiring,
    /// Path of the module of its first use, where the exporter says so.
    pub module: Option<String>,
    /// Whether it keeps the value that it has in the file.
    pub fixed: bool,
}

impl Parameter {
    /// Number of values, if the shape is known and can be counted.
    pub fn len(&self) -> Option<usize> {
        let shape = self.shape.as_ref()?;
        shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent))
    }

    /// Whether the shape is known to hold no value.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Whether its values can change: floats that are not fixed.
    pub fn is_free(&self) -> bool {
        !self.fixed && self.dtype.is_float()
    }

    /// The role of its first use.
    pub fn role(&self) -> Option<Role> {
        self.slots.first().map(|slot| slot.role)
    }
}

/// Parameters that follow from tensors of the file, together.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The parameters.
    pub parameters: Vec<ParameterId>,
    /// The tensors of the file, with the uses that they had there.
    pub tensors: Vec<Parameter>,
    /// How the ones follow from the others.
    pub map: Arc<dyn StorageMap>,
    /// What PyTorch's state dict holds.
    pub in_state_dict: Form,
}

impl Storage {
    /// Whether a file of that form holds the tensors in place of the parameters: one of tensors, or a
    /// state dict that does.
    pub fn is_in(&self, form: Form) -> bool {
        form == Form::Tensors || self.in_state_dict == Form::Tensors
    }
}

/// Two parameters whose values are equal in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twins {
    /// The earlier one.
    pub first: ParameterId,
    /// The other.
    pub second: ParameterId,
    /// Whether the second one is the transpose of the first.
    pub transposed: bool,
}

/// What a classifier returns for each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// Logits, or whatever else the graph computes.
    #[default]
    Logits,
    /// Probabilities: the file ends with a softmax, the canonical graph in front of it.
    Probabilities,
    /// Their logarithms.
    LogProbabilities,
}

impl Scores {
    /// What they are called in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
            Self::LogProbabilities => "log-probabilities",
        }
    }

    /// What the file returns for one image, from the logits of the canonical graph.
    pub fn of_logits(self, logits: &[f32]) -> Vec<f32> {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        let log = |logit: &f32| logit - largest - total.ln();
        match self {
            Self::Logits => logits.to_vec(),
            Self::Probabilities => logits.iter().map(|logit| log(logit).exp()).collect(),
            Self::LogProbabilities => logits.iter().map(log).collect(),
        }
    }
}

/// A neural architecture: what an ONNX graph says apart from its learned values.
#[derive(Clone, Debug, Default)]
pub struct Architecture {
    /// Graph name.
    pub name: String,
    /// Operators and the values between them. Nodes are never removed.
    pub dag: StableDiGraph<Node, Edge>,
    /// Data inputs (parameters listed as inputs are not among them).
    pub inputs: Vec<Fact>,
    /// Dimensions of data inputs that were taken as 1.
    pub open_dims: Vec<OpenDim>,
    /// What the graph returns, with the declared names.
    pub outputs: Vec<(String, Operand)>,
    /// Tensors that training would learn, in order of first use.
    pub parameters: Vec<Parameter>,
    /// Tensors that it would not, with their value names.
    pub constants: Vec<(String, Constant)>,
    /// Node indices in a topological order that respects file order where it can.
    pub order: Vec<NodeIndex>,
    /// Facts that the file declares about values (`value_info` and outputs), where they are static.
    pub declared: BTreeMap<String, Fact>,
    /// Parameters that the file does not store as they are.
    pub storages: Vec<Storage>,
    /// Names of the tensors that the PyTorch module has, where the exporter says so; empty elsewhere.
    pub module_tensors: BTreeSet<String>,
    /// Parameters with equal values in the file, not all of one number.
    pub twins: Vec<Twins>,
    /// What the first output is.
    pub scores: Scores,
    /// What the reader assumed, as sentences for the user.
    pub notices: Vec<String>,
}

impl Architecture {
    /// Node names as errors print them: `'name' (OpType)`, or the position where the name is empty.
    pub fn describe(&self, index: NodeIndex) -> String {
        let node = &self.dag[index];
        if node.name.is_empty() {
            format!("node #{} ({})", node.position, node.op_type)
        } else {
            format!("node '{}' ({})", node.name, node.op_type)
        }
    }

    /// The static fact behind an operand, where there is one.
    pub fn fact(&self, operand: Operand) -> Option<Fact> {
        match operand {
            Operand::Absent => None,
            Operand::Input(index) => self.inputs.get(index).cloned(),
            Operand::Node { node, slot } => {
                self.dag.node_weight(node).and_then(|node| node.outputs.get(slot)).cloned()
            }
            Operand::Parameter(id) => self.parameters.get(id.0).map(|parameter| Fact {
                name: parameter.name.clone(),
                dtype: Some(parameter.dtype),
                shape: parameter.shape.clone(),
                value: None,
            }),
            Operand::Constant(index) => self.constants.get(index).map(|(name, value)| Fact {
                name: name.clone(),
                dtype: Some(match value {
                    Constant::Float(_) => DType::F32,
                    Constant::Int { .. } => DType::I64,
                }),
                shape: Some(value.shape().to_vec()),
                value: Some(value.clone()),
            }),
        }
    }

    /// Total number of values in parameters of known shape.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().filter_map(Parameter::len).fold(0, usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn scores_follow_from_logits() {
        let logits = [1000.0, 1000.0 + 3f32.ln()];
        assert_eq!(Scores::Logits.of_logits(&logits), logits);
        let probabilities = Scores::Probabilities.of_logits(&logits);
        assert_abs_diff_eq!(probabilities[0], 0.25, epsilon = 1e-4);
        assert_abs_diff_eq!(probabilities[1], 0.75, epsilon = 1e-4);
        let logarithms = Scores::LogProbabilities.of_logits(&logits);
        assert_abs_diff_eq!(logarithms[0], 0.25f32.ln(), epsilon = 1e-4);
    }
}
