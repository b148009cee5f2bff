//! A graph under judgement: what scores share, computed once.

use std::{
    cell::{OnceCell, RefCell},
    sync::Arc,
};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::{
    execute::{Gradients, Images, NormStatistics, Runner, Scratch},
    graph::{Architecture, Weights},
    kernels::cross_entropy,
    neural::normal,
    ops::{Registry, resolve_with_input},
    predictor::{CalibrationImages, Predictor},
    weights::he_initialisation,
};

use super::{Live, ScoreError, features::Features};

/// What graphs are probed with.
#[derive(Debug)]
pub struct Probe {
    /// Normalised images at the probing size, all of which scores look at.
    pub images: CalibrationImages,
    /// Their classes, if known; otherwise scores of a loss draw some.
    pub labels: Option<Vec<u16>>,
    /// Writes weights to be judged, if there is one.
    pub predictor: Option<Predictor>,
    /// The same images at the size that the predictor was trained at, which its weights are judged
    /// with; at another size they are worth less.
    pub sharp_images: CalibrationImages,
    /// Of random weights, images and labels.
    pub seed: u64,
}

/// A graph and what its scores have in common. Random weights are those of [`he_initialisation`].
pub struct Subject<'a> {
    /// The live part, at the size of the file.
    pub live: Live,
    /// The graph at the size of the probe; at its own where it does not run at that.
    pub architecture: Architecture,
    /// Its operators.
    pub registry: Arc<Registry>,
    /// What it is probed with.
    pub probe: &'a Probe,
    pub(super) scratch: RefCell<Scratch>,
    /// At the size of the file.
    whole: &'a Architecture,
    given: &'a CalibrationImages,
    sharp: OnceCell<Box<Subject<'a>>>,
    weights: OnceCell<Weights>,
    runner: OnceCell<Runner>,
    images: OnceCell<CalibrationImages>,
    gradients: OnceCell<Weights>,
    predicted: OnceCell<Weights>,
    features: OnceCell<Features>,
}

/// A stream of draws with a name of its own.
pub(super) fn random(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new_with_prefix(b"weightsmith rank\0");
    hash.update(seed.to_le_bytes());
    hash.update(name);
    ChaCha8Rng::from_seed(hash.finalize().into())
}

impl<'a> Subject<'a> {
    /// Takes a resolved architecture.
    pub fn new(architecture: &'a Architecture, registry: &Arc<Registry>, probe: &'a Probe) -> Self {
        let live = Live::of(architecture, registry);
        Self::at(architecture, registry, probe, &probe.images, live)
    }

    /// Reads images of this size.
    fn at(
        whole: &'a Architecture,
        registry: &Arc<Registry>,
        probe: &'a Probe,
        given: &'a CalibrationImages,
        live: Live,
    ) -> Self {
        let [_, _, height, width] = given.shape;
        let mut sized = whole.clone();
        let own = whole.inputs.first().and_then(|input| input.shape.as_deref());
        if let Some([_, channels, _, _]) = own {
            let resolved = resolve_with_input(&mut sized, &[1, *channels, height, width], registry);
            if !resolved.is_ok_and(|resolution| resolution.unsupported.is_empty()) {
                sized = whole.clone();
            }
        }
        Self {
            live,
            architecture: sized,
            registry: Arc::clone(registry),
            probe,
            scratch: RefCell::default(),
            whole,
            given,
            sharp: OnceCell::new(),
            weights: OnceCell::new(),
            runner: OnceCell::new(),
            images: OnceCell::new(),
            gradients: OnceCell::new(),
            predicted: OnceCell::new(),
            features: OnceCell::new(),
        }
    }

    /// The same graph at the size of [`Probe::sharp_images`].
    pub(super) fn sharp(&self) -> &Self {
        self.sharp.get_or_init(|| {
            let (live, given) = (self.live.clone(), &self.probe.sharp_images);
            Box::new(Self::at(self.whole, &self.registry, self.probe, given, live))
        })
    }

    /// He initialisation, drawn when a score first asks for it.
    pub fn weights(&self) -> &Weights {
        self.weights.get_or_init(|| he_initialisation(self.whole, self.probe.seed))
    }

    /// The whole network.
    pub(super) fn runner(&self) -> &Runner {
        self.runner.get_or_init(|| Runner::new(&self.architecture, &self.registry))
    }

    /// Channels, height and width of what the graph reads.
    pub(super) fn input(&self) -> Result<[usize; 3], ScoreError> {
        let [input] = self.architecture.inputs.as_slice() else {
            return Err(ScoreError::NotImages);
        };
        match input.shape.as_deref() {
            Some(&[_, channels, height, width]) => Ok([channels, height, width]),
            _ => Err(ScoreError::NotImages),
        }
    }

    /// Classes of the logits.
    pub(super) fn classes(&self) -> Result<usize, ScoreError> {
        let (_, output) = self.architecture.outputs.first().ok_or(ScoreError::NotImages)?;
        let shape = self.architecture.fact(*output).and_then(|fact| fact.shape);
        match shape.as_deref() {
            Some(&[_, classes]) if classes > 0 => Ok(classes),
            _ => Err(ScoreError::NotImages),
        }
    }

