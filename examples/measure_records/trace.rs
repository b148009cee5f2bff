//! Networks of ours and of others, traced.

use std::{
    collections::HashSet,
    error::Error,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use clap::Args;
use serde::{Deserialize, Serialize};
use weightsmith::{
    fill::Network,
    onnx::folder,
    predictor::{BUNDLED, Predictor, Sampling, Watermark, bundled},
    trace::{Verdict, trace},
    weights::he_initialisation,
};

use super::{
    changes::{Change, Course, STEPS, with},
    graphs::smallest,
};

/// Steps of networks that carry a mark.
const MARKED_STEPS: usize = 50;

#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The data set
    data: PathBuf,
    /// Where lines are appended
    out: PathBuf,
    /// The smallest N graphs of all splits together
    #[arg(long, default_value_t = 100)]
    graphs: usize,
    /// Every Nth graph, from the Ith on
    #[arg(long, value_name = "I/N", default_value = "0/1")]
    shard: String,
    /// Networks that other tools have trained
    #[arg(long, value_name = "DIR")]
    foreign: Option<PathBuf>,
}

/// A network that was traced.
#[derive(Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Where it came from.
    pub origin: Origin,
    /// What was done to it.
    pub change: Change,
    /// Similarity beyond chance.
    pub excess: f64,
    /// Probability of it by chance.
    pub probability: f64,
    /// Whether it is said to descend from a predictor.
    pub descends: bool,
}

/// Where a network comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    Predicted,
    AnotherSample,
    HeInitialisation,
    TrainedFromHe,
    AnotherTool,
}

impl Origin {
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Predicted | Self::AnotherSample)
    }
}

/// What was seen of a graph.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    pub graph: String,
    pub parameters: usize,
    pub networks: Vec<Seen>,
    /// Of networks with marks of two keys: deviations of the own key, and of the other.
    pub marks: Vec<[f64; 2]>,
    /// Of the same networks: whether the own key is found, and the other.
    pub found: Vec<[bool; 2]>,
}

impl TraceArgs {
    pub fn run(&self) -> Result<(), Box<dyn Error>> {
        let (place, shards) = self.shard.split_once('/').ok_or("--shard is I/N")?;
        let (place, shards): (usize, usize) = (place.parse()?, shards.parse()?);
        let predictors: Vec<Predictor> =
            BUNDLED.iter().map(|name| bundled(name, &Device::flex())).collect::<Result<_, _>>()?;
        let course = Course::on(&self.data, &predictors[0])?;
        let done: HashSet<String> = lines(&self.out)?.into_iter().map(|line| line.graph).collect();
        let mut out = OpenOptions::new().create(true).append(true).open(&self.out)?;
        let mut write = |line: &Line| writeln!(out, "{}", serde_json::to_string(line)?);
        let foreign = self.foreign.as_deref().map(folder::files).transpose()?;
        for path in foreign.into_iter().flatten() {
            let network = Network::open(path)?;
            if !done.contains(network.model.name()) {
                let networks = changed(&network, Origin::AnotherTool, &predictors, &course)?;
                write(&line(&network, networks))?;
            }
        }
        for network in smallest(self.graphs)?.iter().skip(place).step_by(shards.max(1)) {
            if !done.contains(network.model.name()) {
                write(&graph(network, &predictors, &course)?)?;
            }
        }
        Ok(())
    }
}

/// What a file holds.
pub fn lines(path: &Path) -> Result<Vec<Line>, Box<dyn Error>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Networks of ours and of others with one graph.
fn graph(
    network: &Network,
    predictors: &[Predictor],
    course: &Course,
) -> Result<Line, Box<dyn Error>> {
    let Network { architecture, registry, .. } = network;
    let sampling = Sampling { samples: 4, seed: 5, ..predictors[0].sampling() };
    let samples = predictors[0].sample(architecture, registry, |_| false, &sampling)?;
    let he = he_initialisation(architecture, architecture.fingerprint());
    let trained = with(network, &course.train(network, he.clone(), STEPS)?)?;
    let seen = |network: &Network, origin| traced(network, origin, Change::Nothing, predictors);
    let predicted = with(network, &samples[0].weights)?;
    let mut networks = changed(&predicted, Origin::Predicted, predictors, course)?;
    networks.push(seen(&with(network, &samples[3].weights)?, Origin::AnotherSample)?);
    networks.push(seen(&with(network, &he)?, Origin::HeInitialisation)?);
    networks.extend(changed(&trained, Origin::TrainedFromHe, predictors, course)?);
    let mut line = line(network, networks);
    let keys = [1, 2].map(|key| Watermark::new([key; 32]));
    for own in 0..2 {
        let mut prediction = predictors[0].predict(architecture, registry, |_| false)?;
        keys[own].mark(architecture, &mut prediction);
        let marked = with(network, &course.train(network, prediction.weights, MARKED_STEPS)?)?;
        let trace = trace(&marked, &predictors[..1], &keys)?;
        let marks = &trace.candidates.first().ok_or("nothing to compare")?.marks;
        line.marks.push([own, 1 - own].map(|key| marks[key].deviations));
        line.found.push([own, 1 - own].map(|key| marks[key].is_there()));
    }
    Ok(line)
}

fn line(network: &Network, networks: Vec<Seen>) -> Line {
    Line {
        graph: network.model.name().to_owned(),
        parameters: network.architecture.parameter_count(),
        networks,
        marks: Vec::new(),
        found: Vec::new(),
    }
}

/// A network after every change.
fn changed(
    network: &Network,
    origin: Origin,
    predictors: &[Predictor],
    course: &Course,
) -> Result<Vec<Seen>, Box<dyn Error>> {
    let changes = Change::ALL.into_iter();
    changes.map(|change| traced(&change.of(network, course)?, origin, change, predictors)).collect()
}

fn traced(
    network: &Network,
    origin: Origin,
    change: Change,
    predictors: &[Predictor],
) -> Result<Seen, Box<dyn Error>> {
    let trace = trace(network, predictors, &[])?;
    let first = trace.candidates.first().ok_or("nothing to compare")?;
    Ok(Seen {
        origin,
        change,
        excess: first.excess(),
        probability: first.probability,
        descends: trace.verdict() == Verdict::Descends,
    })
}
