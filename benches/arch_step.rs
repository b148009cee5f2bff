//! Time of an architecture-step on the graphs of `benches/graphs`, in parts and as a whole:
//! `cargo bench --bench arch_step [-- NAME]`. Parts run on one core where they have kernels; the
//! whole runs on all cores and is divided by its architecture-steps.

use std::{path::Path, time::Duration};

use burn::tensor::Device;
use criterion::{Criterion, criterion_group, criterion_main};
use weightsmith::{
    memory, onnx::Model, ops::Registry, predictor::NetworkConfig, train::StepFixture,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;

fn arch_step(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/graphs");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let model = Model::open(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy();
        for size in [16, 32] {
            // Heads that flatten their images, and tables of positions, fit one size only.
            let config = NetworkConfig { sources: true, ..NetworkConfig::default() };
            let Ok(mut fixture) =
                StepFixture::new(&model, &Registry::standard(), size, BATCH, &config, true)
            else {
                continue;
            };
            let predictor = fixture.predictor(&Device::flex());
            let mut group = criterion.benchmark_group(format!("{name}/{size}"));
            group.sample_size(10).warm_up_time(Duration::from_millis(300));
            group.measurement_time(Duration::from_secs(1));
            group.bench_function("encoder", |it| it.iter(|| fixture.encode(&predictor)));
            group.bench_function("encoder and decoder", |it| {
                it.iter(|| fixture.predict(&predictor));
            });
            group.bench_function("network forward", |it| it.iter(|| fixture.forward().unwrap()));
            group.bench_function("network forward and backward", |it| {
                it.iter(|| fixture.differentiate().unwrap());
            });
            group.bench_function("optimiser", |it| it.iter(|| fixture.optimise()));
            group.bench_function("whole", |it| {
                it.iter_custom(|count| {
                    let start = std::time::Instant::now();
                    (0..count).for_each(|_| fixture.step().unwrap());
                    start.elapsed() / StepFixture::ARCHITECTURE_STEPS as u32
                });
            });
            group.finish();
        }
    }
    println!("peak memory {} MiB", memory::peak().unwrap_or_default() >> 20);
}

criterion_group!(benches, arch_step);
criterion_main!(benches);
