//! Scores for many graphs: on several threads, one graph at a time each, from a cache where it can.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use crate::{FileError, graph::Architecture, ops::Registry};

use super::{Cache, Live, OperatorPaths, Probe, Record, Score, ScoreError, Subject, fingerprint};

/// Some scores, and what they probe graphs with.
pub struct Judge {
    /// Larger is better in each of them.
    pub scores: Vec<Box<dyn Score>>,
    /// What all graphs are probed with.
    pub probe: Probe,
    /// What is known already.
    pub cache: Option<Cache>,
    /// Whether records say what graphs are made of, which trained accuracies refine a ranking by.
    pub operator_paths: bool,
}

impl Judge {
    /// Scores that this probe allows.
    pub fn applies(probe: &Probe, score: &dyn Score) -> bool {
        (probe.labels.is_some() || !score.needs_data())
            && (probe.predictor.is_some() || !score.needs_predictor())
    }

    /// The scores of a resolved architecture: the same whatever else is judged, and when.
    pub fn judge(
        &self,
        architecture: &Architecture,
        registry: &Arc<Registry>,
    ) -> Result<Record, FileError> {
        self.judge_live(architecture, registry, &Live::of(architecture, registry))
    }

    /// The same of an architecture whose live part is known.
    pub fn judge_live(
        &self,
        architecture: &Architecture,
        registry: &Arc<Registry>,
        live: &Live,
    ) -> Result<Record, FileError> {
        let start = Instant::now();
        let prints = fingerprint(architecture, live);
        let known = self.cache.as_ref().and_then(|cache| cache.get(&prints.exact)).cloned();
        let mut record = known.unwrap_or_else(|| Record {
            exact: prints.exact,
            structure: prints.structure,
            scores: BTreeMap::new(),
            missing: BTreeMap::new(),
            parameters: live.parameters,
            flops: live.multiply_accumulates,
            dead_nodes: live.dead,
            seconds: 0.0,
            operator_paths: OperatorPaths::default(),
        });
        if self.operator_paths {
            record.operator_paths = OperatorPaths::of(architecture, registry, live);
        }
        let wanted = |score: &&dyn Score| {
            let name = score.name();
            !record.scores.contains_key(name) && !record.missing.contains_key(name)
        };
        let open: Vec<_> = self.scores.iter().map(AsRef::as_ref).filter(wanted).collect();
        if !open.is_empty() {
            let subject = Subject::new(architecture, registry, &self.probe);
            for score in open {
                let name = score.name().to_owned();
                match score.of(&subject).and_then(finite) {
                    Ok(value) => drop(record.scores.insert(name, rounded(value))),
                    Err(error) => drop(record.missing.insert(name, error.to_string())),
                }
            }
            record.seconds += start.elapsed().as_secs_f64();
            if let Some(cache) = &self.cache {
                cache.put(&record)?;
            }
        }
        let wanted = |name: &str| self.scores.iter().any(|score| score.name() == name);
        record.scores.retain(|name, value| {
            *value = rounded(*value);
            wanted(name)
        });
        record.missing.retain(|name, _| wanted(name));
        Ok(record)
    }
}

fn finite(value: f64) -> Result<f64, ScoreError> {
    if value.is_finite() { Ok(value) } else { Err(ScoreError::NotFinite) }
}

/// To nine digits, so that a score read back from a file is the score that was written.
fn rounded(value: f64) -> f64 {
    format!("{value:.8e}").parse().unwrap_or(value)
}

/// Maps items on `jobs` threads of their own; results come in the order of the items. Not on
/// rayon's pool: differentiating on burn may not run there.
pub fn spread<T: Send, R: Send>(
    items: impl Iterator<Item = T> + Send,
    jobs: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let queue = Mutex::new(items.enumerate());
    let results = Mutex::new(Vec::new());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some((place, item)) = next() {
                    let result = work(item);
                    if let Ok(mut results) = results.lock() {
                        results.push((place, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_items() {
        for jobs in [0, 1, 3] {
            let squares = spread(0..100usize, jobs, |item| item * item);
            assert_eq!(squares, (0..100).map(|item| item * item).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rounding_is_idempotent() {
        for value in [1.0 / 3.0, -1e300 / 7.0, 123_456_789.123_456, 0.0] {
            let once = rounded(value);
            assert_eq!(once, rounded(once));
            let text = serde_json::to_string(&once).unwrap();
            assert_eq!(once, rounded(serde_json::from_str(&text).unwrap()));
        }
    }
}
