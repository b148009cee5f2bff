//! Tensors of the file: which of them are parameters, which constants.

use crate::onnx::{
    OnnxError,
    messages::{NodeProto, TensorProto},
};

use super::{
    super::{Attribute, Constant, DType, Operand, Origin, Parameter, ParameterId, Tensor},
    ReadError, Reader, convert,
    inline::Call,
    value::value_attribute,
    weights,
};

/// Values of tensors up to this many elements are kept with the parameter.
const SMALL: usize = 4096;
/// Indices of tables up to this many elements are constants.
const LARGEST_TABLE: usize = 1 << 20;
/// Values that all parameters without values may declare together: in 32-bit floats they fill the
/// 2 GiB of a file.
const LARGEST_UNWRITTEN: usize = 1 << 29;

impl<'a> Reader<'a> {
    /// Adds a parameter. One that the file declares without holding its values must be of a size
    /// that a file could hold.
    pub(super) fn parameter(&mut self, parameter: Parameter) -> Result<Operand, ReadError> {
        if matches!(parameter.origin, Origin::GraphInput(_) | Origin::ConstantOfShape(_)) {
            let count = parameter.len().unwrap_or(0);
            self.unwritten = self.unwritten.saturating_add(count);
            if self.unwritten > LARGEST_UNWRITTEN {
                let problem = format!(
                    "with its {count} values, the parameters that have none in the file exceed the 2 GiB of a model"
                );
                return Err(self.wrong_shape(&parameter.name, problem));
            }
        }
        self.architecture.parameters.push(parameter);
        Ok(Operand::Parameter(ParameterId(self.architecture.parameters.len() - 1)))
    }

    /// A name that is used but defined nowhere: the trace of a weightless export. Its shape may be
    /// declared; otherwise the operators that read it may tell.
    pub(super) fn undefined(&mut self, name: &str) -> Operand {
        let declared = self.architecture.declared.get(name);
        self.architecture.parameters.push(Parameter {
            name: name.to_owned(),
            dtype: declared.and_then(|fact| fact.dtype).unwrap_or(DType::F32),
            shape: declared.and_then(|fact| fact.shape.clone()),
            origin: Origin::Undefined,
            ..Parameter::default()
        });
        Operand::Parameter(ParameterId(self.architecture.parameters.len() - 1))
    }

    /// Initializers, dense and sparse.
    pub(super) fn initializers(&mut self) -> Result<(), ReadError> {
        let graph = self.graph;
        for (index, tensor) in graph.initializer.iter().enumerate() {
            let name = tensor.name.as_deref().unwrap_or_default();
            let operand = self.tensor(name, tensor, Origin::Initializer(index))?;
            self.define(name, operand)?;
        }
        for (index, sparse) in graph.sparse_initializer.iter().enumerate() {
            let values = sparse.values.as_ref();
            let name = values.and_then(|values| values.name.as_deref()).unwrap_or_default();
            let number = values.and_then(|values| values.data_type).unwrap_or(0);
            let shape = self.shape(name, &sparse.dims)?;
            // Carried through, never written: the type says so.
            let operand = self.parameter(Parameter {
                name: name.to_owned(),
                dtype: DType::Other(number),
                shape: Some(shape),
                origin: Origin::SparseInitializer(index),
                ..Parameter::default()
            })?;
            self.define(name, operand)?;
        }
        Ok(())
    }

    fn shape(&self, name: &str, dims: &[i64]) -> Result<Vec<usize>, OnnxError> {
        let refuse =
            |problem| OnnxError::Tensor { file: self.file(), tensor: name.to_owned(), problem };
        crate::onnx::shape(dims).map_err(refuse)
    }

