//! Operators that act on each element of one input, shape unchanged: one row of the table each, and
//! `PRelu`, whose slope is learned.

use burn::tensor::{Device, Tensor, activation};

use crate::{
    graph::{Constant, Fact, Layout, Node, Role},
    kernels::{Activation, Step},
};

use super::{
    Array, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{array, bad, broadcast, maybe_shape, named, required},
};

type Run = fn(&Node, &[Option<Array>], Tensor<1>) -> Result<Tensor<1>, OpError>;
type Lower = fn(&Node, &[Option<Fact>]) -> Option<Step>;

/// An elementwise operator.
struct Elementwise {
    domain: &'static str,
    op_type: &'static str,
    family: OperatorFamily,
    since: &'static [i64],
    run: Run,
    lower: Lower,
}

impl Elementwise {
    /// The operator on integers, where it is one of shape arithmetic.
    fn run_ints(&self) -> Option<fn(i64) -> i64> {
        match self.op_type {
            "Neg" => Some(i64::wrapping_neg),
            "Abs" => Some(i64::wrapping_abs),
            "Sign" => Some(i64::signum),
            _ => None,
        }
    }
}

impl Operator for Elementwise {
    fn op_type(&self) -> &'static str {
        self.op_type
    }

    fn family(&self) -> OperatorFamily {
        self.family
    }

    fn domain(&self) -> &'static str {
        self.domain
    }

    fn since(&self) -> &'static [i64] {
        self.since
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        Ok(named(node, 0, x.dtype, x.shape.clone(), None).into_iter().collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = x.shape().to_vec();
        if let (Array::Int { data, .. }, Some(run)) = (x, self.run_ints()) {
            return Ok(vec![Array::Int {
                shape,
                data: data.iter().map(|&value| run(value)).collect(),
            }]);
        }
        Ok(vec![Array::Float { flat: (self.run)(node, inputs, x.floats(0)?)?, shape }])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        (self.lower)(node, inputs)
    }
}

/// `PRelu`: x for x > 0, slope · x otherwise; the slope broadcasts to x.
struct PRelu;

/// Arrays are broadcast at this rank.
const RANK: usize = 6;

impl PRelu {
    /// The slope's shape; before opset 7 a vector stands for one value per channel.
    fn aligned(node: &Node, shape: &[usize], slope: &[usize]) -> Vec<usize> {
        let mut aligned = slope.to_vec();
        if node.opset < 7 && slope.len() == 1 && slope != [1] {
            aligned.extend(shape.iter().skip(2).map(|_| 1));
        }
        aligned
    }
}

impl Operator for PRelu {
    fn op_type(&self) -> &'static str {
        "PRelu"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Activation
    }

    fn since(&self) -> &'static [i64] {
        &[1, 6, 7, 9, 16]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        if let (Some(shape), Some(slope)) = (&x.shape, maybe_shape(inputs, 1)) {
            let slope = Self::aligned(node, shape, slope);
            if shape.len() > RANK || broadcast(shape, &slope).as_ref() != Some(shape) {
                return Err(bad(1, format!("shape {slope:?} does not broadcast to {shape:?}")));
            }
        }
        Ok(named(node, 0, x.dtype, x.shape.clone(), None).into_iter().collect())
    }

    fn slots(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        Ok(vec![SlotRule {
            input: 1,
            role: Role::Slope,
            layout: Layout::Vector,
            groups: 1,
            fan_in: Some(1),
            shape: None,
        }])
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (x, slope) = (array(inputs, 0)?, array(inputs, 1)?);
        let shape = x.shape().to_vec();
        let aligned = Self::aligned(node, &shape, slope.shape());
        let slope: Tensor<RANK> = slope.clone().renamed(aligned).rank(1)?;
        let x: Tensor<RANK> = x.rank(0)?;
        let result = x.clone().clamp_min(0.0) + x.clamp_max(0.0) * slope;
        Ok(vec![Array::flat(result, shape)])
    }
}

fn lowered(activation: Activation) -> Option<Step> {
    Some(Step::Activation(activation))
}

fn hard_sigmoid(x: Tensor<1>, alpha: f32, beta: f32) -> Tensor<1> {
    (x * alpha + beta).clamp(0.0, 1.0)
}