    /// The probe's images as the graph reads them.
    pub fn images(&self) -> Result<Images<'_>, ScoreError> {
        let reads = self.input()?;
        let given = self.given;
        if given.shape[1..] == reads {
            return Ok(given.view());
        }
        if self.images.get().is_none() {
            let [channels, height, width] = reads;
            let count = given.shape[0];
            let resized = given.resized(count, [height, width]);
            let fitted = resized.fitted(&self.architecture, count).map_err(ScoreError::Unfit)?;
            if fitted.images.shape != [count, channels, height, width] {
                let problem = format!("no images of {channels} × {height} × {width} can be made");
                return Err(ScoreError::Unfit(problem));
            }
            let _ = self.images.set(fitted.images);
        }
        self.images.get().map(CalibrationImages::view).ok_or(ScoreError::NotImages)
    }

    /// As many Gaussian images as the probe has.
    pub(super) fn noise(&self, name: &str) -> Result<Vec<f32>, ScoreError> {
        let length = self.probe.images.shape[0] * self.input()?.iter().product::<usize>();
        let mut draws = random(self.probe.seed, name);
        Ok((0..length).map(|_| normal(&mut draws)).collect())
    }

    /// Values as images of the graph.
    pub(super) fn view<'v>(&self, data: &'v [f32]) -> Result<Images<'v>, ScoreError> {
        let [channels, height, width] = self.input()?;
        let batch = data.len() / (channels * height * width).max(1);
        Ok(Images { batch, channels, height, width, data })
    }

    /// Classes of the probe's images, drawn where they are not known.
    pub fn labels(&self) -> Result<Vec<u16>, ScoreError> {
        let classes = self.classes()?;
        match &self.probe.labels {
            Some(labels) if labels.iter().all(|label| usize::from(*label) < classes) => {
                Ok(labels.clone())
            }
            Some(_) => Err(ScoreError::Unfit(format!(
                "the graph tells {classes} classes apart, the data has more"
            ))),
            None => {
                let mut draws = random(self.probe.seed, "labels");
                let last = classes.min(usize::from(u16::MAX)) as u16;
                Ok((0..self.probe.images.shape[0]).map(|_| draws.random_range(0..last)).collect())
            }
        }
    }

    /// What a network returns, batch normalisations on the statistics of the batch.
    pub(super) fn forward(
        &self,
        runner: &Runner,
        weights: &Weights,
        images: Images,
    ) -> Result<Vec<f32>, ScoreError> {
        let all = NormStatistics::Measured { rows: 0..images.batch };
        let scratch = &mut self.scratch.borrow_mut();
        Ok(runner.logits(weights, images, &all, scratch)?)
    }

    /// What every non-linearity returns at random weights.
    pub(super) fn activations(
        &self,
        images: Images,
        visit: &mut dyn FnMut(&[f32]),
    ) -> Result<(), ScoreError> {
        let all = NormStatistics::Measured { rows: 0..images.batch };
        let scratch = &mut self.scratch.borrow_mut();
        Ok(self.runner().activations(self.weights(), images, &all, visit, scratch)?)
    }

    /// Value and gradients of a function of the logits, batch normalisations on the statistics of
    /// the batch.
    pub(super) fn differentiate(
        &self,
        weights: &Weights,
        images: Images,
        loss: &mut dyn FnMut(&[f32], &mut [f32]) -> f32,
        image_gradient: bool,
    ) -> Result<(f32, Gradients), ScoreError> {
        let all = NormStatistics::Measured { rows: 0..images.batch };
        let scratch = &mut self.scratch.borrow_mut();
        Ok(self.runner().gradients(weights, images, &all, loss, image_gradient, scratch)?)
    }

    /// The cross-entropy and its gradient.
    pub(super) fn cross_entropy(
        &self,
        weights: &Weights,
        images: Images,
        labels: &[u16],
    ) -> Result<(f32, Weights), ScoreError> {
        let classes = self.classes()?;
        let loss = &mut |logits: &[f32], seeds: &mut [f32]| {
            cross_entropy(logits, labels, 0.0, seeds, classes).loss
        };
        let (value, gradients) = self.differentiate(weights, images, loss, false)?;
        Ok((value, gradients.parameters))
    }

    /// Gradient of the cross-entropy of the probe at random weights.
    pub(super) fn backward(&self) -> Result<&Weights, ScoreError> {
        if self.gradients.get().is_none() {
            let (_, gradients) =
                self.cross_entropy(self.weights(), self.images()?, &self.labels()?)?;
            let _ = self.gradients.set(gradients);
        }
        self.gradients.get().ok_or(ScoreError::NotFinite)
    }

    /// What AZ-NAS looks at, computed once.
    pub(super) fn features(
        &self,
        compute: fn(&Self) -> Result<Features, ScoreError>,
    ) -> Result<&Features, ScoreError> {
        if self.features.get().is_none() {
            let _ = self.features.set(compute(self)?);
        }
        self.features.get().ok_or(ScoreError::NotFinite)
    }

    /// What the predictor writes.
    pub(super) fn predicted(&self) -> Result<&Weights, ScoreError> {
        if self.predicted.get().is_none() {
            let predictor = self.probe.predictor.as_ref().ok_or(ScoreError::NeedsPredictor)?;
            let prediction = predictor.predict(&self.architecture, &self.registry, |_| false)?;
            let weights = prediction.weights;
            let parameters = &self.architecture.parameters;
            let missing = parameters.iter().zip(weights.by_parameter()).any(|(it, values)| {
                values.is_none() && !it.slots.is_empty() && it.len() != Some(0)
            });
            if missing {
                return Err(ScoreError::Unfit("not every weight is predicted".to_owned()));
            }
            let _ = self.predicted.set(weights);
        }
        self.predicted.get().ok_or(ScoreError::NotFinite)
    }
}
