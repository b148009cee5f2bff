//! Runs an ONNX file with the weights it holds:
//! `cargo run --release --example run_onnx -- MODEL.onnx IN.safetensors OUT.safetensors`.
//!
//! `IN` holds one 32-bit float tensor for each data input, under its name, with its channels first; where the
//! network has one input only, any name will do. `OUT` receives the outputs under their names. Our own executor
//! computes them on the CPU, not ONNX Runtime: that is what this is for.

use std::{env, error::Error, fs};

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use weightsmith::{
    execute::execute,
    graph::{Architecture, ParameterId, Scores, Tensor},
    onnx::Model,
    ops::{Array, Registry, resolve, resolve_with_input},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, given, results] = arguments.as_slice() else {
        return Err("usage: run_onnx MODEL.onnx IN.safetensors OUT.safetensors".into());
    };
    let bytes = fs::read(given)?;
    let given = SafeTensors::deserialize(&bytes)?;
    let model = Model::open(model.as_ref())?;
    let mut architecture = Architecture::from_model(&model)?;
    let data = architecture
        .inputs
        .iter()
        .map(|input| match given.names().as_slice() {
            [only] if architecture.inputs.len() == 1 => floats(&given.tensor(only)?),
            _ => floats(&given.tensor(&input.name)?),
        })
        .collect::<Result<Vec<Tensor>, _>>()?;
    let shape = data.first().map_or(&[][..], |first| &first.shape);
    resolve(&mut architecture, &Registry::standard())?;
    let resolution = resolve_with_input(&mut architecture, shape, &Registry::standard())?;
    if let Some(unsupported) = resolution.unsupported.first() {
        return Err(
            format!("{}: {}", architecture.describe(unsupported.node), unsupported.why).into()
        );
    }
    let device = Device::flex();
    let weights = (0..architecture.parameters.len())
        .map(|index| {
            let value = architecture.value_in(&model, ParameterId(index))?;
            Ok(value.map(|value| Array::upload(&value, &device)))
        })
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let inputs: Vec<Array> = data.iter().map(|tensor| Array::upload(tensor, &device)).collect();
    let outputs = execute(&architecture, &Registry::standard(), &weights, &inputs, &device)?;
    let mut values: Vec<Vec<f32>> = outputs.iter().map(Array::download).collect();
    if let (Some(scores), Some(&[_, classes])) =
        (values.first_mut(), outputs.first().map(Array::shape))
        && architecture.scores != Scores::Logits
    {
        let rows = scores.chunks_exact(classes.max(1));
        *scores = rows.flat_map(|logits| architecture.scores.of_logits(logits)).collect();
    }
    let bytes: Vec<Vec<u8>> = values
        .iter()
        .map(|values| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = architecture
        .outputs
        .iter()
        .zip(outputs.iter().zip(&bytes))
        .map(|((name, _), (output, bytes))| {
            let view = TensorView::new(Dtype::F32, output.shape().to_vec(), bytes)?;
            Ok((name.clone(), view))
        })
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    fs::write(results, safetensors::serialize(views, None)?)?;
    Ok(())
}

fn floats(view: &TensorView) -> Result<Tensor, Box<dyn Error>> {
    if view.dtype() != Dtype::F32 {
        return Err("inputs are 32-bit floats".into());
    }
    let bytes = view.data().chunks_exact(4);
    let data = bytes.map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    Ok(Tensor { shape: view.shape().to_vec(), data: data.collect() })
}
