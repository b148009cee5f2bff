//! The training loop.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use burn::tensor::Device;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    FileError,
    data::{Batcher, Dataset, Split},
    encoder::NodeEncoder,
    execute::Scratches,
    memory,
    neural::{self, Entry},
    observer::Observer,
    ops::{Registry, Vocabulary},
    predictor::{
        Condition, FORMAT_VERSION, InputConfig, Network, Predictor, PredictorConfig, Seen, Start,
        TrainingRecord, bundled, calibration_noise,
    },
};

use super::{
    AdamW, GraphReader, GraphSource, PreparedGraph, Stage, TrainConfig, TrainError,
    checkpoints::Checkpoints,
    episodes::Episodes,
    metrics::{Metric, MetricsLog},
    mixture::{Ingredient, Mixture},
    optimiser::schedule,
    state::{self, Progress},
    step::{Goal, Objective, Replica, Score, StepResult, Task, step},
    validation::Validation,
};

/// Folder of the predictor inside that of the run.
const PREDICTOR: &str = "predictor";
/// Fewest images that a costly graph classifies.
const FEWEST_IMAGES: usize = 16;
/// Fewest images of an episode of a costly graph.
const FEWEST_IMAGES_OF_EPISODE: usize = 64;

/// Where and how a run goes.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Operators of the graphs that are trained on.
    pub registry: Arc<Registry>,
    /// Where the predictor computes, at least one and none of them on autodiff: each step's graphs
    /// are shared out among them. The result does not depend on their number.
    pub devices: Vec<Device>,
    /// Whether to go on from a saved state; without it, a folder that holds one is an error.
    pub resume: bool,
    /// The command line, for the record.
    pub command: String,
    /// Set it to stop after the current step, with everything saved.
    pub stop: Arc<AtomicBool>,
    /// What gives further features of nodes; their names are `network.encoder.further` of the
    /// configuration.
    pub node_encoder: Option<Arc<dyn NodeEncoder>>,
    /// Told of every step.
    pub observer: Arc<dyn Observer>,
}

impl RunOptions {
    fn first(&self) -> &Device {
        &self.devices[0]
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The folder of the predictor: `config.json` and `model.safetensors`.
    pub predictor: PathBuf,
    /// How far it got.
    pub progress: Progress,
    /// Whether all steps were taken.
    pub finished: bool,
}

/// Trains a predictor.
///
/// # Panics
/// If no device is given.
pub fn train(config: &TrainConfig, options: &RunOptions) -> Result<Outcome, TrainError> {
    Run::start(config, options)?.go()
}

struct Run<'a> {
    config: &'a TrainConfig,
    options: &'a RunOptions,
    predictor: PredictorConfig,
    graphs: Mixture,
    data: Dataset,
    episodes: Option<Episodes>,
    /// One for each source of graphs.
    validations: Vec<Validation>,
    entries: Vec<Entry>,
    adam: AdamW,
    progress: Progress,
    /// What earlier runs were trained on, and the images of this one.
    seen: Seen,
    /// Fingerprints of the graphs that this run drew.
    drawn: BTreeSet<u64>,
    metrics: MetricsLog,
    /// What is to be recovered, where a zoo is given.
    checkpoints: Option<Checkpoints>,
}

