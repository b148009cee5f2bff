//! How well `trace` tells networks of the bundled predictors from others, on small held-out graphs, after changes that
//! people make, and marks of two keys from each other: `cargo run --release --example measure_trace -- DATA [GRAPHS]`.
//! DATA is what networks are trained on: 200 steps from predicted weights (50 of marked ones), and as many from He
//! initialisation for networks of others.

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    condition::{FineTuning, Optimiser},
    corpus,
    fill::{FineTuneOptions, Network, fills, finetune},
    graph::{DimBindings, ParameterId, Role, Weights},
    onnx::{Model, splice},
    ops::Registry,
    predictor::{BUNDLED, Predictor, Sampling, Watermark, bundled},
    trace::{Trace, Verdict, trace},
    weights::he_initialisation,
    zoo::Groups,
};

/// Splits that graphs are taken from, in turn.
const SPLITS: [&str; 4] = ["id", "deep", "norm-free", "dense"];
/// Steps of training, and images of each.
const STEPS: usize = 200;
const BATCH: usize = 32;
/// Steps of networks that carry a mark.
const MARKED_STEPS: usize = 50;

/// What was seen of networks that were changed in one way.
#[derive(Default)]
struct Row {
    excess: Vec<f64>,
    found: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = PathBuf::from(arguments.next().ok_or("usage: measure_trace DATA [GRAPHS]")?);
    let count: usize = arguments.next().map_or(Ok(20), |it| it.parse())?;
    let predictors: Vec<Predictor> =
        BUNDLED.iter().map(|name| bundled(name, &Device::flex())).collect::<Result<_, _>>()?;
    let changes = [
        "as it was written",
        "another sample",
        "200 steps of fine-tuning",
        "8 bits",
        "30 % pruned",
        "reordered",
        "rescaled",
        "all of these but training",
        "He initialisation",
        "trained from He initialisation",
    ];
    let mut rows: Vec<Row> = changes.iter().map(|_| Row::default()).collect();
    let mut marks = Vec::new();
    for graph in smallest(count)? {
        let network = &graph;
        let networks = variants(network, &predictors, &data)?;
        for (row, network) in rows.iter_mut().zip(networks) {
            let found = trace(&network, &predictors, &[])?;
            row.excess.push(excess(&found));
            row.found += usize::from(found.verdict() == Verdict::Descends);
        }
        let line: Vec<String> = rows
            .iter()
            .map(|row| row.excess.last().map_or("-".into(), |it| format!("{it:.3}")))
            .collect();
        eprintln!("{} {}", network.model.name(), line.join(" "));
        marks.push(marked(network, &predictors[0], &data)?);
    }
    let (ours, others) = rows.split_at(8);
    let others: Vec<f64> = others.iter().flat_map(|row| &row.excess).copied().collect();
    println!(
        "| networks | number | taken for ours | excess, least to most | AUC |\n|---|---|---|---|---|"
    );
    for (name, Row { excess, found }) in changes.iter().zip(&rows) {
        let [least, most] =
            [f64::min, f64::max].map(|of: fn(f64, f64) -> f64| excess.iter().copied().reduce(of));
        let (least, most) = (least.unwrap_or(f64::NAN), most.unwrap_or(f64::NAN));
        println!(
            "| {name} | {} | {found} | {least:.3} to {most:.3} | {:.3} |",
            excess.len(),
            auc(excess, &others)
        );
    }
    let all: Vec<f64> = ours.iter().flat_map(|row| &row.excess).copied().collect();
    println!("| all of ours | {} | | | {:.4} |", all.len(), auc(&all, &others));
    let found = |key: usize| marks.iter().flatten().filter(|found| found[key]).count();
    println!(
        "marked, {MARKED_STEPS} steps: of {} networks {} carry the mark of their key, {} that of another",
        2 * marks.len(),
        found(0),
        found(1)
    );
    Ok(())
}

/// Whether the keys of two networks are found after some steps, and whether those of the other are.
fn marked(
    network: &Network,
    predictor: &Predictor,
    data: &Path,
) -> Result<[[bool; 2]; 2], Box<dyn Error>> {
    let keys = [1, 2].map(|key| Watermark::new([key; 32]));
    let mut found = [[false; 2]; 2];
    for (own, found) in found.iter_mut().enumerate() {
        let Network { architecture, registry, .. } = network;
        let mut prediction = predictor.predict(architecture, registry, |_| false)?;
        keys[own].mark(architecture, &mut prediction);
        let network = train(&with(network, &prediction.weights)?, predictor, data, MARKED_STEPS)?;
        let trace = trace(&network, std::slice::from_ref(predictor), &keys)?;
        let mark = |key: usize| trace.candidates.first().is_some_and(|it| it.marks[key].is_there());
        *found = [mark(own), mark(1 - own)];
    }
    Ok(found)
}

/// The smallest graphs of the splits, in turn.
fn smallest(count: usize) -> Result<Vec<Network>, Box<dyn Error>> {
    let mut all: Vec<(usize, Network)> = Vec::new();
    for split in SPLITS {
        let mut graphs = Vec::new();
        for graph in corpus::load(split, &Registry::standard())? {
            let model = Model::from_bytes(&format!("{split}/{}", graph.name), graph.onnx)?;
            let network = Network::of(model, DimBindings::default())?;
            let parameters = network.architecture.parameters.iter();
            graphs.push((parameters.filter_map(|it| it.len()).sum::<usize>(), network));
        }
        graphs.sort_by_key(|(size, _)| *size);
        let smallest = graphs.into_iter().take(count.div_ceil(SPLITS.len()));
        all.extend(smallest.enumerate().map(|(place, (_, network))| (place, network)));
    }
    // In turn, so that a run that is cut short has seen all splits.
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, network)| network).collect())
}

