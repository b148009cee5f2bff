//! The configurations that results were made with.

use std::path::{Path, PathBuf};

use weightsmith::train::TrainConfig;

fn experiment(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn predictors_of_the_ablation_start_alike() {
    let mut found = 0;
    for entry in std::fs::read_dir(experiment("ablation/predictors")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let config = TrainConfig::load(&path).unwrap();
        assert_eq!(config.out, Path::new("runs/equal").join(&name));
        let start = if name == "no-graph" { "predictors/mlp-hypernetwork" } else { "cifar10" };
        assert_eq!(config.initial.as_deref(), Some(start));
        assert_eq!(config.network.diffusion.is_some(), name != "one-pass");
        let shuffled = config.denoising.zoo.as_deref() == Some(Path::new("runs/zoo-shuffled"));
        assert_eq!(shuffled, name == "no-alignment");
        found += 1;
    }
    assert_eq!(found, 8);
}

#[test]
fn equal_budgets_differ_in_the_graph_only() {
    let load = |name: &str| TrainConfig::load(&experiment("graph-worth").join(name)).unwrap();
    let [with, without] = ["with-graph.toml", "without-graph.toml"].map(load);
    assert!(!without.network.encoder.message_passing && !without.network.sources);
    let mut network = without.network.clone();
    network.encoder.message_passing = true;
    network.sources = true;
    let same = TrainConfig { name: with.name.clone(), out: with.out.clone(), network, ..without };
    assert_eq!(same, with);
}
