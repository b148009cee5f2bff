//! Statistics of batch normalisations, measured by the reference executor.

use approx::assert_relative_eq;
use burn::tensor::Device;
use weightsmith::{
    execute::{Images, Program, Scratch, execute, measure},
    graph::{Architecture, Tensor, Weights},
    onnx::Model,
    ops::{Array, Registry, resolve_with_input},
    spaces::Space,
};

/// A sampled graph with a few batch normalisations, at a batch of four.
fn sampled() -> (Architecture, Vec<Tensor>, Tensor) {
    let space = Space::load("tiny").unwrap();
    for seed in 0.. {
        let graph = space.sample(seed).unwrap();
        let model = Model::from_bytes("graph", graph.onnx).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        let mut shape = architecture.inputs[0].shape.clone().unwrap();
        shape[0] = 4;
        resolve_with_input(&mut architecture, &shape, &Registry::standard()).unwrap();
        let norms = architecture.dag.node_weights();
        if norms.filter(|node| node.op_type == "BatchNormalization").count() < 3 {
            continue;
        }
        let wave = |shape: Vec<usize>, offset: f32, size: f32| {
            let count = shape.iter().product::<usize>();
            let data = (0..count).map(|at| offset + size * (at as f32 * 1.7).sin()).collect();
            Tensor { shape, data }
        };
        let weights = architecture.parameters.iter().map(|parameter| {
            let fan_in = parameter.slots[0].fan_in as f32;
            wave(parameter.shape.clone().unwrap(), 0.1, 1.5 / fan_in.sqrt())
        });
        return (architecture.clone(), weights.collect(), wave(shape, 0.2, 1.0));
    }
    unreachable!("the space has batch normalisations");
}

#[test]
fn measured_statistics_normalise_their_own_batch() {
    let (architecture, weights, images) = sampled();
    let device = Device::flex();
    let mut arrays: Vec<Option<Array>> =
        weights.iter().map(|tensor| Some(Array::upload(tensor, &device))).collect();
    let input = [Array::upload(&images, &device)];
    let (outputs, measured) = measure(
        &architecture,
        &Registry::standard(),
        &arrays,
        &input,
        &(0..images.shape[0]),
        &device,
    )
    .unwrap();

    // The fast programs measure the same.
    let program = Program::compile(&architecture, &Registry::standard()).unwrap();
    let weights: Weights = weights.into_iter().map(|tensor| tensor.data).collect();
    let &[batch, channels, height, width] = images.shape.as_slice() else { unreachable!() };
    let view = Images { batch, channels, height, width, data: &images.data };
    let fast = program.statistics(&weights, view, &mut Scratch::default());
    assert_eq!(measured.len(), fast.len());
    for fast in fast {
        let slow = measured.iter().find(|slow| slow.mean == fast.mean).unwrap();
        assert_eq!(slow.variance, fast.variance);
        for (slow, fast) in [(&slow.means, &fast.means), (&slow.variances, &fast.variances)] {
            for (slow, fast) in slow.iter().zip(fast) {
                assert_relative_eq!(slow, fast, epsilon = 1e-4, max_relative = 1e-3);
            }
        }
    }

    // In inference mode with these statistics, the same batch has the same outputs.
    for measured in measured {
        for (id, values) in
            [(measured.mean, measured.means), (measured.variance, measured.variances)]
        {
            let tensor = Tensor { shape: vec![values.len()], data: values };
            arrays[id.0] = Some(Array::upload(&tensor, &device));
        }
    }
    let again = execute(&architecture, &Registry::standard(), &arrays, &input, &device).unwrap();
    for (value, again) in outputs[0].download().iter().zip(again[0].download()) {
        assert_relative_eq!(*value, again, epsilon = 1e-4, max_relative = 1e-3);
    }
}