/// The networks of one graph, in the order of the rows.
fn variants(
    network: &Network,
    predictors: &[Predictor],
    data: &Path,
) -> Result<Vec<Network>, Box<dyn Error>> {
    let Network { architecture, registry, .. } = network;
    let mut random = ChaCha8Rng::seed_from_u64(architecture.fingerprint());
    let sampling = Sampling { samples: 4, seed: 5, ..predictors[0].sampling() };
    let samples = predictors[0].sample(architecture, registry, |_| false, &sampling)?;
    let [first, other] = [0, 3].map(|sample| samples[sample].weights.clone());
    let groups = Groups::of(architecture, registry);
    let permutations = groups.sizes().iter().map(|&size| {
        let mut order: Vec<usize> = (0..size).collect();
        order.shuffle(&mut random);
        order
    });
    let permutations: Vec<Vec<usize>> = permutations.collect();
    let reordered = groups.permute(&first, &permutations)?;
    let rescaled = layers(network, &first, |values, shape| rescale(values, shape, &mut random));
    let [rounded, pruned] =
        [round, prune].map(|change| layers(network, &first, |values, _| change(values)));
    let all = layers(network, &reordered, |values, shape| {
        prune(values);
        round(values);
        rescale(values, shape, &mut random);
    });
    let he = he_initialisation(architecture, random.random());
    let filled = |weights: &Weights| with(network, weights);
    Ok(vec![
        filled(&first)?,
        filled(&other)?,
        train(&with(network, &first)?, &predictors[0], data, STEPS)?,
        filled(&rounded)?,
        filled(&pruned)?,
        filled(&reordered)?,
        filled(&rescaled)?,
        filled(&all)?,
        filled(&he)?,
        train(&with(network, &he)?, &predictors[0], data, STEPS)?,
    ])
}

/// A network with weights in its file.
fn with(network: &Network, weights: &Weights) -> Result<Network, Box<dyn Error>> {
    let mut bytes = Vec::new();
    splice::write(&network.model, &fills(network, weights), &mut bytes)?;
    Ok(Network::of(Model::from_bytes(network.model.name(), bytes.into())?, DimBindings::default())?)
}

/// The network after some steps.
fn train(
    network: &Network,
    predictor: &Predictor,
    data: &Path,
    steps: usize,
) -> Result<Network, Box<dyn Error>> {
    let images = weightsmith::data::Dataset::open(data, weightsmith::data::Split::Train)?.len();
    let epochs = (steps * BATCH).div_ceil(images).max(1);
    let tuning = FineTuning { epochs, batch: BATCH, ..FineTuning::ordinary(Optimiser::AdamW) };
    let options = FineTuneOptions { tuning, ..FineTuneOptions::new(data.to_owned()) };
    let tuned = finetune(network, &predictor.config.input, &options)?;
    with(network, tuned.networks()[0].weights())
}

/// Weights with those of layers changed.
fn layers(
    network: &Network,
    weights: &Weights,
    mut change: impl FnMut(&mut [f32], &[usize]),
) -> Weights {
    weights.map(|ParameterId(index), values| {
        let parameter = &network.architecture.parameters[index];
        let mut values = values.to_vec();
        if parameter.role() == Some(Role::Weight)
            && let Some(shape @ [_, _, ..]) = parameter.shape.as_deref()
        {
            change(&mut values, shape);
        }
        values
    })
}

/// To 255 levels.
fn round(values: &mut [f32]) {
    let largest = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    let step = (largest / 127.0).max(f32::MIN_POSITIVE);
    values.iter_mut().for_each(|value| *value = (*value / step).round() * step);
}

/// Without the smallest 30 %.
fn prune(values: &mut [f32]) {
    let mut sizes: Vec<f32> = values.iter().map(|value| value.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    let limit = sizes[3 * sizes.len() / 10];
    values.iter_mut().filter(|value| value.abs() < limit).for_each(|value| *value = 0.0);
}

/// With channels larger and smaller by up to four times.
fn rescale(values: &mut [f32], shape: &[usize], random: &mut impl Rng) {
    let mut scales = |count: usize| -> Vec<f32> {
        (0..count).map(|_| random.random_range(-1.4f32..1.4).exp()).collect()
    };
    let (rows, columns) = (scales(shape[0]), scales(shape[1]));
    let taps: usize = shape[2..].iter().product::<usize>().max(1);
    for (index, value) in values.iter_mut().enumerate() {
        let channel = index / taps;
        *value *= rows[channel / shape[1]] / columns[channel % shape[1]];
    }
}

fn excess(trace: &Trace) -> f64 {
    trace.candidates.first().map_or(0.0, |first| first.excess())
}

/// Probability that one of ours has more in common with a predictor than one of others.
fn auc(ours: &[f64], others: &[f64]) -> f64 {
    let pairs = ours.iter().flat_map(|own| others.iter().map(move |other| own.total_cmp(other)));
    let score = pairs.map(|order| match order {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    });
    score.sum::<f64>() / (ours.len() * others.len()).max(1) as f64
}
