//! The trait an operator implements, and what it is told and asked.

use burn::tensor::Device;

use crate::{
    graph::{Fact, Layout, Node, Role},
    kernels::Step,
};

use super::{Array, OpError, OperatorFamily, helpers::bounded};

/// A parameter slot of an operator, seen from the operator.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotRule {
    /// Input slot.
    pub input: usize,
    /// What a parameter there does.
    pub role: Role,
    /// How its axes map to channels.
    pub layout: Layout,
    /// Channel groups.
    pub groups: usize,
    /// Input values summed per output value, if the shapes say.
    pub fan_in: Option<usize>,
    /// The shape it must have where the file does not say (weightless exports), if inferable.
    pub shape: Option<Vec<usize>>,
}

impl SlotRule {
    /// A tensor that is learned as it is: a positional embedding, a class token.
    pub fn free(input: usize) -> Self {
        let (role, layout) = (Role::Free, Layout::Free);
        Self { input, role, layout, groups: 1, fan_in: Some(1), shape: None }
    }
}

/// How an operator hands its first input on, if that is all it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// The same values in the same order, perhaps at other extents.
    Same,
    /// A matrix with its axes swapped.
    Transposed,
}

/// Geometry of a node, for the encoder. Zero where a field does not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Features {
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Strides.
    pub stride: [usize; 2],
    /// Dilations.
    pub dilation: [usize; 2],
    /// Channel groups.
    pub groups: usize,
}

/// One ONNX operator. Implementations are stateless; see the files beside this one.
pub trait Operator: Send + Sync {
    /// Operator type, as in `NodeProto.op_type`.
    fn op_type(&self) -> &'static str;

    /// Operator domain; `ai.onnx` is the empty string.
    fn domain(&self) -> &'static str {
        ""
    }

    /// What kind of operator it is. A predictor that never met the operator takes it for the mean of
    /// its family.
    fn family(&self) -> OperatorFamily {
        OperatorFamily::Other
    }

    /// Opset versions in which the operator changed, ascending (ONNX `Changelog.md`).
    fn since(&self) -> &'static [i64];

    /// Shapes, types and, where inputs are constant, values of the outputs.
    /// `inputs` is positional; `None` is an absent optional input. A fact whose shape is `None`
    /// is not known: return facts without shape, not an error, when it is needed and missing.
    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError>;

    /// Inputs that hold learned tensors when they are parameters.
    fn slots(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        Ok(Vec::new())
    }

    /// Whether the output is the first input under another name: a parameter behind such a node is
    /// used by whoever reads the output.
    fn passage(&self, _node: &Node) -> Option<Passage> {
        None
    }

    /// Geometry for the encoder.
    fn features(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Features {
        Features::default()
    }

    /// Multiply-accumulates of one run, where that is what it does: convolutions and matrix products.
    /// Zero where shapes are not known.
    fn multiply_accumulates(&self, _node: &Node, _inputs: &[Option<Fact>]) -> u64 {
        0
    }

    /// Runs the operator on a burn device, differentiable in every float input.
    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError>;

    /// The CPU kernel that computes the same as [`Operator::execute`], many times faster, where there is
    /// one. A graph with an operator that has none runs on burn.
    fn lower(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Option<Step> {
        None
    }
}

/// [`Operator::infer`], with operands and results held to what can be computed: values that are too
/// large to keep in memory and floats without any value are refused here, once for all operators.
pub fn infer(
    operator: &dyn Operator,
    node: &Node,
    inputs: &[Option<Fact>],
) -> Result<Vec<Fact>, OpError> {
    let check = |fact: &Fact| {
        let Some(shape) = &fact.shape else { return Ok(()) };
        let integers = fact.dtype.is_some_and(|dtype| !dtype.is_float());
        if bounded(shape)? == 0 && !integers {
            return Err(OpError::Unsupported(format!("an empty value of shape {shape:?}")));
        }
        Ok(())
    };
    inputs.iter().flatten().try_for_each(check)?;
    let facts = operator.infer(node, inputs)?;
    facts.iter().try_for_each(check)?;
    Ok(facts)
}
