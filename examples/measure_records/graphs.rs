//! What is measured on.

use std::error::Error;

use weightsmith::{corpus, fill::Network, graph::DimBindings, onnx::Model, ops::Registry};

/// Splits that graphs are taken from, in turn.
const SPLITS: [&str; 4] = ["id", "deep", "norm-free", "dense"];

/// The smallest graphs of the splits, in turn.
pub fn smallest(count: usize) -> Result<Vec<Network>, Box<dyn Error>> {
    let mut all: Vec<(usize, Network)> = Vec::new();
    for split in SPLITS {
        let mut graphs = Vec::new();
        for graph in corpus::load(split, &Registry::standard())? {
            let model = Model::from_bytes(&format!("{split}/{}", graph.name), graph.onnx)?;
            let network = Network::of(model, DimBindings::default())?;
            graphs.push((network.architecture.parameter_count(), network));
        }
        graphs.sort_by_key(|(size, _)| *size);
        let smallest = graphs.into_iter().take(count.div_ceil(SPLITS.len()));
        all.extend(smallest.enumerate().map(|(place, (_, network))| (place, network)));
    }
    // In turn, so that a run that is cut short has seen all splits.
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, network)| network).collect())
}