impl<'a> Run<'a> {
    fn start(config: &'a TrainConfig, options: &'a RunOptions) -> Result<Self, TrainError> {
        let registry = &options.registry;
        let vocabulary = Vocabulary::of(registry);
        let encoder = &config.network.encoder;
        encoder.check(options.node_encoder.as_deref())?;
        let source = GraphSource::open(&config.space, registry)?;
        let channels = source.channels();
        let data = Dataset::open(&config.data, Split::Train)?.with_channels(channels)?;
        let held_out_images = Dataset::open(&config.data, Split::Val)?.with_channels(channels)?;
        source.check_classes(data.classes.len(), &config.data).map_err(TrainError::Mismatch)?;
        let labels = config.network.labels;
        if labels != 0 && labels != data.classes.len() {
            let classes = data.classes.len();
            let problem = format!("has {classes} classes, but network.labels is {labels}");
            return Err(TrainError::mismatch(&config.data, &problem));
        }
        let normalisation = data.normalisation();
        let size = config.stages.iter().map(|stage| stage.size).max().unwrap_or(data.height);
        let input =
            InputConfig { mean: normalisation.mean.clone(), std: normalisation.std.clone(), size };
        let predictor = PredictorConfig {
            format_version: FORMAT_VERSION,
            base: None,
            name: config.name.clone(),
            vocabulary: vocabulary.names().to_vec(),
            vocabulary_hash: vocabulary.hash(),
            input: input.clone(),
            classes: data.classes.clone(),
            network: config.network.clone(),
            training: TrainingRecord {
                command: options.command.clone(),
                seed: config.seed,
                space: config.space.clone(),
                data_hash: data.hash.clone(),
                ..Default::default()
            },
        };
        let folder = &config.out;
        std::fs::create_dir_all(folder).map_err(FileError::at(folder))?;
        let saved = state::load(folder, config)?;
        if saved.is_some() && !options.resume {
            return Err(TrainError::State {
                path: folder.clone(),
                problem: "holds a saved run; add --resume, or choose another 'out'".to_owned(),
            });
        }
        let empty = Network::new(&config.network, &input, vocabulary.len(), options.first());
        let entries = neural::entries(&empty);
        let mut seen = Seen { graphs: None, images: Some(Seen::images_of(&data)) };
        let (progress, adam) = match (saved, &config.initial) {
            (Some(saved), _) => {
                seen = seen.union(&Seen::load(&folder.join(PREDICTOR))?);
                saved
            }
            (None, Some(initial)) => {
                let predictor = bundled(initial, &Device::flex())?;
                seen = seen.union(&predictor.seen);
                start_from(initial, predictor, &entries, config.seed, &vocabulary, registry)?
            }
            (None, None) => {
                let mut values = neural::initialise(&entries, config.seed);
                calibration_noise(&entries, &mut values, config.seed);
                (Progress::default(), AdamW::new(values))
            }
        };
        let episodes = config.episodes.as_ref().map(Episodes::open).transpose()?;
        let held_out_episodes = match &config.episodes {
            Some(episodes) => Episodes::held_out(episodes)?,
            None => None,
        };
        if let Some(episodes) = &episodes {
            seen = seen.union(&episodes.seen());
        }
        let node_encoder = options.node_encoder.clone();
        let reader = GraphReader {
            registry: Arc::clone(registry),
            vocabulary,
            node_encoder,
            sources: config.network.sources,
            mirror: mirrors(config),
            trunk: config.episodes.is_some() || config.network.labels > 0,
        };
        tracing::info!("drawing graphs to validate on; this takes minutes where a space is large");
        let wants_grey = config.episodes.as_ref().is_some_and(|it| it.grey > 0.0);
        let graphs = Mixture::open(config, source, wants_grey, &reader)?;
        let validation = |it: &Ingredient| {
            let size = it.size.unwrap_or(input.size);
            let episodes = held_out_episodes.as_ref();
            Validation::new(&it.source, &reader, &input, size, &held_out_images, episodes)
        };
        let validations =
            graphs.ingredients().iter().map(validation).collect::<Result<_, TrainError>>()?;
        let checkpoints = Checkpoints::open(config, &reader, size)?;
        Ok(Self {
            config,
            options,
            predictor,
            graphs,
            data,
            episodes,
            validations,
            entries,
            adam,
            progress,
            seen,
            drawn: BTreeSet::new(),
            metrics: MetricsLog::open(folder)?,
            checkpoints,
        })
    }

