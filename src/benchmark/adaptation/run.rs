//! The protocol.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;

use crate::{
    FileError,
    condition::{FineTuning, Fitting, Head, Optimiser, Steering, Support, TuningRun},
    data::{Dataset, Split},
    evaluate::{calibration_images, judge},
    fill::{Network, TOOL},
    graph::Architecture,
    observer::{Observer, Silent},
    onnx::atomic,
    ops::Registry,
    predictor::{CalibrationImages, Prediction, Predictor},
    weights::he_initialisation,
};

use super::{
    super::{BenchmarkError, Subject},
    AdaptationOutcome, AdaptationResult, AdaptedData, Method,
};

/// Version of the outcome's schema.
const SCHEMA: u32 = 1;
/// Learning rates of AdamW that ordinary training tries.
const RATES: [f32; 3] = [1e-3, 3e-3, 1e-2];

/// An adaptation benchmark.
#[derive(Clone, Copy)]
pub struct Adaptation<'a> {
    /// What writes weights: a predictor.
    pub subject: &'a Subject,
    /// Classifiers of images; each gets as many outputs as a data set has classes.
    pub graphs: &'a [Network],
    /// Data sets, by path.
    pub data: &'a [PathBuf],
    /// Numbers of labelled images; 0 for all.
    pub images: &'a [usize],
    /// What is tried.
    pub methods: &'a [Method],
    /// Seeds: how many, from which on.
    pub seeds: u64,
    /// The first one.
    pub seed: u64,
    /// Gradient steps of `predict --support`.
    pub steering: Steering,
    /// Epochs of methods that train long.
    pub epochs: usize,
    /// Test images that count, the first.
    pub limit: usize,
    /// The command line, for the record.
    pub command: &'a str,
}

impl Adaptation<'_> {
    /// Tries everything. What there is after each graph and data set is written to a file, if there is one.
    ///
    /// # Errors
    ///
    /// A data set cannot be read, or a network cannot be run. Graphs that do not fit a data set are left out.
    pub fn run(
        &self,
        observer: &dyn Observer,
        out: Option<&Path>,
    ) -> Result<AdaptationOutcome, BenchmarkError> {
        let mut outcome = AdaptationOutcome {
            schema: SCHEMA,
            tool: TOOL.to_owned(),
            command: self.command.to_owned(),
            predictor: self.subject.record(&[]),
            data: Vec::new(),
            epochs: self.epochs,
            threads: rayon::current_num_threads(),
            left_out: BTreeMap::new(),
            results: Vec::new(),
        };
        observer.begin((self.graphs.len() * self.data.len()) as u64, 0);
        for path in self.data {
            let train = Dataset::open(path, Split::Train)?;
            let test = Dataset::open(path, Split::Test)?.filtered(|_, index| index < self.limit);
            let name = name_of(path);
            outcome.data.push(AdaptedData {
                name: name.clone(),
                hash: train.hash.clone(),
                classes: train.classes.len(),
                training: train.len(),
                test: test.len(),
            });
            for network in self.graphs {
                match self.pair(network, &name, &train, &test) {
                    Ok(results) => outcome.results.extend(results),
                    Err(error) => {
                        let pair = format!("{} on {name}", network.model.name());
                        outcome.left_out.insert(pair, error.to_string());
                    }
                }
                if let Some(path) = out {
                    atomic::write_json(path, &outcome).map_err(FileError::at(path))?;
                }
                observer.advance(1);
            }
        }
        observer.end();
        Ok(outcome)
    }

    /// All numbers of images, seeds and methods.
    fn pair(
        &self,
        network: &Network,
        data: &str,
        train: &Dataset,
        test: &Dataset,
    ) -> Result<Vec<AdaptationResult>, BenchmarkError> {
        let registry = &network.registry;
        let head = Head::of(&network.architecture, registry).map_err(BenchmarkError::network)?;
        let architecture = head.for_classes(&network.architecture, registry, train.classes.len());
        let architecture = architecture.map_err(BenchmarkError::network)?;
        let [channels, ..] = architecture.image_shape().map_err(BenchmarkError::network)?;
        let train = train.clone().with_channels(channels)?;
        let test = test.clone().with_channels(channels)?;
        let mut results = Vec::new();
        for &images in self.images {
            for seed in self.seed..self.seed + self.seeds {
                let support = some(&train, images, seed);
                let trial = Trial {
                    of: self,
                    predictor: self.subject.reference(),
                    architecture: &architecture,
                    registry,
                    calibration: calibration_images(&architecture, &support, self.subject.input())?,
                    support: &support,
                    test: &test,
                    seed,
                };
                let mut seconds = None;
                for &method in self.methods {
                    let made = trial.run(method, seconds)?;
                    if method == Method::PredictedSteps {
                        seconds = Some(made.seconds);
                    }
                    results.push(AdaptationResult {
                        graph: network.model.name().to_owned(),
                        data: data.to_owned(),
                        images: support.len(),
                        seed,
                        ..made
                    });
                }
            }
        }
        Ok(results)
    }
}

/// One graph, some labelled images, one seed.
struct Trial<'a> {
    of: &'a Adaptation<'a>,
    predictor: &'a Predictor,
    architecture: &'a Architecture,
    registry: &'a Arc<Registry>,
    calibration: CalibrationImages,
    support: &'a Dataset,
    test: &'a Dataset,
    seed: u64,
}

