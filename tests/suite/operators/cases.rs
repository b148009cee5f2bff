//! Operator by operator: what tract computes, and gradients that are derivatives.

use std::{cell::RefCell, collections::BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    execute::{Images, NormStatistics, Program, Scratch, execute},
    graph::{self, Architecture, CANONICAL_DOMAIN, Weights},
    ops::{Array, Registry},
};

use super::{
    compare::{Value, difference, ours, read, stored, tract},
    model::Case,
    table::cases,
};

/// Runs a check over all cases and reports every failure.
fn every_case(check: impl Fn(&Case) -> Result<(), String>) {
    let failures: Vec<String> = cases()
        .iter()
        .filter_map(|case| check(case).err().map(|error| format!("{}: {error}", case.name())))
        .collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn operators_compute_what_tract_computes() {
    every_case(|case| {
        let data = case.data();
        let (model, architecture) = read("case", &case.model())?;
        let given = ours(&architecture, &stored(&model, &architecture)?, &data)?;
        let expected = tract(&case.oracle(), &data).map_err(|error| format!("tract: {error:#}"))?;
        difference(&given, &expected, 1e-4).map_or(Ok(()), Err)
    });
}

#[test]
fn every_operator_is_compared() {
    let compared = cases();
    let missing: Vec<&str> = Registry::standard()
        .operators()
        // The operators that these stand for in canonical graphs are compared.
        .filter(|operator| operator.domain() != CANONICAL_DOMAIN)
        .filter(|operator| {
            !compared.iter().any(|case| case.is(operator.domain(), operator.op_type()))
        })
        .map(|operator| operator.op_type())
        // Read as a tensor.
        .filter(|&name| name != "Constant")
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

/// A projection of the outputs, and its gradient in every tensor if asked for.
fn project(
    architecture: &Architecture,
    tensors: &[Value],
    inputs: usize,
    direction: &[Vec<f32>],
    differentiate: bool,
) -> Result<(f64, Vec<Vec<f32>>), String> {
    let device = if differentiate { Device::flex().autodiff() } else { Device::flex() };
    let leaves: Vec<Tensor<1>> = tensors
        .iter()
        .map(|(_, values)| {
            let leaf = Tensor::from_data(TensorData::new(values.clone(), [values.len()]), &device);
            if differentiate { leaf.require_grad() } else { leaf }
        })
        .collect();
    let mut arrays: Vec<Array> = leaves
        .iter()
        .zip(tensors)
        .map(|(flat, (shape, _))| Array::Float { flat: flat.clone(), shape: shape.clone() })
        .collect();
    let weights: Vec<Option<Array>> = arrays.split_off(inputs).into_iter().map(Some).collect();
    let outputs = execute(architecture, &Registry::standard(), &weights, &arrays, &device)
        .map_err(|error| error.to_string())?;
    let mut loss = None;
    let mut exact = 0.0;
    for (output, direction) in outputs.iter().zip(direction) {
        let Array::Float { flat, .. } = output else { continue };
        let values = output.download();
        exact +=
            values.iter().zip(direction).map(|(v, d)| f64::from(*v) * f64::from(*d)).sum::<f64>();
        let data = TensorData::new(direction[..values.len()].to_vec(), [values.len()]);
        let part = (flat.clone() * Tensor::<1>::from_data(data, &device)).sum();
        loss = Some(match loss {
            None => part,
            Some(loss) => loss + part,
        });
    }
    let Some(loss) = loss.filter(|_| differentiate) else { return Ok((exact, Vec::new())) };
    let gradients = loss.backward();
    let gradient = |leaf: &Tensor<1>| match leaf.grad(&gradients) {
        Some(gradient) => gradient.into_data_as::<f32>().try_into_vec::<f32>().unwrap(),
        None => vec![0.0; leaf.dims()[0]],
    };
    Ok((exact, leaves.iter().map(gradient).collect()))
}

#[test]
fn gradients_are_derivatives() {
    every_case(|case| {
        let (model, architecture) = read("case", &case.model())?;
        let mut tensors = case.data();
        let inputs = tensors.len();
        let weights: Vec<graph::Tensor> = stored(&model, &architecture)?;
        tensors.extend(weights.into_iter().map(|tensor| (tensor.shape, tensor.data)));
        if architecture.outputs.iter().all(|(_, operand)| {
            architecture.fact(*operand).is_some_and(|fact| fact.value.is_some())
        }) || case.is("", "Floor")
            || case.is("", "Ceil")
            || case.is("", "Shape")
        {
            return Ok(());
        }
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let direction: Vec<Vec<f32>> = (0..architecture.outputs.len())
            .map(|_| (0..4096).map(|_| random.random_range(-1.0..1.0)).collect())
            .collect();
        let (_, gradients) = project(&architecture, &tensors, inputs, &direction, true)?;
        for (index, gradient) in gradients.iter().enumerate() {
            let step: Vec<f32> = gradient.iter().map(|_| random.random_range(-1.0..1.0)).collect();
            let analytic: f64 =
                gradient.iter().zip(&step).map(|(g, s)| f64::from(*g) * f64::from(*s)).sum();
            let size = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
            let width = 1e-3;
            let side = |sign: f32| {
                let mut moved = tensors.clone();
                for (value, step) in moved[index].1.iter_mut().zip(&step) {
                    *value += sign * width * step;
                }
                project(&architecture, &moved, inputs, &direction, false).map(|(loss, _)| loss)
            };
            let numeric = (side(1.0)? - side(-1.0)?) / (2.0 * f64::from(width));
            if (numeric - analytic).abs() > 2e-2 * size.max(0.1) {
                return Err(format!("tensor {index}: derivative {numeric}, gradient {analytic}"));
            }
        }
        Ok(())
    });
}

#[test]
fn programs_compute_what_tract_computes() {
    let lowered = RefCell::new(BTreeSet::new());
    every_case(|case| {
        let (model, architecture) = read("case", &case.model())?;
        let Ok(program) = Program::compile(&architecture, &Registry::standard()) else {
            return Ok(());
        };
        let weights = stored(&model, &architecture)?;
        let weights: Weights = weights.into_iter().map(|tensor| tensor.data).collect();
        let data = case.data();
        let [(shape, values)] = data.as_slice() else { return Err("takes no image".to_owned()) };
        let [batch, channels, ref area @ ..] = shape[..] else {
            unreachable!("programs take rows")
        };
        let [height, width] = <[usize; 2]>::try_from(area).unwrap_or([1, 1]);
        let images = Images { batch, channels, height, width, data: values };
        let logits =
            program.logits(&weights, images, &NormStatistics::Running, &mut Scratch::default());
        let expected = tract(&case.oracle(), &data).map_err(|error| format!("tract: {error:#}"))?;
        lowered.borrow_mut().insert(case.op_type().to_owned());
        let given = [(expected[0].0.clone(), logits)];
        difference(&given, &expected[..1], 1e-4).map_or(Ok(()), Err)
    });
    let lowered = lowered.into_inner();
    assert!(lowered.len() >= 24, "few operators are lowered: {lowered:?}");
}
