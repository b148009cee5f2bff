//! Operators of static shape arithmetic: constants, shapes, casts.

use burn::tensor::Device;

use crate::graph::{Attribute, Constant, DType, Fact, Node, Tensor};

use super::{
    Array, OpError, Operator, OperatorFamily, Passage,
    helpers::{array, folds, maybe_shape, named, output, required, static_ints},
};

/// `Constant` in a form that the reader did not turn into a tensor.
struct ConstantNode;

impl Operator for ConstantNode {
    fn op_type(&self) -> &'static str {
        "Constant"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Constant
    }

    fn since(&self) -> &'static [i64] {
        &[1, 9, 11, 12, 13, 19, 21, 23]
    }

    fn infer(&self, node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let kind = node.attributes.0.keys().next().map_or("no value", String::as_str);
        Err(OpError::Unsupported(format!("a constant given as '{kind}'")))
    }

    fn execute(&self, node: &Node, _: &[Option<Array>], _: &Device) -> Result<Vec<Array>, OpError> {
        self.infer(node, &[]).map(|_| Vec::new())
    }
}

/// `ConstantOfShape` that is not a stripped weight.
struct ConstantOfShape;

impl ConstantOfShape {
    fn filled(node: &Node, extents: &[i64]) -> Result<Constant, OpError> {
        let shape: Option<Vec<usize>> =
            extents.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let Some(shape) = shape.filter(|shape| folds(shape)) else {
            return Err(OpError::Unsupported(format!("a constant of shape {extents:?}")));
        };
        let count = shape.iter().product();
        Ok(match node.attributes.tensor("value")? {
            Some(Constant::Int { data, .. }) => {
                Constant::Int { shape, data: vec![data.first().copied().unwrap_or(0); count] }
            }
            Some(Constant::Float(tensor)) => {
                Constant::Float(Tensor::full(shape, tensor.data.first().copied().unwrap_or(0.0)))
            }
            None => Constant::Float(Tensor::full(shape, 0.0)),
        })
    }
}

impl Operator for ConstantOfShape {
    fn op_type(&self) -> &'static str {
        "ConstantOfShape"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Constant
    }

    fn since(&self) -> &'static [i64] {
        &[9, 20, 21, 23]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let Some(extents) = static_ints(inputs, 0) else { return Ok(output(node, None, None)) };
        let value = Self::filled(node, extents)?;
        let shape = value.shape().to_vec();
        let dtype = if value.ints().is_some() { DType::I64 } else { DType::F32 };
        Ok(named(node, 0, Some(dtype), Some(shape), Some(value)).into_iter().collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        Ok(vec![Array::constant(&Self::filled(node, array(inputs, 0)?.ints(0)?)?, device)])
    }
}

/// `Shape`.
struct Shape;

impl Shape {
    fn extents(node: &Node, shape: &[usize]) -> Result<Vec<i64>, OpError> {
        let rank = shape.len() as i64;
        let bound =
            |value: i64| (if value < 0 { value + rank } else { value }).clamp(0, rank) as usize;
        let start = bound(node.attributes.int("start", 0)?);
        let end = bound(node.attributes.int("end", rank)?).max(start);
        Ok(shape[start..end].iter().map(|&extent| extent as i64).collect())
    }
}

impl Operator for Shape {
    fn op_type(&self) -> &'static str {
        "Shape"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Constant
    }

    fn since(&self) -> &'static [i64] {
        &[1, 13, 15, 19, 21, 23]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let value = match &required(inputs, 0)?.shape {
            Some(shape) => {
                let data = Self::extents(node, shape)?;
                Some(Constant::Int { shape: vec![data.len()], data })
            }
            None => None,
        };
        let shape = value.as_ref().map(|value| value.shape().to_vec());
        Ok(named(node, 0, Some(DType::I64), shape, value).into_iter().collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let data = Self::extents(node, array(inputs, 0)?.shape())?;
        Ok(vec![Array::Int { shape: vec![data.len()], data }])
    }
}

/// `Cast` to the type of an attribute, or `CastLike` to that of a second input.
struct Cast {
    like: bool,
}

