//! Getting scores ready: which, what they probe graphs with, and where they are kept.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use crate::{
    FileError,
    data::{Augmentation, Batcher, DataError, Dataset, Split, user_cache},
    predictor::{CalibrationImages, Predictor, PredictorError, bundled},
};

use super::{Aggregate, CRITERIA, Cache, Judge, Probe, counts, learned::Ranker, scores};

/// Why scores cannot be got ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No score of that name.
    #[error("no score is called '{name}'; there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A score by name that needs labelled images.
    #[error("'{0}' needs --data")]
    Unlabelled(String),
    /// Too little to probe with.
    #[error("--size and --batch must be at least 4")]
    Small,
    /// The predictor.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
    /// The labelled images.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Scores by name, and how their ranks are joined.
#[derive(Clone, Debug)]
pub struct ScoreSelection {
    names: Vec<String>,
    by: Aggregate,
    /// Whether scores that the probe does not allow are left out.
    all: bool,
    /// See [`Judge::operator_paths`].
    operator_paths: bool,
}

impl ScoreSelection {
    /// `auto`, `criteria`, `all`, or names of scores. `auto` and `criteria` have an order of their own; other
    /// scores named beside them do not count.
    pub fn parse(given: &[String]) -> Result<Self, SetupError> {
        Self::with_ranker(given, Ranker::bundled().clone())
    }

    /// The same with another ranking for `auto`.
    pub fn with_ranker(given: &[String], ranker: Ranker) -> Result<Self, SetupError> {
        let known: Vec<&str> = scores().iter().map(|score| score.name()).collect();
        let given = || given.iter().map(|name| name.trim());
        let mut names: Vec<String> = Vec::new();
        for name in given() {
            match name {
                "auto" => names.extend(ranker.scores().map(str::to_owned)),
                "criteria" => names.extend(CRITERIA.map(|it| it.score.to_owned())),
                "all" => names.extend(known.iter().map(|name| (*name).to_owned())),
                name if known.contains(&name) => names.push(name.to_owned()),
                name => {
                    let (name, known) = (name.to_owned(), known.join(", "));
                    return Err(SetupError::Unknown { name, known });
                }
            }
        }
        names.sort();
        names.dedup();
        let asks = |wanted: &str| given().any(|name| name == wanted);
        let by = if asks("auto") {
            Aggregate::Learned(ranker)
        } else if asks("criteria") {
            Aggregate::InOrder(CRITERIA.to_vec())
        } else {
            Aggregate::LogRanks(names.iter().map(|name| (name.clone(), 1.0)).collect())
        };
        Ok(Self { names, by, all: given().any(|name| name == "all"), operator_paths: false })
    }

    /// The same scores, and all that is counted beside them: what trained accuracies refine a ranking by.
    pub fn counting(mut self) -> Self {
        self.operator_paths = true;
        self.names.extend(counts().map(str::to_owned));
        self.names.sort();
        self.names.dedup();
        self
    }

    /// Names of the scores, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How ranks are joined.
    pub fn aggregate(&self) -> &Aggregate {
        &self.by
    }
}

/// What graphs are probed with.
#[derive(Clone, Copy, Debug)]
pub struct ProbeOptions<'a> {
    /// A predictor's name or folder.
    pub predictor: &'a str,
    /// Labelled images, by path; without them the images that the predictor learned.
    pub data: Option<&'a Path>,
    /// Height and width of the images.
    pub size: usize,
    /// Images.
    pub batch: usize,
    /// Of random weights, images and labels.
    pub seed: u64,
}