impl Trial<'_> {
    /// `seconds` are those of [`Method::PredictedSteps`], where it was tried.
    fn run(
        &self,
        method: Method,
        seconds: Option<f64>,
    ) -> Result<AdaptationResult, BenchmarkError> {
        let epochs = self.of.epochs;
        let ordinary = FineTuning { epochs, ..FineTuning::ordinary(Optimiser::AdamW) };
        match method {
            Method::RandomHead | Method::PredictedHead => self.fitted(method, 0),
            Method::RandomSteps | Method::PredictedSteps => {
                self.fitted(method, self.of.steering.steps)
            }
            Method::Trained => {
                let seconds = match seconds {
                    Some(seconds) => seconds,
                    None => self.run(Method::PredictedSteps, None)?.seconds,
                };
                let tuning = FineTuning {
                    // Time ends it.
                    epochs: usize::from(u16::MAX),
                    seconds: Some(seconds),
                    ..ordinary
                };
                self.best(method, tuning)
            }
            Method::TrainedLong => self.best(method, ordinary),
            Method::FineTuned => self.tuned(method, FineTuning { epochs, ..FineTuning::default() }),
        }
    }

    fn start(&self, method: Method) -> Result<Prediction, BenchmarkError> {
        let Self { architecture, registry, .. } = self;
        Ok(match method {
            Method::PredictedHead | Method::PredictedSteps | Method::FineTuned => {
                self.predictor.predict(architecture, registry, |id| architecture.holds_value(id))?
            }
            _ => {
                let weights = he_initialisation(architecture, self.seed);
                Prediction::from_elsewhere(architecture, weights)
            }
        })
    }

    fn fitting(&self) -> Fitting<'_> {
        let Self { architecture, registry, calibration: images, .. } = self;
        Fitting { architecture, registry, input: self.of.subject.input(), images }
    }

    /// Returns how many gradients of images it took.
    fn fit(&self, prediction: &mut Prediction, steps: usize) -> Result<u64, BenchmarkError> {
        let steering = Steering { steps, ..self.of.steering };
        let support = Support::new(self.support, steering);
        let fitted =
            support.fit(&self.fitting(), std::slice::from_mut(prediction), [self.seed, 0])?;
        Ok(fitted.iter().map(|it| it.image_gradients as u64).sum())
    }

    fn fitted(&self, method: Method, steps: usize) -> Result<AdaptationResult, BenchmarkError> {
        let started = Instant::now();
        let mut prediction = self.start(method)?;
        let image_gradients = self.fit(&mut prediction, steps)?;
        let seconds = started.elapsed().as_secs_f64();
        let top1 = self.judge(&prediction)?;
        Ok(result(method, top1, seconds, image_gradients))
    }

    /// The best of several learning rates.
    fn best(&self, method: Method, tuning: FineTuning) -> Result<AdaptationResult, BenchmarkError> {
        let tried = RATES.map(|rate| self.tuned(method, FineTuning { rate, ..tuning }));
        let mut best: Option<AdaptationResult> = None;
        for result in tried {
            let result = result?;
            if best.as_ref().is_none_or(|best| result.top1 > best.top1) {
                best = Some(result);
            }
        }
        best.ok_or_else(|| BenchmarkError::Mismatch("no learning rate is tried".to_owned()))
    }

    /// By ordinary training. Where time ends it nothing is tested on the way.
    fn tuned(
        &self,
        method: Method,
        tuning: FineTuning,
    ) -> Result<AdaptationResult, BenchmarkError> {
        let started = Instant::now();
        let mut prediction = self.start(method)?;
        if method == Method::FineTuned {
            self.fit(&mut prediction, 0)?;
        }
        prediction.train_on();
        let before = started.elapsed().as_secs_f64();
        let silent: Arc<dyn Observer> = Arc::new(Silent);
        let run = TuningRun { tuning, seed: self.seed, checkpoint: None, observer: &silent };
        let watched = tuning.seconds.is_none().then_some(self.test);
        let started = Instant::now();
        let tuned = run.finetune(&self.fitting(), &mut prediction, self.support, watched)?;
        let seconds = before + started.elapsed().as_secs_f64();
        let epochs: Vec<f64> = tuned.epochs.iter().filter_map(|epoch| epoch.top1).collect();
        let top1 = match epochs.last() {
            Some(&last) => last,
            None => self.judge(&prediction)?,
        };
        let images = ((tuned.epochs.len() - 1) * self.support.len()) as u64;
        Ok(AdaptationResult {
            rate: Some(tuning.rate),
            epochs,
            ..result(method, top1, seconds, images)
        })
    }

    fn judge(&self, prediction: &Prediction) -> Result<f64, BenchmarkError> {
        let Self { architecture, registry, test, .. } = self;
        let input = self.of.subject.input();
        Ok(judge(architecture, registry, &prediction.weights, test, input, test.len())?.top1)
    }
}

fn result(method: Method, top1: f64, seconds: f64, image_gradients: u64) -> AdaptationResult {
    AdaptationResult {
        graph: String::new(),
        data: String::new(),
        images: 0,
        seed: 0,
        method,
        top1,
        seconds,
        image_gradients,
        rate: None,
        epochs: Vec::new(),
    }
}

/// So many images, drawn by a seed; all for 0.
fn some(data: &Dataset, images: usize, seed: u64) -> Dataset {
    if images == 0 || images >= data.len() {
        return data.clone();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut picked = vec![false; data.len()];
    index::sample(&mut random, data.len(), images).iter().for_each(|at| picked[at] = true);
    data.clone().filtered(|_, index| picked[index])
}

/// A data set's file name without endings.
fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
    name.trim_end_matches(".xz").trim_end_matches(".tar").to_owned()
}
