//! Growing a zoo: every graph from every parent, a snapshot here and there.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    data::{Augmentation, Batcher, Dataset, Split},
    execute::Program,
    graph::Architecture,
    observer::Observer,
    onnx::Model,
    ops::{Registry, resolve},
    predictor::InputConfig,
    spaces::Space,
};

use super::{
    FORMAT_VERSION, GrowConfig, Origin, Recipe, Record, Tensors, Zoo, ZooError, ZooHeader,
    candidates::{Candidate, candidates},
    finetune::{FineTuning, Setup, ValidationImages},
    parent::Parent,
};

/// How a zoo is grown.
#[derive(Clone, Debug)]
pub struct GrowOptions {
    /// Operators of the graphs that are grown.
    pub registry: Arc<Registry>,
    /// Whether to go on with a zoo that is there; without it, a folder that holds one is an error.
    pub resume: bool,
    /// Graphs that are trained side by side, one on a core. Does not change the result.
    pub jobs: usize,
    /// Set it to stop; graphs that are not done by then are dropped.
    pub stop: Arc<AtomicBool>,
    /// Told of every graph that is done.
    pub observer: Arc<dyn Observer>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Grown {
    /// The folder.
    pub folder: PathBuf,
    /// Graphs that are done, those of earlier runs included.
    pub graphs: usize,
    /// Checkpoints of them.
    pub checkpoints: usize,
    /// Snapshots that this run could not take because training had diverged.
    pub diverged: usize,
    /// Whether all graphs are done.
    pub finished: bool,
}

/// Grows a zoo. The same configuration gives the same bytes, however often it is interrupted:
/// finished graphs are left as they are, unfinished ones are begun anew.
pub fn grow(config: &GrowConfig, options: &GrowOptions) -> Result<Grown, ZooError> {
    let growth = Growth::new(config, &options.registry)?;
    let zoo = growth.zoo(options.resume)?;
    let largest = config.largest_macs.unwrap_or(u64::MAX);
    let all = candidates(&growth.space, &options.registry, config.graphs, largest)?;
    let open: Vec<Candidate> =
        all.iter().copied().filter(|candidate| !zoo.holds(candidate.fingerprint)).collect();
    options.observer.begin(all.len() as u64, (all.len() - open.len()) as u64);
    let (zoo, diverged) = (Mutex::new(zoo), AtomicUsize::new(0));
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let stopped = || options.stop.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed);
    let work = || -> Result<(), ZooError> {
        while let Some(&candidate) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(grown) = growth.fine_tune(candidate, &stopped)? else { break };
            diverged.fetch_add(grown.diverged, Ordering::Relaxed);
            let mut zoo = zoo.lock().unwrap_or_else(PoisonError::into_inner);
            zoo.add(candidate.fingerprint, grown.checkpoints)?;
            options.observer.advance(1);
        }
        Ok(())
    };
    // Threads of their own, not those of the pool, on which the predictors' matrix products wait.
    thread::scope(|scope| {
        let spawn =
            |_| scope.spawn(|| work().inspect_err(|_| failed.store(true, Ordering::Relaxed)));
        let workers: Vec<_> = (0..options.jobs.max(1)).map(spawn).collect();
        let join = |worker: thread::ScopedJoinHandle<Result<(), ZooError>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        // All are joined before the first error is returned.
        workers.into_iter().map(join).fold(Ok(()), Result::and)
    })?;
    options.observer.end();
    let zoo = zoo.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Grown {
        folder: config.out.clone(),
        graphs: zoo.graphs().count(),
        checkpoints: zoo.records().len(),
        diverged: diverged.into_inner(),
        finished: all.iter().all(|candidate| zoo.holds(candidate.fingerprint)),
    })
}

/// The snapshots of one graph.
struct Snapshots {
    checkpoints: Vec<(Record, Tensors)>,
    diverged: usize,
}

/// Everything that graphs are fine-tuned with.
struct Growth<'a> {
    config: &'a GrowConfig,
    registry: &'a Registry,
    space: Space,
    data: Dataset,
    validation: ValidationImages,
    parents: Vec<Parent>,
    /// Images of the networks.
    input: InputConfig,
}

impl<'a> Growth<'a> {
    fn new(config: &'a GrowConfig, registry: &'a Registry) -> Result<Self, ZooError> {
        let space = Space::load(&config.space)?;
        let [channels, size, width] = space.input;
        if size != width {
            let name = &space.name;
            return Err(ZooError::Mismatch(format!("the images of space '{name}' are not square")));
        }
        let data = Dataset::open(&config.data, Split::Train)?.with_channels(channels)?;
        let held_out = Dataset::open(&config.data, Split::Val)?.with_channels(channels)?;
        space.check_classes(data.classes.len(), &config.data).map_err(ZooError::Mismatch)?;
        let load = |parent| Parent::load(parent, size);
        let parents: Vec<Parent> =
            config.parents.iter().map(load).collect::<Result<_, ZooError>>()?;
        let Some(first) = parents.first() else {
            return Err(ZooError::Mismatch("a zoo needs at least one parent".to_owned()));
        };
        parents.iter().try_for_each(|parent| parent.check(first, &data))?;
        let input = InputConfig { size, ..first.input().clone() };
        let plain = Batcher::new(&held_out, &input.mean, &input.std, size, Augmentation::None)?;
        let (images, labels) = plain.range(0..config.validation_images);
        let validation = ValidationImages { images, labels };
        Ok(Self { config, registry, space, data, validation, parents, input })
    }

