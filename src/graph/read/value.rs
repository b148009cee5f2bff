//! Values that parameters have in the file, loaded when asked for.

use crate::onnx::{
    Model, OnnxError,
    messages::{NodeProto, TensorProto},
};

use super::{
    super::{Architecture, Constant, Origin, ParameterId, Tensor},
    convert,
};

impl Architecture {
    /// The value a parameter has in the file, widened to `f32`; `None` where the file has none or
    /// holds no floats.
    pub fn value_in(&self, model: &Model, id: ParameterId) -> Result<Option<Tensor>, OnnxError> {
        let graph = model.graph();
        let parameter = &self.parameters[id.0];
        let tensor = match parameter.origin {
            Origin::Initializer(index) => graph.initializer.get(index),
            Origin::Constant(position) => graph.node.get(position).and_then(value_attribute),
            Origin::ConstantOfShape(position) => {
                let value = graph.node.get(position).and_then(value_attribute);
                let value = value.map(|tensor| convert::constant(model, &parameter.name, tensor));
                let fill = match value.transpose()? {
                    Some(Constant::Float(tensor)) => tensor.data.first().copied().unwrap_or(0.0),
                    _ => 0.0,
                };
                return Ok(parameter.shape.clone().map(|shape| Tensor::full(shape, fill)));
            }
            Origin::SparseInitializer(_) | Origin::GraphInput(_) | Origin::Undefined => None,
        };
        let Some(tensor) = tensor.filter(|_| parameter.dtype.is_float()) else {
            return Ok(parameter.value.clone());
        };
        match convert::constant(model, &parameter.name, tensor)? {
            Constant::Float(tensor) => Ok(Some(tensor)),
            Constant::Int { .. } => Ok(None),
        }
    }

    /// Whether the file holds trained-looking values for a parameter: a constant fill
    /// (`ConstantOfShape`) stands for a weight that was stripped.
    pub fn holds_value(&self, id: ParameterId) -> bool {
        matches!(
            self.parameters[id.0].origin,
            Origin::Initializer(_) | Origin::SparseInitializer(_) | Origin::Constant(_)
        )
    }
}

/// The `value` of a `Constant` or `ConstantOfShape`.
pub(super) fn value_attribute(node: &NodeProto) -> Option<&TensorProto> {
    let value = node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some("value"));
    value.and_then(|attribute| attribute.t.as_ref())
}