    /// A dense tensor: floats are parameters, apart from single numbers that no operator learns;
    /// so are large integers (quantised weights, which are never predicted). The rest is constant.
    fn tensor(
        &mut self,
        name: &str,
        tensor: &TensorProto,
        origin: Origin,
    ) -> Result<Operand, ReadError> {
        let dtype = DType::from_onnx(tensor.data_type.unwrap_or(0));
        let shape = self.shape(name, &tensor.dims)?;
        let count: usize = shape.iter().product();
        // Indices are 64 bits wide, quantised weights are not.
        let table = dtype == DType::I64 || self.readers.said(name) == Some(false);
        let small = count <= if table { LARGEST_TABLE } else { SMALL };
        let mut parameter = Parameter {
            name: name.to_owned(),
            dtype,
            shape: Some(shape),
            origin,
            ..Parameter::default()
        };
        if matches!(dtype, DType::Other(_)) {
            return self.parameter(parameter);
        }
        parameter.uniform = dtype.is_float() && self.model.is_uniform(name, tensor)?;
        if !small {
            self.model.check_values(name, tensor)?;
            if self.may_be_mask(name, &parameter)
                && let Constant::Float(tensor) = convert::constant(self.model, name, tensor)?
            {
                parameter.value = Some(tensor).filter(Tensor::is_integral);
            }
            return self.parameter(parameter);
        }
        let value = convert::constant(self.model, name, tensor)?;
        let fixed = self.readers.said(name) == Some(false);
        if fixed || !dtype.is_float() || (count == 1 && !self.is_learned_number(name, tensor)) {
            return Ok(self.constant(name, value));
        }
        // What the exporter calls a parameter is one, whatever reads it.
        if let Constant::Float(tensor) = value
            && self.readers.said(name) != Some(true)
        {
            parameter.value = Some(tensor);
        }
        self.parameter(parameter)
    }

    /// Whether a large tensor has the shape of an attention mask, or of what one is computed from, and is not read as a
    /// weight.
    fn may_be_mask(&self, name: &str, parameter: &Parameter) -> bool {
        let shape = parameter.shape.as_deref().unwrap_or_default();
        let square = matches!(shape, [_, .., queries, keys] if queries == keys);
        square
            && parameter.dtype.is_float()
            && shape.iter().product::<usize>() <= LARGEST_TABLE
            && !self.readers.learn(name)
            && !weights::is_called_weight(name)
    }

    /// Whether a tensor of one value is a weight: the bias of one channel, what the exporter says is
    /// one, or what is called one, such as the one slope of a PRelu that is reshaped first.
    fn is_learned_number(&self, name: &str, tensor: &TensorProto) -> bool {
        let learned = || self.readers.learn(name) || weights::is_called_weight(name);
        self.readers.said(name).unwrap_or_else(|| !tensor.dims.is_empty() && learned())
    }

