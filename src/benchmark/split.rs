//! The graphs of a set: every method on every graph.

use std::{collections::BTreeMap, path::Path};

use crate::{
    evaluate::{Comparison, Diversity, Novelty},
    observer::Observer,
};

use super::{
    BenchmarkError, Candidate, Evaluation, Evaluator, GraphResult, HE, HE_CALIBRATED, HeldOut,
    HeldOutSet, PREDICTED, SgdTable, SplitResult, StyleRecord, Subject,
    candidate::file_of,
    novelty::novelty,
    summary::{diversity, method, novelties, training},
};

/// What every set of graphs is evaluated with.
pub(super) struct Protocol<'a> {
    pub(super) subject: &'a Subject,
    /// Evaluated on the same graphs.
    pub(super) baselines: &'a [Subject],
    /// Of every graph, where the subject has several.
    pub(super) samples: usize,
    pub(super) evaluator: &'a Evaluator<'a>,
    pub(super) sgd: &'a SgdTable,
    /// Folder of trained networks of the graphs.
    pub(super) references: Option<&'a Path>,
    pub(super) seed: u64,
}

/// What came of one graph.
struct GraphEvaluation {
    methods: BTreeMap<String, Evaluation>,
    novelty: Option<Novelty>,
    diversity: Option<Diversity>,
}

impl GraphEvaluation {
    fn top1(&self, method: &str) -> f64 {
        self.methods.get(method).map_or(0.0, |evaluation| evaluation.axes.scores.top1)
    }
}

impl Protocol<'_> {
    /// Evaluates the graphs of a set.
    pub(super) fn split(
        &self,
        set: &HeldOutSet,
        observer: &dyn Observer,
    ) -> Result<SplitResult, BenchmarkError> {
        observer.begin(set.graphs.len() as u64, 0);
        let evaluate = |graph: &HeldOut| {
            let evaluation = self.graph(graph);
            observer.advance(1);
            evaluation
        };
        let evaluations: Vec<GraphEvaluation> =
            set.graphs.iter().map(evaluate).collect::<Result<_, _>>()?;
        observer.end();
        let classes = self.evaluator.classes();
        let names: Vec<String> = std::iter::once(PREDICTED.to_owned())
            .chain(self.baselines.iter().map(Subject::name))
            .chain([HE_CALIBRATED, HE].map(str::to_owned))
            .collect();
        let summary = |name: &String| {
            let of_method: Vec<&Evaluation> =
                evaluations.iter().filter_map(|graph| graph.methods.get(name)).collect();
            method(name, &of_method, classes, self.seed)
        };
        let against = |name: &String| {
            let pairs: Vec<(f64, f64)> =
                evaluations.iter().map(|it| (it.top1(PREDICTED), it.top1(name))).collect();
            (name.clone(), Comparison::of(&pairs, self.seed))
        };
        let methods = names.iter().map(summary).collect();
        let comparisons = names[1..].iter().map(against).collect();
        let pairs = set.graphs.iter().zip(evaluations);
        let graphs: Vec<GraphResult> = pairs.map(|(graph, it)| self.result(graph, it)).collect();
        Ok(SplitResult {
            split: set.split.clone(),
            space: set.space.clone(),
            methods,
            comparisons,
            training: training(&graphs, classes, self.seed),
            novelty: novelties(&graphs, self.seed),
            diversity: diversity(&graphs, self.seed),
            graphs,
        })
    }

    fn result(&self, graph: &HeldOut, evaluation: GraphEvaluation) -> GraphResult {
        let GraphEvaluation { methods, novelty, diversity } = evaluation;
        let methods = methods.into_iter();
        GraphResult {
            name: graph.name.clone(),
            style: graph.style.map(StyleRecord::from),
            parameters: graph.parameters,
            multiply_accumulates: graph.multiply_accumulates,
            methods: methods.map(|(method, evaluation)| (method, evaluation.axes)).collect(),
            novelty,
            diversity,
            trained: self.sgd.curve(&graph.name),
        }
    }

    fn graph(&self, graph: &HeldOut) -> Result<GraphEvaluation, BenchmarkError> {
        let attempt = self.subject.attempt(graph)?;
        let network = graph.network()?;
        let images = self.subject.reference().calibration_images();
        let predicted = self.evaluator.evaluate(&attempt);
        let reference = self.references.map(|folder| file_of(folder, &graph.name));
        let novelty = match reference.filter(|path| path.exists()) {
            None => None,
            Some(path) => {
                let reference = Candidate::read(&path, graph)?;
                novelty(self.evaluator, &attempt, &predicted, &reference, self.seed)?
            }
        };
        let further: Vec<Evaluation> = self
            .subject
            .further(graph, self.samples.saturating_sub(1))?
            .iter()
            .map(|sample| self.evaluator.evaluate_clean(sample))
            .collect();
        let mistakes: Vec<&[bool]> = std::iter::once(&predicted)
            .chain(&further)
            .map(|evaluation| evaluation.wrong.as_slice())
            .filter(|wrong| !wrong.is_empty())
            .collect();
        let diversity = Diversity::of(&mistakes);
        let he = |images| self.evaluator.he(&network, graph.seed, images);
        let mut methods = BTreeMap::from([
            (PREDICTED.to_owned(), predicted),
            (HE.to_owned(), he(None)?),
            (HE_CALIBRATED.to_owned(), he(Some(&images))?),
        ]);
        for baseline in self.baselines {
            let evaluation = self.evaluator.evaluate_clean(&baseline.attempt(graph)?);
            methods.insert(baseline.name(), evaluation);
        }
        Ok(GraphEvaluation { methods, novelty, diversity })
    }
}