    /// The zoo to grow in, new or as it was left.
    fn zoo(&self, resume: bool) -> Result<Zoo, ZooError> {
        let folder = &self.config.out;
        let header = ZooHeader {
            format_version: FORMAT_VERSION,
            name: self.config.name.clone(),
            space: self.config.space.clone(),
            data_hash: self.data.hash.clone(),
            classes: self.data.classes.clone(),
            input: self.input.clone(),
            precision: self.config.precision,
            config: Some(GrowConfig { out: PathBuf::new(), ..self.config.clone() }),
        };
        if !resume || !Zoo::is_at(folder) {
            return Zoo::create(folder, &header);
        }
        let mut zoo = Zoo::open(folder)?;
        let known = zoo.header();
        let extends = known.config.as_ref().is_some_and(|known| known.extends_to(self.config));
        if !extends || known.data_hash != header.data_hash {
            return Err(ZooError::State {
                path: folder.clone(),
                problem: "was grown from another configuration or other data; choose another 'out'"
                    .to_owned(),
            });
        }
        zoo.sweep()?;
        if *zoo.header() != header {
            zoo.set_header(header)?;
        }
        Ok(zoo)
    }

    /// Trains one graph from every parent; `None` if it was stopped.
    fn fine_tune(
        &self,
        candidate: Candidate,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Snapshots>, ZooError> {
        let Candidate { seed, fingerprint } = candidate;
        let sampled = self.space.sample(seed)?;
        let model = Model::from_bytes(&sampled.name, sampled.onnx)?;
        let mut architecture = Architecture::from_model(&model)?;
        resolve(&mut architecture, self.registry)?;
        let program = Program::compile(&architecture, self.registry)
            .map_err(|error| ZooError::Mismatch(format!("{}: {error}", sampled.name)))?;
        let Self { config, input, .. } = self;
        let batcher = Batcher::new(
            &self.data,
            &input.mean,
            &input.std,
            input.size,
            config.training.augmentation,
        )?;
        let mut snapshots = Snapshots { checkpoints: Vec::new(), diverged: 0 };
        for (position, parent) in self.parents.iter().enumerate() {
            let steps = parent.finetune.last().copied().unwrap_or(0);
            let setup = Setup {
                program: &program,
                architecture: &architecture,
                batcher: &batcher,
                shape: [input.channels(), input.size],
                calibration: &parent.calibration,
                training: &config.training,
                steps,
            };
            // Which images a network meets depends on its seed, its parent and the step only.
            let mut random = ChaCha8Rng::seed_from_u64(config.seed);
            random.set_stream((position as u64) << 32 | seed);
            let mut run =
                FineTuning::new(setup, parent.weights(&architecture, self.registry)?, random);
            for (taken, &step) in parent.finetune.iter().enumerate() {
                let mut healthy = true;
                while healthy && run.step() < step {
                    if stopped() {
                        return Ok(None);
                    }
                    healthy = run.advance();
                }
                let kept = match healthy {
                    true => self.checkpoint(&mut run, &architecture)?,
                    false => None,
                };
                let Some((tensors, validation)) = kept else {
                    snapshots.diverged += parent.finetune.len() - taken;
                    break;
                };
                let record = Record {
                    fingerprint,
                    origin: Origin::Space { space: config.space.clone(), seed },
                    recipe: Some(Recipe {
                        training: config.training.clone(),
                        steps,
                        seed: config.seed,
                    }),
                    step,
                    data_hash: self.data.hash.clone(),
                    lineage: Some(parent.lineage.clone()),
                    descent: None,
                    train: run.recent(),
                    validation: Some(validation),
                    licence: config.licence.clone(),
                    parameters: tensors.values(),
                    tensors: tensors.sha256().to_owned(),
                    alignment: None,
                };
                snapshots.checkpoints.push((record, tensors));
            }
        }
        Ok(Some(snapshots))
    }

    /// A snapshot as it is stored, and how good it is then; `None` if it is not finite.
    fn checkpoint(
        &self,
        run: &mut FineTuning,
        architecture: &Architecture,
    ) -> Result<Option<(Tensors, super::Score)>, ZooError> {
        let weights = run.snapshot();
        let stored = Tensors::new(architecture, &weights, self.config.precision)
            .and_then(|tensors| Ok((tensors.weights(architecture)?, tensors)));
        let (weights, tensors) = stored.map_err(ZooError::Mismatch)?;
        if !weights.values().all(|value| value.is_finite()) {
            return Ok(None);
        }
        let score = run.judge(&weights, &self.validation);
        Ok(score.map(|score| (tensors, score)))
    }
}