fn alpha(node: &Node, default: f32) -> Option<f32> {
    node.attributes.float("alpha", default).ok()
}

/// α and γ of `Selu` (Klambauer et al. 2017).
fn selu_constants(node: &Node) -> Result<[f32; 2], OpError> {
    let of = |name: &str, default: f32| node.attributes.float(name, default);
    Ok([of("alpha", 1.673_263_2)?, of("gamma", 1.050_701)?])
}

fn gelu_is_tanh(node: &Node) -> Result<bool, OpError> {
    match node.attributes.string("approximate", "none")? {
        "none" => Ok(false),
        "tanh" => Ok(true),
        other => Err(OpError::Unsupported(format!("approximate '{other}'"))),
    }
}

fn gelu_tanh(x: Tensor<1>) -> Tensor<1> {
    let inner = (x.clone() + x.clone().powf_scalar(3.0) * 0.044_715) * 0.797_884_6;
    x * 0.5 * (inner.tanh() + 1.0)
}

/// Bounds of Clip: attributes before opset 11, inputs from then on.
fn clip_bounds(
    node: &Node,
    bound: impl Fn(usize) -> Result<Option<f32>, OpError>,
) -> Result<(f32, f32), OpError> {
    let (low, high) = (f32::MIN, f32::MAX);
    if node.opset < 11 {
        return Ok((node.attributes.float("min", low)?, node.attributes.float("max", high)?));
    }
    Ok((bound(1)?.unwrap_or(low), bound(2)?.unwrap_or(high)))
}

