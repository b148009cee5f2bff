//! The speed of programs (run by hand).

use std::time::Instant;
use weightsmith::{
    execute::{Images, NormStatistics, Program, Scratch},
    graph::Architecture,
    kernels::cross_entropy,
    onnx::Model,
    ops::{registry, resolve, resolve_with_input},
    spaces::Space,
};

#[test]
#[ignore = "a benchmark"]
fn speed_on_sampled_graphs() {
    let space = Space::load("cifar10").unwrap();
    let repeats: usize = std::env::var("REPEATS").ok().and_then(|r| r.parse().ok()).unwrap_or(3);
    for size in [16usize, 32] {
        let mut scratch = Scratch::default();
        let (mut total, mut operations, mut count) = (0.0, 0.0, 0);
        for seed in 0..60 {
            let graph = space.sample(seed).unwrap();
            let model = Model::from_bytes(&graph.name, graph.onnx.clone()).unwrap();
            let mut architecture = Architecture::from_model(&model).unwrap();
            resolve(&mut architecture, registry()).unwrap();
            let shape = [64, 3, size, size];
            if resolve_with_input(&mut architecture, &shape, registry()).is_err() {
                continue;
            }
            let program = Program::compile(&architecture, registry()).unwrap();
            let images: Vec<f32> = (0..64 * 3 * size * size)
                .map(|i| ((i * 7919) % 1013) as f32 / 506.0 - 1.0)
                .collect();
            let weights: Vec<Vec<f32>> = architecture
                .parameters
                .iter()
                .map(|p| {
                    let n = p.len().unwrap();
                    let fan = p.slots[0].fan_in.max(1) as f32;
                    (0..n)
                        .map(|i| (((i * 7919) % 1013) as f32 / 506.0 - 1.0) * (3.0 / fan).sqrt())
                        .collect()
                })
                .collect();
            let weights: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
            let view = Images { batch: 64, channels: 3, height: size, width: size, data: &images };
            let labels: Vec<u16> = (0..64).map(|i| i % 10).collect();
            let statistics = NormStatistics::Measured { rows: 0..64 };
            let classes = program.classes();
            let mut best = f64::MAX;
            for _ in 0..repeats {
                let start = Instant::now();
                program.gradients(
                    &weights,
                    view,
                    &statistics,
                    &mut |l, g| cross_entropy(l, &labels, 0.1, g, classes).loss,
                    false,
                    &mut scratch,
                );
                best = best.min(start.elapsed().as_secs_f64());
            }
            let work =
                6.0 * 64.0 * graph.multiply_accumulates as f64 * (size * size) as f64 / 1024.0;
            if std::env::var("EACH").is_ok() {
                println!(
                    "{size} {seed:3} {:?} {:?} {:?}: {:7.2} ms {:4.0} GF/s  {} params",
                    graph.style.family,
                    graph.style.norm,
                    graph.style.activation,
                    best * 1e3,
                    work / best / 1e9,
                    graph.parameters
                );
            }
            total += best;
            operations += work;
            count += 1;
        }
        println!(
            "size {size}: {count} graphs, mean {:.2} ms, {:.0} GFLOP/s",
            total / count as f64 * 1e3,
            operations / total / 1e9
        );
    }
}
