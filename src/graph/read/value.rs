//! Values that parameters have in the file, loaded when asked for.

use crate::onnx::{
    Model, OnnxError,
    messages::{NodeProto, TensorProto},
};

use super::{
    super::{Architecture, Constant, Origin, Parameter, ParameterId, Storage, Tensor},
    convert,
};

impl Architecture {
    /// The value a parameter has in the file, widened to `f32`; `None` where the file has none or
    /// holds no floats.
    pub fn value_in(&self, model: &Model, id: ParameterId) -> Result<Option<Tensor>, OnnxError> {
        let parameter = &self.parameters[id.0];
        let Some((storage, place)) = self.storage_of(id) else { return parameter.value_in(model) };
        let mut tensors = Vec::with_capacity(storage.tensors.len());
        for tensor in &storage.tensors {
            let Some(value) = tensor.value_in(model)? else { return Ok(None) };
            tensors.push(value.data);
        }
        let tensors: Vec<&[f32]> = tensors.iter().map(Vec::as_slice).collect();
        let data = storage.map.parameters(&tensors).swap_remove(place);
        Ok(parameter.shape.clone().map(|shape| Tensor { shape, data }))
    }

    /// How a parameter is stored, and its place among those that are stored so, if not as it is.
    pub fn storage_of(&self, id: ParameterId) -> Option<(&Storage, usize)> {
        match self.parameters[id.0].origin {
            Origin::Composed { storage, place } => Some((self.storages.get(storage)?, place)),
            _ => None,
        }
    }

    /// Whether the file holds trained-looking values for a parameter: a constant fill
    /// (`ConstantOfShape`) stands for a weight that was stripped.
    pub fn holds_value(&self, id: ParameterId) -> bool {
        match self.storage_of(id) {
            Some((storage, _)) => storage.tensors.iter().all(Parameter::holds_value),
            None => self.parameters[id.0].holds_value(),
        }
    }
}

impl Parameter {
    /// The value that a tensor has in the file, widened to `f32`; `None` where the file has none or
    /// holds no floats.
    pub fn value_in(&self, model: &Model) -> Result<Option<Tensor>, OnnxError> {
        let graph = model.graph();
        let parameter = self;
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
            Origin::SparseInitializer(_)
            | Origin::GraphInput(_)
            | Origin::Undefined
            | Origin::Composed { .. } => None,
        };
        let Some(tensor) = tensor.filter(|_| parameter.dtype.is_float()) else {
            return Ok(parameter.value.clone());
        };
        match convert::constant(model, &parameter.name, tensor)? {
            Constant::Float(tensor) => Ok(Some(tensor)),
            Constant::Int { .. } => Ok(None),
        }
    }

    /// As [`Architecture::holds_value`], for a tensor of the file.
    pub fn holds_value(&self) -> bool {
        matches!(
            self.origin,
            Origin::Initializer(_) | Origin::SparseInitializer(_) | Origin::Constant(_)
        )
    }
}

/// The `value` of a `Constant` or `ConstantOfShape`.
pub(super) fn value_attribute(node: &NodeProto) -> Option<&TensorProto> {
    let value = node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some("value"));
    value.and_then(|attribute| attribute.t.as_ref())
}
