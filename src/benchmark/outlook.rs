//! Measuring what to expect of a predictor's weights, for its [`OutlookTable`].

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    FileError,
    data::{Dataset, Split},
    observer::Observer,
    ops::Registry,
    predictor::{Descriptor, OutlookTable},
    train::GraphSource,
};

use super::{
    BenchmarkError, Evaluator, HeldOut, HeldOutSet, LeakGuard, Subject, held_out::resolved,
};

/// What a table is made from. Accuracies count on validation images: they were held out of training, and
/// test images stay for judging.
#[derive(Clone, Copy)]
pub struct OutlookSurvey<'a> {
    /// The predictor.
    pub subject: &'a Subject,
    /// The data set that it was trained on, by path.
    pub data: &'a Path,
    /// Training graphs that say where training was, the first.
    pub training: usize,
    /// Held-out graphs; those that the predictor was trained on are left out.
    pub sets: &'a [HeldOutSet],
    /// Validation images that count, the first.
    pub images: usize,
    /// File that holds every accuracy as soon as it is measured. What an earlier run of the same survey
    /// has measured is not measured again.
    pub log: &'a Path,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Measured {
    predictor: String,
    data: String,
    images: usize,
    graph: String,
    top1: f64,
}

impl OutlookSurvey<'_> {
    /// Measures.
    pub fn run(&self, observer: &dyn Observer) -> Result<OutlookTable, BenchmarkError> {
        let predictor = self.subject.reference();
        let mut guard = LeakGuard::new(&[self.subject], self.data)?;
        let images = Dataset::open(self.data, Split::Val)?;
        let images = guard.images(images.with_channels(self.subject.input().channels())?)?;
        let evaluator = Evaluator::new(self.subject.input(), &images, self.images, 0, 0)?;
        let mut graphs = Vec::new();
        for set in self.sets {
            graphs.extend(guard.graphs(&set.space, set.graphs.clone())?);
        }
        let training = self.training_graphs()?;
        observer.begin(graphs.len() as u64, 0);
        let mut log = self.read_log()?;
        let mut held_out = Vec::with_capacity(graphs.len());
        for graph in &graphs {
            let wanted = Measured {
                predictor: predictor.hash.clone(),
                data: images.hash.clone(),
                images: evaluator.images(),
                graph: graph.name.clone(),
                top1: 0.0,
            };
            let top1 = match log.iter().find(|it| Measured { top1: 0.0, ..(*it).clone() } == wanted)
            {
                Some(measured) => measured.top1,
                None => self.measure(graph, &evaluator, wanted, &mut log)?,
            };
            let network = graph.network()?;
            let descriptor = predictor.describe(&network.architecture, &network.registry)?;
            held_out.push((graph.name.clone(), descriptor, top1));
            observer.advance(1);
        }
        observer.end();
        let file = self.data.file_name().unwrap_or_default().to_string_lossy();
        let name = file.split('.').next().unwrap_or_default();
        let images = format!("{} validation images of {name}", evaluator.images());
        let table = OutlookTable::new(&predictor.hash, &images, &training, &held_out);
        table.ok_or_else(|| {
            let problem = "at least two training graphs with finite tokens are needed";
            BenchmarkError::Mismatch(problem.to_owned())
        })
    }

    fn training_graphs(&self) -> Result<Vec<Descriptor>, BenchmarkError> {
        let predictor = self.subject.reference();
        let space = &predictor.config.training.space;
        let source =
            GraphSource::open(space, &Registry::standard()).map_err(BenchmarkError::network)?;
        let describe = |seed: usize| {
            let graph = source.graph(seed as u64).map_err(BenchmarkError::network)?;
            let network = resolved(graph)?;
            Ok(predictor.describe(&network.architecture, &network.registry)?)
        };
        (0..source.count(self.training)).map(describe).collect()
    }

    fn measure(
        &self,
        graph: &HeldOut,
        evaluator: &Evaluator,
        wanted: Measured,
        log: &mut Vec<Measured>,
    ) -> Result<f64, BenchmarkError> {
        let evaluation = evaluator.evaluate_clean(&self.subject.attempt(graph)?);
        let top1 = evaluation.axes.scores.top1;
        let measured = Measured { top1, ..wanted };
        let write = || {
            let mut file = OpenOptions::new().create(true).append(true).open(self.log)?;
            writeln!(file, "{}", serde_json::to_string(&measured)?)
        };
        write().map_err(FileError::at(self.log))?;
        log.push(measured);
        Ok(top1)
    }

    fn read_log(&self) -> Result<Vec<Measured>, BenchmarkError> {
        let text = match fs::read_to_string(self.log) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(FileError::at(self.log))?,
        };
        // The last line of a run that was cut off may be half a line.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}
