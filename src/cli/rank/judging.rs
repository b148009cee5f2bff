//! What graphs are judged by: the flags that `rank` and `bench rank` share.

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use sha2::{Digest, Sha256};

use crate::{
    cli::{Common, Failure},
    data::{Augmentation, Batcher, Dataset, Split},
    predictor::{BUNDLED, CalibrationImages, bundled},
    rank::{AUTO, Aggregate, Cache, Judge, Probe, scores},
};

/// Scores, probe and cache.
#[derive(Debug, Args)]
pub struct Judging {
    /// `auto`, `all`, or names of scores, whose ranks are joined. `auto` goes by learned-mixing, then by
    /// clear-path, spatial-layers and nwot, until few pairs are tied; other scores named beside it are
    /// shown and do not count
    #[arg(long, value_name = "SCORE,SCORE", value_delimiter = ',', default_value = "auto")]
    by: Vec<String>,
    /// Labelled images to probe with, by path; by default the images that the predictor learned
    #[arg(long)]
    data: Option<PathBuf>,
    /// A bundled predictor, or a folder with config.json and model.safetensors
    #[arg(long, default_value = BUNDLED[0])]
    pub predictor: String,
    /// Height and width of the images that graphs are probed with
    #[arg(long, default_value_t = 16)]
    size: usize,
    /// Images in the batch they are probed with
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Graphs at a time; by default one for each core
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Folder of the cache that interrupted runs continue from; by default the user's
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Neither read nor write a cache
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
}

impl Judging {
    /// Threads.
    pub fn jobs(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, Into::into);
        self.jobs.unwrap_or_else(cores).max(1)
    }

    /// How the scores are joined.
    pub fn aggregate(&self) -> Result<Aggregate, Failure> {
        Ok(match self.by.iter().any(|name| name.trim() == "auto") {
            true => Aggregate::InOrder(AUTO.to_vec()),
            false => {
                let names = self.names()?.into_iter();
                Aggregate::LogRanks(names.map(|name| (name, 1.0)).collect())
            }
        })
    }

    /// The scores that are asked for.
    fn names(&self) -> Result<Vec<String>, Failure> {
        let known: Vec<&str> = scores().iter().map(|score| score.name()).collect();
        let mut names: Vec<String> = Vec::new();
        for name in self.by.iter().map(|name| name.trim()) {
            match name {
                "auto" => names.extend(AUTO.map(|it| it.score.to_owned())),
                "all" => names.extend(known.iter().map(|name| (*name).to_owned())),
                name if known.contains(&name) => names.push(name.to_owned()),
                name => {
                    let known = known.join(", ");
                    return Err(format!("no score is called '{name}'; there are {known}").into());
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Gets everything ready.
    pub fn judge(&self, common: &Common) -> Result<Judge, Failure> {
        if self.size < 4 || self.batch < 4 {
            return Err("--size and --batch must be at least 4".into());
        }
        let predictor = bundled(&self.predictor, &Device::flex())?;
        let input = &predictor.config.input;
        let sizes = [self.size, input.size];
        let ([images, sharp_images], labels, data_hash) = match &self.data {
            None => {
                let images = predictor.calibration_images();
                (sizes.map(|size| images.resized(self.batch, [size; 2])), None, String::new())
            }
            Some(path) => {
                let data = Dataset::open(path, Split::Val)?.with_channels(input.channels())?;
                let (mean, std) = (&input.mean, &input.std);
                let mut labels = Vec::new();
                let mut at = |size: usize| -> Result<CalibrationImages, Failure> {
                    let batcher = Batcher::new(&data, mean, std, size, Augmentation::None)?;
                    let (values, drawn) = batcher.range(0..self.batch.min(data.len()));
                    let shape = [drawn.len(), input.channels(), size, size];
                    labels = drawn;
                    Ok(CalibrationImages { shape, data: values })
                };
                let images = [at(self.size)?, at(input.size)?];
                (images, Some(labels), data.hash.clone())
            }
        };
        let wanted = self.names()?;
        let mut chosen = scores();
        chosen.retain(|score| wanted.iter().any(|name| name == score.name()));
        let setting = format!(
            "{} {} {data_hash} {:?} {:?} {}",
            env!("CARGO_PKG_VERSION"),
            predictor.hash,
            images.shape,
            sharp_images.shape,
            common.seed
        );
        let (predictor, seed) = (Some(predictor), common.seed);
        let probe = Probe { images, labels, predictor, sharp_images, seed };
        let unfit = chosen.iter().find(|score| !Judge::applies(&probe, score.as_ref()));
        if let Some(score) = unfit.filter(|_| !self.by.iter().any(|name| name == "all")) {
            return Err(format!("'{}' needs --data", score.name()).into());
        }
        chosen.retain(|score| Judge::applies(&probe, score.as_ref()));
        Ok(Judge { scores: chosen, probe, cache: self.cache(&setting) })
    }

    /// The cache of a setting. It only ever saves time: without a folder for it, it is done without.
    fn cache(&self, setting: &str) -> Option<Cache> {
        if self.no_cache {
            return None;
        }
        let folder = match &self.cache {
            Some(folder) => folder.clone(),
            None => crate::data::user_cache()?.join("rank"),
        };
        let digest: [u8; 32] = Sha256::digest(setting).into();
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        match Cache::open(&folder.join(format!("{name}.jsonl"))) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!("no cache: {error}");
                None
            }
        }
    }
}
