//! Graphs made ready to train on.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use crate::{
    condition::Head,
    encoder::{NodeEncoder, NodeFeatures},
    execute::Runner,
    graph::Architecture,
    onnx::Model,
    ops::{Registry, Summary, Vocabulary, resolve, resolve_with_input},
    patches::{Mirror, PatchPlan, Sources},
};

use super::{GraphSource, TrainError};

/// What graphs are read with.
#[derive(Clone, Debug)]
pub struct GraphReader {
    /// Operators.
    pub registry: Arc<Registry>,
    /// Operators as the predictor numbers them.
    pub vocabulary: Vocabulary,
    /// What gives further features of nodes.
    pub node_encoder: Option<Arc<dyn NodeEncoder>>,
    /// Whether patches follow the makers of channels.
    pub sources: bool,
    /// Whether mirror images of networks are wanted.
    pub mirror: bool,
    /// Whether networks are run up to their head, too.
    pub trunk: bool,
}

impl GraphReader {
    fn features(&self, architecture: &Architecture) -> NodeFeatures {
        let features = NodeFeatures::read(architecture, &self.registry, &self.vocabulary);
        match &self.node_encoder {
            None => features,
            Some(encoder) => features.with_further(architecture, &self.registry, &**encoder),
        }
    }
}

/// A graph at one image size.
#[derive(Debug)]
pub struct PreparedGraph {
    /// That of the model.
    pub name: String,
    /// That of the architecture at the size of images that it was drawn for.
    pub fingerprint: u64,
    /// Channels of its images.
    pub channels: usize,
    /// Height and width of its images.
    pub size: usize,
    /// Values of all its parameters.
    pub parameters: usize,
    /// Multiply-accumulates for one image.
    pub multiply_accumulates: u64,
    /// The resolved architecture.
    pub architecture: Architecture,
    /// What the encoder reads.
    pub features: NodeFeatures,
    /// What the predictor writes.
    pub plan: PatchPlan,
    /// What runs the network.
    pub runner: Runner,
    /// Its mirror image, if it has one and the reader wants it.
    pub mirror: Option<Mirror>,
    /// What is in front of its head, if it has one that can be solved and the reader wants it.
    pub trunk: Option<Trunk>,
}

/// A network up to its head.
#[derive(Debug)]
pub struct Trunk {
    /// The head.
    pub head: Head,
    /// What makes its input.
    pub runner: Runner,
}

impl Trunk {
    fn of(architecture: &Architecture, registry: &Arc<Registry>) -> Option<Self> {
        let head = Head::of(architecture, registry).ok()?;
        let runner = Runner::new(&architecture.returning(&[head.input]), registry);
        Some(Self { head, runner })
    }
}

impl PreparedGraph {
    /// Reads a model for square images of the given size.
    pub fn of(model: &Model, size: usize, reader: &GraphReader) -> Result<Self, TrainError> {
        let mut architecture = Architecture::from_model(model)?;
        resolve(&mut architecture, &reader.registry)?;
        Self::resolved(model.name(), architecture, size, reader)
    }

    /// Makes a resolved architecture ready for square images of the given size.
    pub fn resolved(
        name: &str,
        mut architecture: Architecture,
        size: usize,
        reader: &GraphReader,
    ) -> Result<Self, TrainError> {
        let registry = &reader.registry;
        let fingerprint = architecture.fingerprint();
        let mut shape = architecture
            .inputs
            .first()
            .and_then(|input| input.shape.clone())
            .filter(|shape| shape.len() == 4)
            .ok_or_else(|| TrainError::Mismatch(format!("{name}: not an image network")))?;
        if shape[2..] != [size, size] {
            shape[2..].fill(size);
            resolve_with_input(&mut architecture, &shape, registry)?;
        }
        let summary = Summary::of(&architecture, registry);
        let features = reader.features(&architecture);
        let sources = reader.sources.then(|| Sources::new(&architecture, registry));
        let plan = PatchPlan::new(&architecture, &features.nodes, sources.as_ref());
        let runner = Runner::new(&architecture, registry);
        let mirror = reader.mirror.then(|| Mirror::of(&architecture, registry)).flatten();
        let trunk = reader.trunk.then(|| Trunk::of(&architecture, registry)).flatten();
        Ok(Self {
            name: name.to_owned(),
            fingerprint,
            channels: shape[1],
            size,
            parameters: summary.total.parameters,
            multiply_accumulates: summary.work_for_one(&architecture),
            architecture,
            features,
            plan,
            runner,
            mirror,
            trunk,
        })
    }
}

