//! Operators of two or more inputs that act element by element, with broadcasting.

use burn::tensor::{Device, Tensor};

use crate::{
    graph::{Constant, Fact, Layout, Node, Role},
    kernels::Step,
};

use super::{
    Array, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{array, bad, broadcast, folds, named, required},
    strides::spread as offsets,
};

/// Arrays are broadcast at this rank.
const RANK: usize = 6;

/// An arithmetic operator; `Sum`, `Max` and `Min` fold any number of inputs.
struct Arithmetic {
    op_type: &'static str,
    since: &'static [i64],
    run: fn(Tensor<1>, Tensor<1>) -> Tensor<1>,
    run_broadcast: fn(Tensor<RANK>, Tensor<RANK>) -> Tensor<RANK>,
    run_ints: fn(i64, i64) -> Option<i64>,
    /// What a parameter of one value per channel does here.
    role: Option<Role>,
    lower: Option<Step>,
    /// With a constant in a slot: factor and offset of the other operand, if it is affine.
    affine: fn(f32, usize) -> Option<[f32; 2]>,
}

impl Operator for Arithmetic {
    fn op_type(&self) -> &'static str {
        self.op_type
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Arithmetic
    }

    fn since(&self) -> &'static [i64] {
        self.since
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let first = required(inputs, 0)?;
        let ints = first.dtype.is_some_and(|dtype| !dtype.is_float());
        if self.op_type == "Mod" && ints == (node.attributes.int("fmod", 0)? != 0) {
            return Err(OpError::Unsupported("fmod of integers, or floats without".to_owned()));
        }
        let mut shape = first.shape.clone();
        for (index, input) in inputs.iter().enumerate().skip(1) {
            let Some(input) = input else { continue };
            shape = match (&shape, &input.shape) {
                (Some(a), Some(b)) => Some(joint(a, &aligned(node, a, b)?, index)?),
                _ => None,
            };
        }
        let value = if node.opset < 7 { None } else { self.fold(inputs, shape.as_deref()) };
        let dtype = inputs.iter().flatten().find_map(|input| input.dtype);
        Ok(named(node, 0, dtype, shape, value).into_iter().collect())
    }

    fn slots(&self, _node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let Some(role) = self.role else { return Ok(Vec::new()) };
        let rule = |(input, fact): (usize, &Option<Fact>)| {
            let shape = fact.as_ref()?.shape.as_deref()?;
            // One value per channel, or a free tensor such as a positional embedding.
            let vector = shape.iter().filter(|&&extent| extent > 1).count() <= 1;
            Some(SlotRule {
                input,
                role: if vector { role } else { Role::Free },
                layout: if vector { Layout::Vector } else { Layout::Free },
                groups: 1,
                fan_in: Some(1),
                shape: None,
            })
        };
        Ok(inputs.iter().enumerate().filter_map(rule).collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let mut total = array(inputs, 0)?.clone();
        for (index, input) in inputs.iter().enumerate().skip(1) {
            let Some(input) = input else { continue };
            let aligned = aligned(node, total.shape(), input.shape())?;
            total = self.pair(&total, &input.clone().renamed(aligned), index)?;
        }
        Ok(vec![total])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let [first, second] = inputs else { return None };
        for (slot, fact) in [first, second].into_iter().enumerate() {
            let Some(constant) = &fact.as_ref()?.value else { continue };
            let &[value] = constant.floats()? else { return None };
            let [factor, offset] = (self.affine)(value, slot)?;
            return Some(Step::Scale { factor, offset });
        }
        // Before opset 7, operands are aligned by an attribute.
        if node.opset < 7 && first.as_ref()?.shape != second.as_ref()?.shape {
            return None;
        }
        self.lower.clone()
    }
}

impl Arithmetic {
    fn pair(&self, a: &Array, b: &Array, index: usize) -> Result<Array, OpError> {
        let (sa, sb) = (a.shape().to_vec(), b.shape().to_vec());
        let shape = joint(&sa, &sb, index)?;
        if let (Array::Int { data: a, .. }, Array::Int { data: b, .. }) = (a, b) {
            let data = fold_ints(self.run_ints, [(&sa, a), (&sb, b)], &shape);
            let overflow = || OpError::Unsupported("integer arithmetic that overflows".to_owned());
            return Ok(Array::Int { data: data.ok_or_else(overflow)?, shape });
        }
        if sa == sb {
            return Ok(Array::Float { flat: (self.run)(a.floats(0)?, b.floats(index)?), shape });
        }
        let result = (self.run_broadcast)(a.rank(0)?, b.rank(index)?);
        Ok(Array::flat(result, shape))
    }

    /// The value of integer arithmetic on constants.
    fn fold(&self, inputs: &[Option<Fact>], shape: Option<&[usize]>) -> Option<Constant> {
        let [Some(a), Some(b)] = inputs else { return None };
        let (a, b, shape) = (a.value.as_ref()?, b.value.as_ref()?, shape.filter(|s| folds(s))?);
        let pair = [(a.shape(), a.ints()?), (b.shape(), b.ints()?)];
        Some(Constant::Int { data: fold_ints(self.run_ints, pair, shape)?, shape: shape.to_vec() })
    }
}

