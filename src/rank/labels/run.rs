//! Training graphs for their labels.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use crate::{
    FileError,
    condition::{FineTuning, Fitting, Optimiser, TuningRun},
    data::{Augmentation, Dataset},
    evaluate::calibration_images,
    observer::{Observer, Silent},
    predictor::{InputConfig, Prediction},
    spaces::Space,
    weights::he_initialisation,
};

use super::{super::spread, Label, LabelError, LabelFile, LabelSetting, spaces::network};

/// Learning rate of AdamW: short training asks for a high one.
const RATE: f32 = 4e-3;

/// Graphs of some spaces, and how they are trained.
#[derive(Clone, Debug)]
pub struct Labelling<'a> {
    /// Where graphs come from.
    pub spaces: &'a [Space],
    /// Graphs of each space: those of its first seeds.
    pub graphs: u64,
    /// How they are trained.
    pub setting: LabelSetting,
    train: Dataset,
    validation: Dataset,
    input: InputConfig,
}

impl<'a> Labelling<'a> {
    /// Takes training images of a data set; the last of them are for validation.
    pub fn new(
        spaces: &'a [Space],
        graphs: u64,
        data: &Dataset,
        setting: LabelSetting,
    ) -> Result<Self, LabelError> {
        let there = data.len();
        let asked = setting.images + setting.validation;
        if asked > there || setting.images == 0 || setting.validation == 0 {
            return Err(LabelError::Images { asked, there });
        }
        let train = data.clone().filtered(|_, index| index < setting.images);
        let validation = data.clone().filtered(|_, index| index >= there - setting.validation);
        let normalisation = train.normalisation();
        let size = data.height.min(data.width);
        let input = InputConfig { mean: normalisation.mean, std: normalisation.std, size };
        Ok(Self { spaces, graphs, setting, train, validation, input })
    }

    /// Trains every graph that the file lacks, `jobs` at a time, and adds its label as soon as it is there.
    /// The first graphs of all spaces come first, then the second ones, so that all grow alike.
    pub fn run(
        &self,
        file: &LabelFile,
        jobs: usize,
        observer: &dyn Observer,
    ) -> Result<BTreeMap<String, String>, FileError> {
        let all = (0..self.graphs).flat_map(|seed| self.spaces.iter().map(move |it| (it, seed)));
        let open: Vec<_> = all.filter(|(space, seed)| !file.holds(&space.name, *seed)).collect();
        let total = self.graphs * self.spaces.len() as u64;
        observer.begin(total, total - open.len() as u64);
        let label = |(space, seed)| -> Result<Option<(String, String)>, FileError> {
            let label = self.label(space, seed);
            file.put(&label)?;
            observer.advance(1);
            Ok(label.problem.map(|problem| (format!("{}-{seed}", space.name), problem)))
        };
        let labelled = spread(open.into_iter(), jobs, label);
        observer.end();
        labelled.into_iter().filter_map(Result::transpose).collect()
    }

    /// Trains one graph.
    pub fn label(&self, space: &Space, seed: u64) -> Label {
        let started = Instant::now();
        let curve = self.curve(space, seed);
        let (loss, top1, problem) = match curve {
            Ok((loss, top1)) => (loss, top1, None),
            Err(problem) => (Vec::new(), Vec::new(), Some(problem)),
        };
        let seconds = (1e3 * started.elapsed().as_secs_f64()).round() / 1e3;
        Label { space: space.name.clone(), seed, loss, top1, seconds, problem }
    }

    fn curve(&self, space: &Space, seed: u64) -> Result<(Vec<f32>, Vec<f64>), String> {
        let network = network(space, seed).map_err(|error| error.to_string())?;
        let architecture = &network.architecture;
        let images = calibration_images(architecture, &self.train, &self.input)
            .map_err(|error| error.to_string())?;
        let weights = he_initialisation(architecture, self.setting.seed);
        let mut prediction = Prediction::from_elsewhere(architecture, weights);
        prediction.train_on();
        let tuning = FineTuning {
            epochs: self.setting.epochs,
            rate: RATE,
            augmentation: Augmentation::Standard,
            ..FineTuning::ordinary(Optimiser::AdamW)
        };
        let observer: Arc<dyn Observer> = Arc::new(Silent);
        let run =
            TuningRun { tuning, seed: self.setting.seed, checkpoint: None, observer: &observer };
        let fitting = Fitting {
            architecture,
            registry: &network.registry,
            input: &self.input,
            images: &images,
        };
        let tuned = run
            .finetune(&fitting, &mut prediction, &self.train, Some(&self.validation))
            .map_err(|error| error.to_string())?;
        let curve = &tuned.epochs[1..];
        let loss = curve.iter().filter_map(|epoch| epoch.loss).collect();
        Ok((loss, curve.iter().filter_map(|epoch| epoch.top1).collect()))
    }
}