/// Most parameters of a graph that stays ready.
const MOST_KEPT: usize = 1_000_000;
/// Most parameters of all graphs of a run that stay ready: plans take memory in proportion, and making a graph
/// ready anew takes less time than a step.
const ALL_KEPT: usize = 100_000_000;

/// A shared pool of graphs of one source, which are made ready when they are asked for.
#[derive(Debug)]
pub struct GraphPool {
    source: GraphSource,
    reader: GraphReader,
    held_out: HashSet<u64>,
    /// Most parameters of the graphs that stay ready.
    kept: usize,
    ready: Mutex<Ready>,
}

/// Graphs by seed, all at one image size: a run goes from size to size and never back.
#[derive(Debug, Default)]
struct Ready {
    size: usize,
    graphs: HashMap<u64, Option<Arc<PreparedGraph>>>,
    parameters: usize,
}

impl Ready {
    /// Keeps a graph, if it is small; where that would be too much, those from before are let go.
    fn keep(&mut self, seed: u64, graph: Option<Arc<PreparedGraph>>, most: usize) {
        let parameters = graph.as_ref().map_or(0, |graph| graph.parameters);
        if parameters > MOST_KEPT {
            return;
        }
        if self.parameters + parameters > most {
            *self = Self { size: self.size, ..Self::default() };
        }
        self.parameters += parameters;
        self.graphs.insert(seed, graph);
    }
}

impl GraphPool {
    /// A pool that never yields a graph whose fingerprint is held out, one of so many of a run: they share the
    /// memory for graphs that stay ready.
    pub fn new(
        source: GraphSource,
        reader: GraphReader,
        held_out: HashSet<u64>,
        pools: usize,
    ) -> Self {
        Self { source, reader, held_out, kept: ALL_KEPT / pools.max(1), ready: Mutex::default() }
    }

    /// See [`GraphSource::count`].
    pub fn count(&self, wanted: usize) -> usize {
        self.source.count(wanted)
    }

    /// The graph of a seed at an image size; `None` if the graph is held out or cannot run at that
    /// size.
    pub fn get(&self, seed: u64, size: usize) -> Result<Option<Arc<PreparedGraph>>, TrainError> {
        let lock = || {
            let mut ready = self.ready.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if ready.size != size {
                *ready = Ready { size, ..Ready::default() };
            }
            ready
        };
        if let Some(ready) = lock().graphs.get(&seed) {
            return Ok(ready.clone());
        }
        let model = self.source.graph(seed)?;
        let prepared = match PreparedGraph::of(&model, size, &self.reader) {
            Ok(prepared) if self.held_out.contains(&prepared.fingerprint) => None,
            Ok(prepared) => Some(Arc::new(prepared)),
            // A head that flattens its images fits one image size only.
            Err(TrainError::Resolve(_)) if native_size(&model) != Some(size) => None,
            Err(error) => return Err(error),
        };
        lock().keep(seed, prepared.clone(), self.kept);
        Ok(prepared)
    }
}

/// Height of the images that a graph was made for.
fn native_size(model: &Model) -> Option<usize> {
    let architecture = Architecture::from_model(model).ok()?;
    architecture.inputs.first()?.shape.as_ref()?.get(2).copied()
}
