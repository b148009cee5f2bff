//! What graphs are scored by: the flags that `rank` and `bench rank` share.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::{Common, Failure, output::failed},
    predictor::BUNDLED,
    rank::{Cache, Judge, ProbeOptions, ScoreSelection, learned::Ranker},
};

/// Scores, probe and cache.
#[derive(Debug, Args)]
pub struct Judging {
    /// `auto`, `criteria`, `all`, or names of scores, whose ranks are joined. `auto` weighs what was learned
    /// from trained graphs of generated spaces. `criteria` goes by learned-mixing, then by clear-path,
    /// spatial-layers and nwot, until few pairs are tied. Other scores named beside them are shown and do not
    /// count
    #[arg(long, value_name = "SCORE,SCORE", value_delimiter = ',', default_value = "auto")]
    by: Vec<String>,
    /// What `auto` goes by, as `rank fit` writes it; by default what comes with this program
    #[arg(long, value_name = "FILE.toml")]
    ranker: Option<PathBuf>,
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
        super::cores(self.jobs)
    }

    /// The scores that are asked for.
    pub fn selection(&self) -> Result<ScoreSelection, Failure> {
        match &self.ranker {
            None => Ok(ScoreSelection::parse(&self.by)?),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| failed(path, &error))?;
                let ranker = Ranker::parse(&text).map_err(|error| failed(path, &error))?;
                Ok(ScoreSelection::with_ranker(&self.by, ranker)?)
            }
        }
    }

    /// Gets everything ready. A run that shares the work with others writes a `part` of the cache.
    pub fn judge(
        &self,
        selection: &ScoreSelection,
        common: &Common,
        part: Option<&str>,
    ) -> Result<Judge, Failure> {
        let options = ProbeOptions {
            predictor: &self.predictor,
            data: self.data.as_deref(),
            size: self.size,
            batch: self.batch,
            seed: common.seed,
        };
        let (judge, setting) = Judge::new(selection, &options)?;
        Ok(Judge { cache: self.cache(&setting, part), ..judge })
    }

    /// The cache of a setting. It only ever saves time: without a folder for it, it is done without.
    fn cache(&self, setting: &str, part: Option<&str>) -> Option<Cache> {
        if self.no_cache {
            return None;
        }
        let folder = self.cache.clone().or_else(Cache::usual_folder)?;
        Cache::of_setting(&folder, setting, part)
            .inspect_err(|error| tracing::warn!("no cache: {error}"))
            .ok()
    }
}