    fn go(mut self) -> Result<Outcome, TrainError> {
        let steps = self.config.steps();
        let observer = self.options.observer.clone();
        observer.begin(steps, self.progress.step);
        let scratches = Scratches::default();
        let started = Instant::now();
        let before = self.progress.seconds;
        let mut saved = Instant::now();
        let mut since = Since::default();
        if self.progress.step == 0 && self.config.initial.is_some() {
            self.validate()?;
        }
        while self.progress.step < steps && !self.options.stop.load(Ordering::Relaxed) {
            let number = self.progress.step;
            let stage = self.config.stage(number).clone();
            let tasks = self.tasks(number, &stage)?;
            let objective = Objective {
                statistics: stage.statistics,
                label_smoothing: self.config.label_smoothing,
                weight_penalty: self.config.weight_penalty,
                network_clip: self.config.network_clip,
                recovery: self.config.denoising.recovery,
                members: self.config.denoising.members,
                together: self.config.denoising.together,
                diffusion: self.config.network.diffusion.clone(),
            };
            let replicas: Vec<Replica> = self
                .options
                .devices
                .iter()
                .map(|device| {
                    let network = self.network(&self.adam.values, device);
                    Replica { network, device: device.clone() }
                })
                .collect();
            let mut result = step(&replicas, &tasks, &objective, &scratches)?;
            let rate = schedule(number, steps, &self.config.optimiser);
            let norm = result.gradient.take().and_then(|gradient| {
                self.adam.update(&self.entries, &gradient, rate, &self.config.optimiser)
            });
            self.meet(&tasks);
            let finite = if norm.is_some() { result.finite } else { 0 };
            self.progress.step += 1;
            self.progress.architecture_steps += finite as u64;
            self.progress.skipped += (tasks.len() - finite) as u64;
            self.progress.seconds = before + started.elapsed().as_secs_f64();
            since.add(&result, norm, finite);
            observer.advance(1);
            if self.progress.step.is_multiple_of(self.config.log_every) {
                let metric =
                    since.take(self.progress.step, rate, self.progress.skipped, self.config);
                if let Metric::Train { loss, accuracy, .. } = metric {
                    observer.say(&format!(
                        "loss {loss:.3} train {:.1} % held-out {:.1} %",
                        100.0 * accuracy,
                        100.0 * self.progress.validation_top1.unwrap_or(f64::NAN)
                    ));
                }
                self.metrics.write(&metric)?;
            }
            if self.progress.step.is_multiple_of(self.config.validate_every) {
                self.validate()?;
            }
            if saved.elapsed() >= Duration::from_secs(self.config.checkpoint_seconds) {
                self.save()?;
                saved = Instant::now();
            }
        }
        self.validate()?;
        self.save()?;
        observer.end();
        let finished = self.progress.step >= steps;
        Ok(Outcome {
            predictor: self.config.out.join(PREDICTOR),
            progress: self.progress,
            finished,
        })
    }

    fn network(&self, values: &[f32], device: &Device) -> Network {
        let PredictorConfig { network, input, vocabulary, .. } = &self.predictor;
        let empty = Network::new(network, input, vocabulary.len(), device);
        neural::with_values(empty, values, device)
    }

    /// The graphs, conditions and goals of a step; they depend on the seed and the step only.
    fn tasks(&self, number: u64, stage: &Stage) -> Result<Vec<Task>, TrainError> {
        let classifying = self.config.meta_batch as u64;
        let episodes = self.config.episodes.as_ref().map_or(0, |it| it.per_step as u64);
        let groups: Vec<Vec<Task>> = (0..classifying + episodes)
            .into_par_iter()
            .map(|position| {
                let stream = 1 + number * (classifying + episodes) + position;
                let mut random = self.random(stream);
                match position < classifying {
                    true => self.classification(stage, stream, &mut random),
                    false => self.episode(stage, stream, &mut random),
                }
            })
            .collect::<Result<_, TrainError>>()?;
        let mut tasks: Vec<Task> = groups.into_iter().flatten().collect();
        if let Some(checkpoints) = &self.checkpoints {
            tasks.extend(checkpoints.tasks(number)?);
        }
        Ok(tasks)
    }