impl ProbeOptions<'_> {
    /// Loads predictor and images; also a text that tells this setting from others.
    fn load(&self) -> Result<(Probe, String), SetupError> {
        if self.size < 4 || self.batch < 4 {
            return Err(SetupError::Small);
        }
        let predictor = bundled(self.predictor, &Device::flex())?;
        let ProbeImages { images, sharp_images, labels, data_hash } = self.images(&predictor)?;
        let setting = format!(
            "{} {} {data_hash} {:?} {:?} {}",
            env!("CARGO_PKG_VERSION"),
            predictor.hash,
            images.shape,
            sharp_images.shape,
            self.seed
        );
        let (predictor, seed) = (Some(predictor), self.seed);
        Ok((Probe { images, labels, predictor, sharp_images, seed }, setting))
    }

    fn images(&self, predictor: &Predictor) -> Result<ProbeImages, SetupError> {
        let input = &predictor.config.input;
        let sizes = [self.size, input.size];
        let Some(path) = self.data else {
            let learned = predictor.calibration_images();
            let [images, sharp_images] = sizes.map(|size| learned.resized(self.batch, [size; 2]));
            let data_hash = String::new();
            return Ok(ProbeImages { images, sharp_images, labels: None, data_hash });
        };
        let data = Dataset::open(path, Split::Val)?.with_channels(input.channels())?;
        let (mean, std) = (&input.mean, &input.std);
        let count = self.batch.min(data.len());
        let at = |size: usize| -> Result<CalibrationImages, SetupError> {
            let batcher = Batcher::new(&data, mean, std, size, Augmentation::None)?;
            let shape = [count, input.channels(), size, size];
            Ok(CalibrationImages { shape, data: batcher.range(0..count).0 })
        };
        let [images, sharp_images] = sizes.map(at);
        let labels = Some(data.labels[..count].to_vec());
        let data_hash = data.hash.clone();
        Ok(ProbeImages { images: images?, sharp_images: sharp_images?, labels, data_hash })
    }
}

/// Images at the probing size and at the predictor's.
struct ProbeImages {
    images: CalibrationImages,
    sharp_images: CalibrationImages,
    labels: Option<Vec<u16>>,
    /// Of the data set; empty for images that the predictor learned.
    data_hash: String,
}

impl Judge {
    /// Gets scores ready; without a cache. A score by name that the probe does not allow is an error.
    /// Returns a text, too, that tells the setting from others, see [`Cache::of_setting`].
    pub fn new(
        selection: &ScoreSelection,
        options: &ProbeOptions,
    ) -> Result<(Self, String), SetupError> {
        let (probe, setting) = options.load()?;
        let mut chosen = scores();
        chosen.retain(|score| selection.names.iter().any(|name| name == score.name()));
        let unfit = chosen.iter().find(|score| !Self::applies(&probe, score.as_ref()));
        if let Some(score) = unfit.filter(|_| !selection.all) {
            return Err(SetupError::Unlabelled(score.name().to_owned()));
        }
        chosen.retain(|score| Self::applies(&probe, score.as_ref()));
        Ok((
            Self { scores: chosen, probe, cache: None, operator_paths: selection.operator_paths },
            setting,
        ))
    }
}

impl Cache {
    /// The cache of a setting in a folder, so that no score of one is read for another. A run that shares
    /// the work with others has a `part` of its own, such as `2-of-8`, which it alone writes; all parts are
    /// read.
    pub fn of_setting(folder: &Path, setting: &str, part: Option<&str>) -> Result<Self, FileError> {
        let digest: [u8; 32] = Sha256::digest(setting).into();
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let part = part.map(|part| format!(".{part}")).unwrap_or_default();
        let own = folder.join(format!("{name}{part}.jsonl"));
        let mut cache = Self::open(&own)?;
        for entry in fs::read_dir(folder).map_err(FileError::at(folder))? {
            let path = entry.map_err(FileError::at(folder))?.path();
            let file = path.file_name().map(|file| file.to_string_lossy());
            if path != own
                && file.is_some_and(|file| file.starts_with(&name) && file.ends_with(".jsonl"))
            {
                cache.read(&path)?;
            }
        }
        Ok(cache)
    }

    /// The folder where the user's caches lie; `None` where the system names none.
    pub fn usual_folder() -> Option<PathBuf> {
        Some(user_cache()?.join("rank"))
    }
}