    /// Turns a node that only holds a tensor into one; says whether it did.
    pub(super) fn tensor_node(
        &mut self,
        call: &'a Call<'a>,
        op_type: &str,
    ) -> Result<bool, ReadError> {
        let (position, proto): (usize, &'a NodeProto) = (call.position, &call.proto);
        let Some(name) = proto.output.first().filter(|name| !name.is_empty()) else {
            return Ok(false);
        };
        let operand = match op_type {
            "Constant" if call.opsets.is_some() => self.inner_constant(proto, name)?,
            _ if call.opsets.is_some() => None,
            "Constant" => self.constant_node(position, proto, name)?,
            "ConstantOfShape" => self.constant_of_shape(position, proto, name)?,
            _ => None,
        };
        match operand {
            Some(operand) => self.define(name, operand).map(|()| true),
            None => Ok(false),
        }
    }

    /// A tensor in a function: shared by its calls and part of the program, so no parameter.
    fn inner_constant(
        &mut self,
        proto: &NodeProto,
        name: &str,
    ) -> Result<Option<Operand>, ReadError> {
        let attributes = convert::attributes(self.model, proto)?.0;
        let value = match attributes.into_values().next() {
            Some(Attribute::Tensor(value)) if value.shape().iter().product::<usize>() <= SMALL => {
                value
            }
            Some(Attribute::Float(value)) => Constant::Float(Tensor::full(vec![], value)),
            Some(Attribute::Floats(data)) => {
                Constant::Float(Tensor { shape: vec![data.len()], data })
            }
            Some(Attribute::Int(value)) => Constant::Int { shape: vec![], data: vec![value] },
            Some(Attribute::Ints(data)) => Constant::Int { shape: vec![data.len()], data },
            _ => return Ok(None),
        };
        Ok(Some(self.constant(name, value)))
    }

    /// `Constant` in five of its seven forms; strings and sparse tensors stay nodes.
    fn constant_node(
        &mut self,
        position: usize,
        proto: &NodeProto,
        name: &str,
    ) -> Result<Option<Operand>, ReadError> {
        let origin = Origin::Constant(position);
        if let Some(tensor) = value_attribute(proto) {
            let count = self.shape(name, &tensor.dims)?.iter().product::<usize>();
            // What PyTorch learns is an initializer; a constant is part of the program.
            let program = self.model.producer().starts_with("pytorch") && count <= LARGEST_TABLE;
            if program && DType::from_onnx(tensor.data_type.unwrap_or(0)).is_float() {
                let value = convert::constant(self.model, name, tensor)?;
                return Ok(Some(self.constant(name, value)));
            }
            return self.tensor(name, tensor, origin).map(Some);
        }
        let mut attributes = convert::attributes(self.model, proto)?.0;
        let mut take = |key: &str| attributes.remove(key);
        let floats = |shape, data| Constant::Float(Tensor { shape, data });
        let value = if let Some(Attribute::Float(value)) = take("value_float") {
            floats(vec![], vec![value])
        } else if let Some(Attribute::Floats(values)) = take("value_floats") {
            floats(vec![values.len()], values)
        } else if let Some(Attribute::Int(value)) = take("value_int") {
            Constant::Int { shape: vec![], data: vec![value] }
        } else if let Some(Attribute::Ints(values)) = take("value_ints") {
            Constant::Int { shape: vec![values.len()], data: values }
        } else {
            return Ok(None);
        };
        match value {
            Constant::Float(tensor) if tensor.data.len() > 1 => {
                let parameter = Parameter {
                    name: name.to_owned(),
                    dtype: DType::F32,
                    shape: Some(tensor.shape.clone()),
                    origin,
                    value: Some(tensor),
                    ..Parameter::default()
                };
                self.parameter(parameter).map(Some)
            }
            value => Ok(Some(self.constant(name, value))),
        }
    }

    /// `ConstantOfShape` that stands for a weight: a float tensor of a shape that the file knows. PyTorch
    /// gives every node a name; what strips weights from a file does not.
    fn constant_of_shape(
        &mut self,
        position: usize,
        proto: &NodeProto,
        name: &str,
    ) -> Result<Option<Operand>, ReadError> {
        let named = proto.name.as_deref().is_some_and(|name| !name.is_empty());
        if named && self.model.producer().starts_with("pytorch") {
            return Ok(None);
        }
        let target = proto.input.first().and_then(|name| self.operands.get(name.as_str()));
        let Some(&Operand::Constant(target)) = target else { return Ok(None) };
        let Some(extents) = self.architecture.constants[target].1.ints() else { return Ok(None) };
        let dtype = value_attribute(proto)
            .map_or(DType::F32, |tensor| DType::from_onnx(tensor.data_type.unwrap_or(1)));
        let shape = self.shape(name, extents)?;
        let count: usize = shape.iter().product();
        let number = count == 1 && (shape.is_empty() || !self.readers.learn(name));
        if !dtype.is_float() || count == 0 || number {
            return Ok(None);
        }
        let parameter = Parameter {
            name: name.to_owned(),
            dtype,
            shape: Some(shape),
            origin: Origin::ConstantOfShape(position),
            ..Parameter::default()
        };
        self.parameter(parameter).map(Some)
    }
}
