//! Runs one model here and in tract, and compares.

use burn::tensor::{Device, Tensor, TensorData};
use tract_onnx::prelude::*;
use weightsmith::{
    execute::execute,
    graph::{self, Architecture, ParameterId},
    onnx::Model,
    ops::{Array, Registry, resolve},
};

/// A value of a graph: extents and numbers.
pub type Value = (Vec<usize>, Vec<f32>);

/// Reads, resolves and checks that everything is supported.
pub fn read(name: &str, bytes: &[u8]) -> Result<(Model, Architecture), String> {
    let model =
        Model::from_bytes(name, bytes.to_vec().into()).map_err(|error| error.to_string())?;
    let mut architecture = Architecture::from_model(&model).map_err(|error| error.to_string())?;
    let resolution =
        resolve(&mut architecture, &Registry::standard()).map_err(|error| error.to_string())?;
    match resolution.unsupported.first() {
        Some(unsupported) => Err(unsupported.why.clone()),
        None => Ok((model, architecture)),
    }
}

/// The weights that a file holds.
pub fn stored(model: &Model, architecture: &Architecture) -> Result<Vec<graph::Tensor>, String> {
    (0..architecture.parameters.len())
        .map(|index| {
            let value = architecture
                .value_in(model, ParameterId(index))
                .map_err(|error| error.to_string())?;
            value.ok_or_else(|| format!("'{}' has no value", architecture.parameters[index].name))
        })
        .collect()
}

/// Runs an architecture; every output must have the shape that was inferred for it.
pub fn ours(
    architecture: &Architecture,
    weights: &[graph::Tensor],
    data: &[Value],
) -> Result<Vec<Value>, String> {
    let device = Device::flex();
    let weights: Vec<_> =
        weights.iter().map(|tensor| Some(Array::upload(tensor, &device))).collect();
    let inputs: Vec<_> = data
        .iter()
        .map(|(shape, values)| {
            let flat = TensorData::new(values.clone(), [values.len()]);
            Array::Float { flat: Tensor::from_data(flat, &device), shape: shape.clone() }
        })
        .collect();
    let outputs = execute(architecture, &Registry::standard(), &weights, &inputs, &device)
        .map_err(|error| error.to_string())?;
    for ((name, operand), output) in architecture.outputs.iter().zip(&outputs) {
        let inferred = architecture.fact(*operand).and_then(|fact| fact.shape);
        if inferred.as_deref() != Some(output.shape()) {
            return Err(format!(
                "'{name}' was inferred as {inferred:?} and is {:?}",
                output.shape()
            ));
        }
    }
    Ok(outputs.iter().map(|output| (output.shape().to_vec(), output.download())).collect())
}

/// What tract makes of a model.
pub fn tract(bytes: &[u8], data: &[Value]) -> TractResult<Vec<Value>> {
    let mut model = tract_onnx::onnx().model_for_read(&mut &bytes[..])?;
    for (index, (shape, _)) in data.iter().enumerate() {
        model.set_input_fact(index, f32::fact(shape).into())?;
    }
    let plan = model.into_optimized()?.into_runnable()?;
    let inputs = data
        .iter()
        .map(|(shape, values)| Ok(tract_onnx::prelude::Tensor::from_shape(shape, values)?.into()))
        .collect::<TractResult<TVec<TValue>>>()?;
    let outputs = plan.run(inputs)?;
    outputs
        .iter()
        .map(|output| {
            let floats = output.cast_to::<f32>()?;
            Ok((output.shape().to_vec(), floats.as_slice::<f32>()?.to_vec()))
        })
        .collect()
}

/// Says where two lists of values differ by more than `tolerance`, relative to the larger of the
/// expected value and a hundredth of the largest one.
pub fn difference(given: &[Value], expected: &[Value], tolerance: f32) -> Option<String> {
    if given.len() != expected.len() {
        return Some(format!("{} outputs instead of {}", given.len(), expected.len()));
    }
    for (slot, ((shape, values), (right, wanted))) in given.iter().zip(expected).enumerate() {
        if shape != right {
            return Some(format!("output {slot} has shape {shape:?} instead of {right:?}"));
        }
        let largest = wanted.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        for (index, (&value, &wanted)) in values.iter().zip(wanted).enumerate() {
            let scale = wanted.abs().max(1e-2 * largest).max(1e-12);
            let same = value == wanted || (value - wanted).abs() <= tolerance * scale;
            if !same {
                return Some(format!("output {slot}[{index}] is {value} instead of {wanted}"));
            }
        }
    }
    None
}