    /// Images of the run's data set for a graph.
    fn classification(
        &self,
        stage: &Stage,
        stream: u64,
        random: &mut ChaCha8Rng,
    ) -> Result<Vec<Task>, TrainError> {
        let graph = self.graphs.draw(stage.size, false, random, |_| true)?;
        let batcher = Batcher::new(
            &self.data,
            &self.predictor.input.mean,
            &self.predictor.input.std,
            graph.size,
            stage.augmentation.unwrap_or(self.config.augmentation).into(),
        )?;
        let count = self.graphs.images(&graph, self.config.batch, FEWEST_IMAGES);
        let (images, labels) = batcher.batch(count, random);
        let solved = random.random::<f32>() >= self.config.predicted_heads;
        let goal = Goal::Classify { images: images.into(), labels: labels.into(), solved };
        Ok(self.group(graph, &goal, stream, random))
    }

    /// An episode for a graph whose head can be solved.
    fn episode(
        &self,
        stage: &Stage,
        stream: u64,
        random: &mut ChaCha8Rng,
    ) -> Result<Vec<Task>, TrainError> {
        let (Some(episodes), Some(config)) = (&self.episodes, &self.config.episodes) else {
            return Ok(Vec::new());
        };
        let grey = random.random::<f32>() < config.grey;
        let graph = self.graphs.draw(stage.size, grey, random, |graph| graph.trunk.is_some())?;
        let images = self.graphs.images(&graph, config.images, FEWEST_IMAGES_OF_EPISODE);
        let input = &self.predictor.input;
        let episode = episodes.draw(input, graph.size, graph.channels, images, random)?;
        Ok(self.group(graph, &Goal::Tell(episode), stream, random))
    }

