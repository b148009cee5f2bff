//! Comparisons, logic, and choosing by their results. Truth values are integers on the host: they are
//! shape arithmetic or masks, and no gradient passes through them.

use burn::tensor::Device;

use crate::graph::{DType, Fact, Node};

use super::{
    Array, OpError, Operator, OperatorFamily,
    helpers::{array, bad, broadcast, output, required},
    strides::spread,
};

/// Of two numbers, or of two truth values written as 0 and 1.
enum Holds {
    Numbers { floats: fn(f32, f32) -> bool, ints: fn(i64, i64) -> bool },
    Truths(fn(bool, bool) -> bool),
}

/// A relation between two tensors.
struct Relation {
    op_type: &'static str,
    since: &'static [i64],
    holds: Holds,
}

impl Operator for Relation {
    fn op_type(&self) -> &'static str {
        self.op_type
    }

    fn since(&self) -> &'static [i64] {
        self.since
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Arithmetic
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        Ok(output(node, Some(DType::Bool), joint(inputs, 0, 1)?))
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (a, b) = (array(inputs, 0)?, array(inputs, 1)?);
        let shape = broadcast(a.shape(), b.shape()).ok_or_else(|| disjoint(1))?;
        let pairs = spread(a.shape(), &shape).into_iter().zip(spread(b.shape(), &shape));
        let data = match (&self.holds, a, b) {
            (Holds::Truths(holds), _, _) => {
                let (a, b) = (a.ints(0)?, b.ints(1)?);
                pairs.map(|(i, j)| i64::from(holds(a[i] != 0, b[j] != 0))).collect()
            }
            (
                Holds::Numbers { ints, .. },
                Array::Int { data: a, .. },
                Array::Int { data: b, .. },
            ) => pairs.map(|(i, j)| i64::from(ints(a[i], b[j]))).collect(),
            (Holds::Numbers { floats, .. }, _, _) => {
                let (a, b) = (a.download(), b.download());
                pairs.map(|(i, j)| i64::from(floats(a[i], b[j]))).collect()
            }
        };
        Ok(vec![Array::Int { shape, data }])
    }
}

/// A question about every value of a tensor.
struct Test {
    op_type: &'static str,
    since: &'static [i64],
    holds: fn(&Array) -> Result<Vec<bool>, OpError>,
}

impl Operator for Test {
    fn op_type(&self) -> &'static str {
        self.op_type
    }

    fn since(&self) -> &'static [i64] {
        self.since
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Arithmetic
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        Ok(output(node, Some(DType::Bool), required(inputs, 0)?.shape.clone()))
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let data = (self.holds)(x)?.into_iter().map(i64::from).collect();
        Ok(vec![Array::Int { shape: x.shape().to_vec(), data }])
    }
}

fn is_false(x: &Array) -> Result<Vec<bool>, OpError> {
    Ok(x.ints(0)?.iter().map(|&value| value == 0).collect())
}

fn is_nan(x: &Array) -> Result<Vec<bool>, OpError> {
    Ok(x.download().iter().map(|value| value.is_nan()).collect())
}

/// `Where`: the second input where the first is true, the third elsewhere.
struct Where;

impl Operator for Where {
    fn op_type(&self) -> &'static str {
        "Where"
    }

    fn since(&self) -> &'static [i64] {
        &[9, 16]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Arithmetic
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let condition = &required(inputs, 0)?.shape;
        let shape = match (condition, joint(inputs, 1, 2)?) {
            (Some(a), Some(b)) => Some(broadcast(a, &b).ok_or_else(|| disjoint(0))?),
            _ => None,
        };
        let dtype = required(inputs, 1)?.dtype.or(required(inputs, 2)?.dtype);
        Ok(output(node, dtype, shape))
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (condition, x, y) = (array(inputs, 0)?, array(inputs, 1)?, array(inputs, 2)?);
        let shape = broadcast(x.shape(), y.shape())
            .and_then(|shape| broadcast(condition.shape(), &shape))
            .ok_or_else(|| disjoint(0))?;
        let truths = condition.ints(0)?;
        let behind: usize = x.shape().iter().product();
        let positions: Vec<usize> = spread(condition.shape(), &shape)
            .into_iter()
            .zip(spread(x.shape(), &shape).into_iter().zip(spread(y.shape(), &shape)))
            .map(|(at, (x, y))| if truths[at] != 0 { x } else { behind + y })
            .collect();
        Ok(vec![x.followed_by(y)?.at(&positions, shape)])
    }
}

fn disjoint(input: usize) -> OpError {
    bad(input, "does not broadcast with the other inputs")
}

/// The shape that two inputs broadcast to, if both are known.
fn joint(inputs: &[Option<Fact>], a: usize, b: usize) -> Result<Option<Vec<usize>>, OpError> {
    match (&required(inputs, a)?.shape, &required(inputs, b)?.shape) {
        (Some(left), Some(right)) => broadcast(left, right).map(Some).ok_or_else(|| disjoint(b)),
        _ => Ok(None),
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    macro_rules! numbers {
        ($name:literal, $since:expr, $holds:expr) => {
            Box::new(Relation {
                op_type: $name,
                since: $since,
                holds: Holds::Numbers { floats: $holds, ints: $holds },
            }) as Box<dyn Operator>
        };
    }
    let truths = |op_type, holds| {
        Box::new(Relation { op_type, since: &[1, 7], holds: Holds::Truths(holds) })
            as Box<dyn Operator>
    };
    vec![
        numbers!("Equal", &[1, 7, 11, 13, 19], |a, b| a == b),
        numbers!("Greater", &[1, 7, 9, 13], |a, b| a > b),
        numbers!("GreaterOrEqual", &[12, 16], |a, b| a >= b),
        numbers!("Less", &[1, 7, 9, 13], |a, b| a < b),
        numbers!("LessOrEqual", &[12, 16], |a, b| a <= b),
        truths("And", |a, b| a && b),
        truths("Or", |a, b| a || b),
        truths("Xor", |a, b| a != b),
        Box::new(Test { op_type: "Not", since: &[1], holds: is_false }),
        Box::new(Test { op_type: "IsNaN", since: &[9, 13, 20], holds: is_nan }),
        Box::new(Where),
    ]
}