/// The shape two operands broadcast to.
fn joint(a: &[usize], b: &[usize], index: usize) -> Result<Vec<usize>, OpError> {
    broadcast(a, b).ok_or_else(|| bad(index, format!("shape {b:?} does not broadcast with {a:?}")))
}

/// The second operand's shape. Before opset 7 it broadcasts only by attribute, and may start at an
/// `axis` of the first: units are added behind.
fn aligned(node: &Node, first: &[usize], second: &[usize]) -> Result<Vec<usize>, OpError> {
    let mut shape = second.to_vec();
    if node.opset < 7 && node.attributes.int("broadcast", 0)? != 0 && second.len() < first.len() {
        let trailing = first.len() - second.len();
        let axis = node.attributes.int("axis", trailing as i64)?;
        let behind = usize::try_from(axis).ok().and_then(|axis| trailing.checked_sub(axis));
        let behind = behind.ok_or_else(|| OpError::Unsupported(format!("axis {axis}")))?;
        shape.extend(std::iter::repeat_n(1, behind));
    }
    Ok(shape)
}

fn fold_ints(
    run: fn(i64, i64) -> Option<i64>,
    [(sa, a), (sb, b)]: [(&[usize], &[i64]); 2],
    shape: &[usize],
) -> Option<Vec<i64>> {
    let pairs = offsets(sa, shape).into_iter().zip(offsets(sb, shape));
    pairs.map(|(left, right)| run(*a.get(left)?, *b.get(right)?)).collect()
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    macro_rules! arithmetic {
        ($name:literal, $since:expr, $run:expr, $ints:expr, $role:expr, $lower:expr, $affine:expr) => {
            Box::new(Arithmetic {
                op_type: $name,
                since: $since,
                run: $run,
                run_broadcast: $run,
                run_ints: $ints,
                role: $role,
                lower: $lower,
                affine: $affine,
            }) as Box<dyn Operator>
        };
    }
    let never = |_: f32, _: usize| None;
    let divide = |a: i64, b: i64| a.checked_div(b);
    vec![
        arithmetic!(
            "Add",
            &[1, 6, 7, 13, 14],
            |a, b| a + b,
            i64::checked_add,
            Some(Role::Shift),
            Some(Step::Add),
            |value, _| Some([1.0, value])
        ),
        arithmetic!(
            "Sub",
            &[1, 6, 7, 13, 14],
            |a, b| a - b,
            i64::checked_sub,
            None,
            Some(Step::Sub),
            |value, slot| { Some(if slot == 1 { [1.0, -value] } else { [-1.0, value] }) }
        ),
        arithmetic!(
            "Mul",
            &[1, 6, 7, 13, 14],
            |a, b| a * b,
            i64::checked_mul,
            Some(Role::Gain),
            Some(Step::Mul),
            |value, _| Some([value, 0.0])
        ),
        arithmetic!("Div", &[1, 6, 7, 13, 14], |a, b| a / b, divide, None, None, |value, slot| {
            (slot == 1).then_some([1.0 / value, 0.0])
        }),
        arithmetic!("Mod", &[10, 13], remainder, |a, b| floor_mod(a, b), None, None, never),
        arithmetic!(
            "Sum",
            &[1, 6, 8, 13],
            |a, b| a + b,
            i64::checked_add,
            None,
            Some(Step::Add),
            |value, _| { Some([1.0, value]) }
        ),
        arithmetic!("Max", &[1, 6, 8, 12, 13], max, |a, b| Some(a.max(b)), None, None, never),
        arithmetic!("Min", &[1, 6, 8, 12, 13], min, |a, b| Some(a.min(b)), None, None, never),
        arithmetic!("Pow", &[1, 7, 12, 13, 15], power, |_, _| None, None, None, never),
    ]
}

fn max<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let (a, b) = spread(a, b);
    a.max_pair(b)
}

fn min<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let (a, b) = spread(a, b);
    a.min_pair(b)
}

/// The remainder with the sign of the dividend (`fmod`).
fn remainder<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let whole = a.clone() / b.clone();
    let towards_zero = whole.clone().sign() * whole.abs().floor();
    a - b * towards_zero
}

/// The remainder with the sign of the divisor, as integers have it.
fn floor_mod(a: i64, b: i64) -> Option<i64> {
    let remainder = a.checked_rem(b)?;
    let opposite = remainder != 0 && (remainder < 0) != (b < 0);
    Some(if opposite { remainder + b } else { remainder })
}

fn power<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let (a, b) = spread(a, b);
    a.powf(b)
}

/// Both operands at their common shape, for operations that do not broadcast by themselves.
fn spread<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let (sa, sb) = (a.dims(), b.dims());
    let shape: [usize; D] = std::array::from_fn(|axis| sa[axis].max(sb[axis]));
    (a.expand(shape), b.expand(shape))
}