    fn random(&self, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.config.seed);
        random.set_stream(stream);
        random
    }

    /// Samples of one graph, to be judged together.
    fn group(
        &self,
        graph: Arc<PreparedGraph>,
        goal: &Goal,
        stream: u64,
        random: &mut ChaCha8Rng,
    ) -> Vec<Task> {
        let denoising = &self.config.denoising;
        let latent = self.config.network.diffusion.as_ref().map_or(0, |it| it.latent);
        let mirrors = mirrors(self.config);
        let is_noisy = denoising.refine > 0.0 && random.random::<f32>() < denoising.refine;
        let time = if is_noisy { random.random_range(0.02..0.98) } else { 1.0 };
        let member = |member| {
            let latent = (0..latent).map(|_| neural::normal(random)).collect();
            Task {
                graph: graph.clone(),
                condition: Condition { time, ..Condition::full_noise(Some(1.0), latent) },
                mirrored: mirrors && member % 2 == 1,
                noise: stream * denoising.members as u64 + member,
                goal: goal.clone(),
            }
        };
        (0..denoising.members as u64).map(member).collect()
    }

    /// Notes a step's graphs and their operators.
    fn meet(&mut self, tasks: &[Task]) {
        self.drawn.extend(tasks.iter().map(|task| task.graph.fingerprint));
        let names = &self.predictor.vocabulary;
        let met = &mut self.progress.operators_met;
        for row in tasks.iter().flat_map(|task| &task.graph.features.operators) {
            if let Some(name) = names.get(*row).filter(|name| !met.contains(*name)) {
                met.insert(name.clone());
            }
        }
    }

    fn validate(&mut self) -> Result<(), TrainError> {
        let device = self.options.first();
        let network = self.network(&self.adam.average, device);
        for (index, validation) in self.validations.iter().enumerate() {
            let Ingredient { name, size, .. } = &self.graphs.ingredients()[index];
            let result = validation.run(&network, device)?;
            if index == 0 {
                self.progress.validation_top1 = Some(result.exported);
            }
            self.metrics.write(&Metric::Validation {
                step: self.progress.step,
                space: name.clone(),
                size: size.unwrap_or(self.predictor.input.size),
                exported: result.exported,
                batch_statistics: result.batch_statistics,
                worst: result.worst,
                episodes: result.episodes,
            })?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<(), TrainError> {
        state::save(&self.config.out, self.config, &self.progress, &self.adam)?;
        let training = &mut self.predictor.training;
        training.steps = self.progress.step;
        training.architecture_steps = self.progress.architecture_steps;
        training.seconds = self.progress.seconds;
        training.validation_top1 = self.progress.validation_top1;
        training.initial = self.progress.initial.clone();
        training.quality_range = self.checkpoints.as_ref().map(Checkpoints::range);
        training.operators_met = Some(self.progress.operators_met.clone());
        let folder = self.config.out.join(PREDICTOR);
        Predictor::save(&folder, &self.predictor, &self.entries, &self.adam.average)?;
        let drawn = Some(self.drawn.iter().copied().collect());
        Ok(self.seen.union(&Seen { graphs: drawn, images: None }).save(&folder)?)
    }
}

/// Whether every second sample is a mirror image.
fn mirrors(config: &TrainConfig) -> bool {
    config.network.diffusion.as_ref().is_some_and(|it| it.mirror)
}

/// The state before the first step of a run that goes on where another predictor ended.
fn start_from(
    initial: &str,
    predictor: Predictor,
    entries: &[Entry],
    seed: u64,
    vocabulary: &Vocabulary,
    registry: &Registry,
) -> Result<(Progress, AdamW), TrainError> {
    let values = predictor.starting_values(entries, seed, vocabulary, registry)?;
    let progress = Progress {
        initial: Some(Start { predictor: initial.to_owned(), hash: predictor.hash }),
        operators_met: predictor.config.training.operators_met.unwrap_or_default(),
        ..Progress::default()
    };
    Ok((progress, AdamW::new(values)))
}

/// Sums since the last line of metrics.
struct Since {
    start: Instant,
    steps: u64,
    classified: Score,
    told_apart: Score,
    together: f64,
    recovery: f64,
    norm: f64,
    architectures: usize,
}

impl Default for Since {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            steps: 0,
            classified: Score::default(),
            told_apart: Score::default(),
            together: 0.0,
            recovery: 0.0,
            norm: 0.0,
            architectures: 0,
        }
    }
}

impl Since {
    fn add(&mut self, result: &StepResult, norm: Option<f32>, architectures: usize) {
        self.steps += 1;
        self.classified += result.classified;
        self.told_apart += result.told_apart;
        self.together += result.together;
        self.recovery += result.recovery;
        self.norm += f64::from(norm.unwrap_or(0.0));
        self.architectures += architectures;
    }

    fn take(&mut self, step: u64, rate: f32, skipped: u64, config: &TrainConfig) -> Metric {
        let denoising = &config.denoising;
        let since = std::mem::take(self);
        let mean = |sum: f64| sum / since.steps.max(1) as f64;
        Metric::Train {
            step,
            loss: mean(since.classified.loss),
            accuracy: mean(since.classified.accuracy),
            together: (denoising.members > 1).then(|| mean(since.together)),
            episode_loss: config.episodes.is_some().then(|| mean(since.told_apart.loss)),
            episode_accuracy: config.episodes.is_some().then(|| mean(since.told_apart.accuracy)),
            recovery: (denoising.checkpoints > 0).then(|| mean(since.recovery)),
            gradient_norm: mean(since.norm),
            rate: rate.into(),
            architecture_steps_per_second: since.architectures as f64
                / since.start.elapsed().as_secs_f64(),
            skipped,
            resident_memory: memory::resident(),
        }
    }
}
