//! Messages to graph values.

use crate::onnx::{
    Model, OnnxError, Values,
    messages::{AttributeProto, NodeProto, TensorProto, ValueInfoProto},
    shape,
};

use super::{
    super::{Attribute, Attributes, Constant, DType, Fact, OpenDim, Tensor},
    DimBindings,
};

/// Decodes a tensor; `name` is for errors.
pub(super) fn constant(
    model: &Model,
    name: &str,
    tensor: &TensorProto,
) -> Result<Constant, OnnxError> {
    let (shape, values) = model.values(name, tensor)?;
    Ok(match values {
        Values::Floats(data) => Constant::Float(Tensor { shape, data }),
        Values::Ints(data) => Constant::Int { shape, data },
    })
}

/// Decodes the attributes of a node.
pub(super) fn attributes(model: &Model, node: &NodeProto) -> Result<Attributes, OnnxError> {
    let mut attributes = Attributes::default();
    for proto in &node.attribute {
        let name = proto.name.clone().unwrap_or_default();
        let attribute = attribute(model, node, proto)?;
        attributes.0.insert(name, attribute);
    }
    Ok(attributes)
}

/// `AttributeProto.type` numbers.
fn attribute(
    model: &Model,
    node: &NodeProto,
    proto: &AttributeProto,
) -> Result<Attribute, OnnxError> {
    let kind = proto.r#type.filter(|&kind| kind != 0).unwrap_or_else(|| guess_kind(proto));
    Ok(match kind {
        1 => Attribute::Float(proto.f.unwrap_or(0.0)),
        2 => Attribute::Int(proto.i.unwrap_or(0)),
        3 => {
            let text = proto.s.as_deref().unwrap_or_default();
            Attribute::String(String::from_utf8_lossy(text).into_owned())
        }
        4 => match &proto.t {
            // A tensor of a type that is not decoded (strings, float8) is kept by name only.
            Some(tensor) if is_carried_only(tensor) => Attribute::Other("TENSOR of another type"),
            Some(tensor) => {
                let named = node.name.as_deref().filter(|name| !name.is_empty());
                let node = named.or(node.output.first().map(String::as_str)).unwrap_or_default();
                let name = format!("{node}.{}", proto.name.as_deref().unwrap_or_default());
                Attribute::Tensor(constant(model, &name, tensor)?)
            }
            None => Attribute::Other("TENSOR"),
        },
        5 => Attribute::Other("GRAPH"),
        6 => Attribute::Floats(proto.floats.clone()),
        7 => Attribute::Ints(proto.ints.clone()),
        8 => {
            let texts = proto.strings.iter().map(|text| String::from_utf8_lossy(text).into_owned());
            Attribute::Strings(texts.collect())
        }
        10 => Attribute::Other("GRAPHS"),
        _ => Attribute::Other("another kind"),
    })
}

fn is_carried_only(tensor: &TensorProto) -> bool {
    matches!(DType::from_onnx(tensor.data_type.unwrap_or(0)), DType::Other(_))
}

/// Files of IR version 1 may leave the type out.
fn guess_kind(proto: &AttributeProto) -> i32 {
    match () {
        () if proto.f.is_some() => 1,
        () if proto.i.is_some() => 2,
        () if proto.s.is_some() => 3,
        () if proto.t.is_some() => 4,
        () if proto.g.is_some() => 5,
        () if !proto.floats.is_empty() => 6,
        _ => 7,
    }
}

/// Whether a declared value has a dimension that the file gives no size.
pub(super) fn has_open_dimension(proto: &ValueInfoProto) -> bool {
    let tensor = proto.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    shape.is_some_and(|shape| shape.dim.iter().any(|dim| dim.dim_value.is_none_or(|n| n <= 0)))
}

/// A declared value and its dimensions that were given their default size. Without shape where the
/// type is not a tensor.
pub(super) fn fact(
    proto: &ValueInfoProto,
    bindings: &mut DimBindings,
) -> Result<(Fact, Vec<OpenDim>), String> {
    let name = proto.name.clone().unwrap_or_default();
    let mut open = Vec::new();
    let mut take_as_one = |axis, symbol: Option<&str>| {
        open.push(OpenDim { input: name.clone(), axis, symbol: symbol.map(str::to_owned) });
        1
    };
    let tensor = proto.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let dtype = tensor.and_then(|tensor| tensor.elem_type).filter(|&number| number != 0);
    let declared = tensor.and_then(|tensor| tensor.shape.as_ref()).map(|shape| {
        let dims = shape.dim.iter().enumerate();
        let extents = dims.map(|(axis, dim)| match (dim.dim_value, dim.dim_param.as_deref()) {
            (Some(extent), _) if extent > 0 => extent,
            (_, Some(symbol)) if !symbol.is_empty() => {
                let bound =
                    bindings.bound(symbol).map(|size| i64::try_from(size).unwrap_or(i64::MAX));
                bound.unwrap_or_else(|| take_as_one(axis, Some(symbol)))
            }
            _ => take_as_one(axis, None),
        });
        extents.collect::<Vec<i64>>()
    });
    let shape = declared.map(|extents| shape(&extents)).transpose()?;
    Ok((Fact { name, dtype: dtype.map(DType::from_onnx), shape, value: None }, open))
}