impl Cast {
    /// The type to cast to; `None` where the second input's is not known.
    fn target(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Option<DType>, OpError> {
        let to = match node.attributes.0.get("to") {
            _ if self.like => match required(inputs, 1)?.dtype {
                Some(dtype) => dtype,
                None => return Ok(None),
            },
            Some(Attribute::Int(number)) => DType::from_onnx(*number as i32),
            _ => return Err(OpError::Unsupported("a cast without a type".to_owned())),
        };
        match to {
            // All floats are computed in 32 bits, whatever their type is in the file.
            _ if to.is_float() => Ok(Some(to)),
            DType::Other(_) | DType::U64 => Err(OpError::Unsupported(format!(
                "a cast to {to}; floats, bool and integers other than uint64 are supported"
            ))),
            _ => Ok(Some(to)),
        }
    }
}

/// An integer as a type has it: what does not fit loses its upper bits.
fn wrapped(value: i64, to: DType) -> i64 {
    match to {
        DType::I8 => i64::from(value as i8),
        DType::I16 => i64::from(value as i16),
        DType::I32 => i64::from(value as i32),
        DType::U8 => i64::from(value as u8),
        DType::U16 => i64::from(value as u16),
        DType::U32 => i64::from(value as u32),
        _ => value,
    }
}

impl Operator for Cast {
    fn op_type(&self) -> &'static str {
        if self.like { "CastLike" } else { "Cast" }
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        if self.like { &[15, 19, 21, 23] } else { &[1, 6, 9, 13, 19, 21, 23] }
    }

    fn passage(&self, _node: &Node) -> Option<Passage> {
        Some(Passage::Same)
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let to = self.target(node, inputs)?;
        // Values are kept only where the numbers stay.
        let value = x.value.clone().filter(|value| match (to, value) {
            (None | Some(DType::Bool), _) => false,
            (Some(to), Constant::Int { data, .. }) => {
                !to.is_float() && data.iter().all(|&value| wrapped(value, to) == value)
            }
            (Some(to), Constant::Float(_)) => to.is_float(),
        });
        Ok(named(node, 0, to, x.shape.clone(), value).into_iter().collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let facts: Vec<_> = inputs.iter().map(|it| it.as_ref().map(Array::fact)).collect();
        let to = self.target(node, &facts)?.unwrap_or(DType::F32);
        let shape = x.shape().to_vec();
        Ok(vec![match (x, to) {
            (Array::Int { data, .. }, DType::Bool) => Array::Int {
                shape,
                data: data.iter().map(|&value| i64::from(value != 0)).collect(),
            },
            (Array::Float { .. }, DType::Bool) => {
                let data = x.download().iter().map(|&value| i64::from(value != 0.0)).collect();
                Array::Int { shape, data }
            }
            (Array::Int { data, .. }, to) if to.is_float() => {
                let data = data.iter().map(|&value| value as f32).collect();
                Array::upload(&Tensor { shape, data }, device)
            }
            (Array::Float { .. }, to) if !to.is_float() => {
                let integer = |value: f32| wrapped(value as i64, to);
                Array::Int { shape, data: x.download().into_iter().map(integer).collect() }
            }
            (Array::Int { data, .. }, to) => {
                Array::Int { shape, data: data.iter().map(|&value| wrapped(value, to)).collect() }
            }
            _ => x.clone(),
        }])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<crate::kernels::Step> {
        maybe_shape(inputs, 0)?;
        let to = node.attributes.int("to", 0).ok()?;
        (to == 1 && inputs.first()?.as_ref()?.dtype == Some(DType::F32))
            .then_some(crate::kernels::Step::Identity)
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![
        Box::new(ConstantNode),
        Box::new(ConstantOfShape),
        Box::new(Shape),
        Box::new(Cast { like: false }),
        Box::new(Cast { like: true }),
    ]
}

#[cfg(test)]
mod tests {
    use super::{DType, wrapped};

    #[test]
    fn integers_that_do_not_fit_lose_their_upper_bits() {
        assert_eq!(wrapped(7, DType::U8), 7);
        assert_eq!(wrapped(-1, DType::U8), 255);
        assert_eq!(wrapped(200, DType::I8), -56);
        assert_eq!(wrapped(1 << 40, DType::I64), 1 << 40);
    }
}
