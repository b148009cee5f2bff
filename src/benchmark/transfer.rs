//! The whole protocol: weights of held-out graphs on test images, beside everything they are compared with.

use std::{path::Path, time::Instant};

use crate::{
    data::{Dataset, Split},
    fill::TOOL,
    memory,
    observer::Observer,
    spaces::plain_cnn,
};

use super::{
    Axes, BenchmarkError, Cost, DataRecord, Evaluator, HE, HE_CALIBRATED, HeldOutSet, LeakGuard,
    Outcome, PREDICTED, SCHEMA, SgdTable, Subject, split::Protocol,
};

/// A transfer benchmark.
#[derive(Clone, Copy)]
pub struct Transfer<'a> {
    /// What is evaluated.
    pub subject: &'a Subject,
    /// What is evaluated beside it, clean images only; see [`Transfer::check`].
    pub baselines: &'a [Subject],
    /// The data set, by path; its test images count.
    pub data: &'a Path,
    /// The graphs; those that a predictor was trained on are left out.
    pub sets: &'a [HeldOutSet],
    /// Of these, only the graphs of these names; all where there are none.
    pub names: &'a [String],
    /// Test images that count, the first.
    pub images: usize,
    /// Images that every corruption and severity is tried on; 0 for none.
    pub corrupted: usize,
    /// Samples of every graph, where the subject has several.
    pub samples: usize,
    /// Learning curves to set beside.
    pub sgd: Option<&'a SgdTable>,
    /// Folder of trained networks, `<graph>.onnx`, to tell weights that are new from copies.
    pub references: Option<&'a Path>,
    /// Of everything random.
    pub seed: u64,
    /// The command line, for the record.
    pub command: &'a str,
}

impl Transfer<'_> {
    /// Evaluates all graphs, set by set.
    pub fn run(&self, observer: &dyn Observer) -> Result<Outcome, BenchmarkError> {
        let started = Instant::now();
        self.check()?;
        let Self { subject, baselines, seed, .. } = *self;
        let evaluated: Vec<&Subject> = std::iter::once(subject).chain(baselines).collect();
        let mut guard = LeakGuard::new(&evaluated, self.data)?;
        let input = subject.input();
        let test = Dataset::open(self.data, Split::Test)?;
        let test = guard.images(test.with_channels(input.channels())?)?;
        let evaluator = Evaluator::new(input, &test, self.images, self.corrupted, seed)?;
        let sets = self.unseen(&mut guard)?;
        let names: Vec<String> =
            sets.iter().flat_map(|set| &set.graphs).map(|graph| graph.name.clone()).collect();
        let no_curves = SgdTable::new(String::new(), seed);
        let protocol = Protocol {
            subject,
            baselines,
            samples: self.samples,
            evaluator: &evaluator,
            sgd: self.sgd.unwrap_or(&no_curves),
            references: self.references,
            seed,
        };
        let splits =
            sets.iter().map(|set| protocol.split(set, observer)).collect::<Result<_, _>>()?;
        Ok(Outcome {
            schema: SCHEMA,
            tool: TOOL.to_owned(),
            command: self.command.to_owned(),
            seed,
            predictor: subject.record(&names),
            baselines: baselines.iter().map(|it| it.record(&names)).collect(),
            data: DataRecord {
                hash: test.hash.clone(),
                images: evaluator.images(),
                corrupted_images: evaluator.corrupted_images(),
                classes: evaluator.classes(),
            },
            guard: guard.into_record(),
            splits,
            plain_cnn: self.plain_cnn(&evaluator)?,
            cost: Cost {
                seconds: started.elapsed().as_secs_f64(),
                peak_memory_bytes: memory::peak(),
                threads: rayon::current_num_threads(),
                gradient_evaluations: subject.gradient_steps(),
            },
        })
    }

    /// Baselines must read the same images and have names of their own.
    pub fn check(&self) -> Result<(), BenchmarkError> {
        let mut names: Vec<String> = [PREDICTED, HE, HE_CALIBRATED].map(str::to_owned).into();
        names.push(self.subject.name());
        for baseline in self.baselines {
            let name = baseline.name();
            if baseline.input() != self.subject.input() {
                let problem = format!("'{name}' reads other images than the predictor");
                return Err(BenchmarkError::Mismatch(problem));
            }
            if names.contains(&name) {
                let problem = format!("something else that is evaluated is called '{name}'");
                return Err(BenchmarkError::Mismatch(problem));
            }
            names.push(name);
        }
        Ok(())
    }

    /// The graphs that were asked for and no training saw.
    fn unseen(&self, guard: &mut LeakGuard) -> Result<Vec<HeldOutSet>, BenchmarkError> {
        let unseen = |set: &HeldOutSet| {
            let mut graphs = guard.graphs(&set.space, set.graphs.clone())?;
            graphs.retain(|graph| self.names.is_empty() || self.names.contains(&graph.name));
            Ok(HeldOutSet { graphs, ..set.clone() })
        };
        self.sets.iter().map(unseen).collect()
    }

    /// A network that anyone might write, where the images fit it.
    fn plain_cnn(&self, evaluator: &Evaluator) -> Result<Option<Axes>, BenchmarkError> {
        let input = self.subject.input();
        match (self.subject.is_foreign(), input.channels(), input.size) {
            (false, 3, 32) => {
                let attempt = self.subject.fill("plain-cnn", plain_cnn().into())?;
                Ok(Some(evaluator.evaluate(&attempt).axes))
            }
            _ => Ok(None),
        }
    }
}