fn scalar(value: Option<&Constant>) -> Option<f32> {
    match value? {
        Constant::Float(tensor) => tensor.data.first().copied(),
        Constant::Int { data, .. } => data.first().map(|&value| value as f32),
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    let none: Lower = |_, _| None;
    let row = |family| {
        move |op_type, since, run, lower| {
            Box::new(Elementwise { domain: "", op_type, family, since, run, lower })
                as Box<dyn Operator>
        }
    };
    let plain = row(OperatorFamily::Activation);
    let function = row(OperatorFamily::Arithmetic);
    vec![
        plain(
            "Relu",
            &[1, 6, 13, 14],
            |_, _, x| Ok(activation::relu(x)),
            |_, _| lowered(Activation::Relu),
        ),
        plain(
            "LeakyRelu",
            &[1, 6, 16],
            |node, _, x| {
                let alpha = node.attributes.float("alpha", 0.01)?;
                Ok(activation::relu(x.clone()) - activation::relu(-x) * alpha)
            },
            |node, _| lowered(Activation::LeakyRelu(alpha(node, 0.01)?)),
        ),
        plain(
            "Sigmoid",
            &[1, 6, 13],
            |_, _, x| Ok(activation::sigmoid(x)),
            |_, _| lowered(Activation::Sigmoid),
        ),
        plain("Tanh", &[1, 6, 13], |_, _, x| Ok(x.tanh()), |_, _| lowered(Activation::Tanh)),
        plain(
            "HardSigmoid",
            &[1, 6, 22],
            |node, _, x| {
                Ok(hard_sigmoid(
                    x,
                    node.attributes.float("alpha", 0.2)?,
                    node.attributes.float("beta", 0.5)?,
                ))
            },
            |node, _| {
                let beta = node.attributes.float("beta", 0.5).ok()?;
                lowered(Activation::HardSigmoid { alpha: alpha(node, 0.2)?, beta })
            },
        ),
        plain(
            "HardSwish",
            &[14, 22],
            |_, _, x| Ok(x.clone() * hard_sigmoid(x, 1.0 / 6.0, 0.5)),
            |_, _| lowered(Activation::HardSwish),
        ),
        plain(
            "Elu",
            &[1, 6, 22],
            |node, _, x| {
                let alpha = node.attributes.float("alpha", 1.0)?;
                let negative = x.clone().clamp_max(0.0).exp() - 1.0;
                Ok(activation::relu(x) + negative * alpha)
            },
            |node, _| lowered(Activation::Elu(alpha(node, 1.0)?)),
        ),
        plain(
            "Gelu",
            &[20],
            |node, _, x| Ok(if gelu_is_tanh(node)? { gelu_tanh(x) } else { activation::gelu(x) }),
            |node, _| match gelu_is_tanh(node).ok()? {
                true => lowered(Activation::GeluTanh),
                false => lowered(Activation::Gelu),
            },
        ),
        Box::new(Elementwise {
            domain: "com.microsoft",
            op_type: "Gelu",
            family: OperatorFamily::Activation,
            since: &[1],
            run: |_, _, x| Ok(activation::gelu(x)),
            lower: |_, _| lowered(Activation::Gelu),
        }),
        plain(
            "Clip",
            &[1, 6, 11, 12, 13],
            |node, inputs, x| {
                let bound = |slot: usize| match inputs.get(slot) {
                    Some(Some(value)) => Ok(value.download().first().copied()),
                    _ => Ok(None),
                };
                let (low, high) = clip_bounds(node, bound)?;
                // The upper bound wins where the bounds cross.
                Ok(x.clamp_min(low).clamp_max(high))
            },
            |node, inputs| {
                let bound = |slot: usize| match inputs.get(slot) {
                    Some(Some(fact)) => scalar(fact.value.as_ref())
                        .map(Some)
                        .ok_or_else(|| OpError::Unsupported("a bound that is computed".to_owned())),
                    _ => Ok(None),
                };
                let (low, high) = clip_bounds(node, bound).ok()?;
                (low <= high).then_some(())?;
                lowered(Activation::Clip { low, high })
            },
        ),
        Box::new(PRelu),
        plain(
            "Softplus",
            &[1, 22],
            |_, _, x| Ok(activation::softplus(x, 1.0)),
            |_, _| lowered(Activation::Softplus),
        ),
        plain(
            "Softsign",
            &[1, 22],
            |_, _, x| Ok(x.clone() / (x.abs() + 1.0)),
            |_, _| lowered(Activation::Softsign),
        ),
        plain(
            "Selu",
            &[1, 6, 22],
            |node, _, x| {
                let [alpha, gamma] = selu_constants(node)?;
                let negative = x.clone().clamp_max(0.0).exp() - 1.0;
                Ok((activation::relu(x) + negative * alpha) * gamma)
            },
            |node, _| {
                let [alpha, gamma] = selu_constants(node).ok()?;
                lowered(Activation::Selu { alpha, gamma })
            },
        ),
        plain(
            "Celu",
            &[12],
            |node, _, x| {
                let alpha = node.attributes.float("alpha", 1.0)?;
                let negative = (x.clone().clamp_max(0.0) / alpha).exp() - 1.0;
                Ok(activation::relu(x) + negative * alpha)
            },
            |node, _| lowered(Activation::Celu(alpha(node, 1.0)?)),
        ),
        plain(
            "Mish",
            &[18, 22],
            |_, _, x| Ok(x.clone() * activation::softplus(x, 1.0).tanh()),
            |_, _| lowered(Activation::Mish),
        ),
        plain(
            "ThresholdedRelu",
            &[10, 22],
            |node, _, x| {
                let below = x.clone().lower_equal_elem(node.attributes.float("alpha", 1.0)?);
                Ok(x.mask_fill(below, 0.0))
            },
            none,
        ),
        function("Erf", &[9, 13], |_, _, x| Ok(x.erf()), none),
        function("Sqrt", &[1, 6, 13], |_, _, x| Ok(x.sqrt()), none),
        function("Exp", &[1, 6, 13], |_, _, x| Ok(x.exp()), none),
        function("Log", &[1, 6, 13], |_, _, x| Ok(x.log()), none),
        function("Neg", &[1, 6, 13], |_, _, x| Ok(-x), none),
        function("Abs", &[1, 6, 13], |_, _, x| Ok(x.abs()), none),
        function("Reciprocal", &[1, 6, 13], |_, _, x| Ok(x.recip()), none),
        function("Sign", &[9, 13], |_, _, x| Ok(x.sign()), none),
        function("Sin", &[7, 22], |_, _, x| Ok(x.sin()), none),
        function("Cos", &[7, 22], |_, _, x| Ok(x.cos()), none),
        function("Round", &[11, 22], |_, _, x| Ok(x.round()), none),
        function("Floor", &[1, 6, 13], |_, _, x| Ok(x.floor()), none),
        function("Ceil", &[1, 6, 13], |_, _, x| Ok(x.ceil()), none),
    ]
}
