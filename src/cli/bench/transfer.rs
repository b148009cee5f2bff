//! `weightsmith bench transfer`

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;

use crate::{
    data::{Dataset, Split},
    evaluate::{Comparison, Diversity, Interval, Novelty, epochs_worth},
    graph::DimBindings,
    memory,
    onnx::{Model, atomic},
    ops::registry,
    spaces::{Style, plain_cnn},
};

use super::{
    super::{
        Common, Exit, Failure, drawing::ByFilling, network::Network, predict::TOOL, print,
        print_json,
    },
    Setting, bar,
    guard::Guard,
    held_out::{HeldOut, HeldOutSet, held_out},
    html,
    jury::{Jury, Verdict, summarise},
    outcome::{
        Cost, DataRecord, DiversityResult, GraphResult, HE, HE_CALIBRATED, NoveltyResult, Outcome,
        PREDICTED, SCHEMA, SplitResult, StyleRecord, SubjectRecord, TrainedResult, TrainingResult,
    },
    save,
    sgd::SgdTable,
    subject::{Candidate, Subject, file_of},
    table::table,
};

#[derive(Debug, Args)]
pub(super) struct Transfer {
    #[command(flatten)]
    setting: Setting,
    /// Held-out graphs, of every split [default: 100]
    #[arg(long)]
    graphs: Option<u64>,
    /// Images that every corruption and severity is judged on; 0 for none [default: 500]
    #[arg(long, value_name = "N")]
    corrupted: Option<usize>,
    /// A first impression: 6 graphs, 200 images, 20 corrupted ones, where nothing else is said
    #[arg(long)]
    quick: bool,
    /// Samples of every graph where the predictor is stochastic, to see how different they are; with
    /// files:DIR, further ones are `<graph>.1.onnx`, `<graph>.2.onnx`, …
    #[arg(long, value_name = "N", default_value_t = 1)]
    samples: usize,
    /// Another predictor to judge on the same graphs, as a baseline; may be given more than once
    #[arg(long, value_name = "PREDICTOR")]
    beside: Vec<String>,
    /// Results of `bench sgd` to set beside
    #[arg(long, value_name = "FILE")]
    sgd: Option<PathBuf>,
    /// Trained networks of the graphs, `<graph>.onnx`, as `bench sgd --keep` writes them, to tell
    /// weights that are new from copies
    #[arg(long, value_name = "DIR")]
    references: Option<PathBuf>,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the result as a page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What every split is judged with.
struct Trial<'a> {
    subject: &'a Subject,
    baselines: &'a [Subject],
    samples: usize,
    jury: &'a Jury<'a>,
    sgd: &'a SgdTable,
    references: Option<&'a Path>,
    seed: u64,
}

/// What came of one graph.
struct Trials {
    /// By method.
    verdicts: BTreeMap<String, Verdict>,
    novelty: Option<Novelty>,
    diversity: Option<Diversity>,
}

impl Transfer {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let started = Instant::now();
        let subject = self.setting.subject()?;
        let space = self.setting.space(&subject)?;
        let baselines = self.baselines(&subject)?;
        let judged: Vec<&Subject> = std::iter::once(&subject).chain(&baselines).collect();
        let mut guard = Guard::new(&judged, &self.setting.data)?;
        let input = subject.input();
        let test = Dataset::open(&self.setting.data, Split::Test)?;
        let test = guard.images(test.with_channels(input.channels())?)?;
        let or_quick = |usual, quick| if self.quick { quick } else { usual };
        let limit = self.setting.limit.unwrap_or(or_quick(usize::MAX, 200));
        let corrupted = self.corrupted.unwrap_or(or_quick(500, 20));
        let count = self.graphs.unwrap_or(or_quick(100, 6) as u64);
        let jury = Jury::new(input, &test, limit, corrupted, common.seed)?;
        let sgd = match &self.sgd {
            Some(path) => SgdTable::load(path)?,
            None => SgdTable::default(),
        };
        let mut sets = held_out(&space, &self.setting.splits, count)?;
        for set in &mut sets {
            set.graphs = guard.graphs(&set.space, std::mem::take(&mut set.graphs))?;
        }
        let names: Vec<String> =
            sets.iter().flat_map(|set| &set.graphs).map(|graph| graph.name.clone()).collect();
        let references = self.references.as_deref();
        let trial = Trial {
            subject: &subject,
            baselines: &baselines,
            samples: self.samples,
            jury: &jury,
            sgd: &sgd,
            references,
            seed: common.seed,
        };
        let splits =
            sets.iter().map(|set| trial.split(set, common)).collect::<Result<_, Failure>>()?;
        let plain_cnn = match (subject.is_foreign(), input.channels(), input.size) {
            (false, 3, 32) => {
                Some(jury.judge(&subject.fill("plain-cnn", plain_cnn().into())?).axes)
            }
            _ => None,
        };
        let outcome = Outcome {
            schema: SCHEMA,
            tool: TOOL.to_owned(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            seed: common.seed,
            predictor: SubjectRecord {
                name: subject.name(),
                hash: subject.hash(&names),
                foreign: subject.is_foreign(),
                weights: match subject.is_foreign() {
                    true => "read from files of another program".to_owned(),
                    false => "generated by a predictor, not trained".to_owned(),
                },
            },
            data: DataRecord {
                hash: test.hash.clone(),
                images: jury.images(),
                corrupted_images: jury.corrupted_images(),
                classes: jury.classes(),
            },
            guard: guard.into_record(),
            splits,
            plain_cnn,
            cost: Cost {
                seconds: started.elapsed().as_secs_f64(),
                peak_memory_bytes: memory::peak(),
                threads: rayon::current_num_threads(),
                gradient_evaluations: 0,
            },
        };
        if let Some(path) = &self.out {
            save(path, &outcome)?;
        }
        if let Some(path) = &self.html {
            let page = html::page(&outcome, &drawings(&outcome, &sets)?);
            atomic::write(path, |out| out.write_all(page.as_bytes()))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        match common.json {
            true => print_json(&outcome)?,
            false => print(&table(&outcome))?,
        }
        Ok(Exit::Success)
    }
}

impl Transfer {
    /// The predictors to judge beside the subject, which read the same images and have names of their
    /// own.
    fn baselines(&self, subject: &Subject) -> Result<Vec<Subject>, Failure> {
        let mut names: Vec<String> = [PREDICTED, HE, HE_CALIBRATED].map(str::to_owned).into();
        names.push(subject.name());
        let mut open = |name: &String| -> Result<Subject, Failure> {
            let baseline = Subject::open(name, self.setting.like.as_deref())?;
            if baseline.input() != subject.input() {
                return Err(
                    format!("--beside {name}: reads other images than the predictor").into()
                );
            }
            if names.contains(&baseline.name()) {
                return Err(format!(
                    "--beside {name}: something else judged is called '{}'",
                    baseline.name()
                )
                .into());
            }
            names.push(baseline.name());
            Ok(baseline)
        };
        self.beside.iter().map(&mut open).collect()
    }
}

impl Trial<'_> {
    fn split(&self, set: &HeldOutSet, common: &Common) -> Result<SplitResult, Failure> {
        let graphs = &set.graphs;
        let bar = bar(graphs.len(), common);
        let trials: Vec<Trials> = graphs
            .iter()
            .map(|graph| {
                let trials = self.graph(graph);
                bar.inc(1);
                trials
            })
            .collect::<Result<_, Failure>>()?;
        bar.finish_and_clear();
        let classes = self.jury.classes();
        let names: Vec<String> = std::iter::once(PREDICTED.to_owned())
            .chain(self.baselines.iter().map(Subject::name))
            .chain([HE_CALIBRATED, HE].map(str::to_owned))
            .collect();
        let summary = |name: &String| {
            let of_method: Vec<&Verdict> =
                trials.iter().filter_map(|trials| trials.verdicts.get(name)).collect();
            summarise(name, &of_method, classes, self.seed)
        };
        let methods = names.iter().map(summary).collect();
        let top1 = |trials: &Trials, name: &str| {
            trials.verdicts.get(name).map_or(0.0, |verdict| verdict.axes.scores.top1)
        };
        let against = |name: &String| {
            let pairs: Vec<(f64, f64)> =
                trials.iter().map(|own| (top1(own, PREDICTED), top1(own, name))).collect();
            (name.clone(), Comparison::of(&pairs, self.seed))
        };
        let comparisons = names[1..].iter().map(against).collect();
        let graphs: Vec<GraphResult> = graphs
            .iter()
            .zip(trials)
            .map(|(graph, Trials { verdicts, novelty, diversity })| GraphResult {
                name: graph.name.clone(),
                style: graph.style.map(StyleRecord::from),
                parameters: graph.parameters,
                multiply_accumulates: graph.multiply_accumulates,
                methods: verdicts
                    .into_iter()
                    .map(|(method, verdict)| (method, verdict.axes))
                    .collect(),
                novelty,
                diversity,
                trained: self.sgd.curve(&graph.name),
            })
            .collect();
        Ok(SplitResult {
            split: set.split.clone(),
            space: set.space.clone(),
            methods,
            comparisons,
            training: training(&graphs, classes, self.seed),
            novelty: novelty(&graphs, self.seed),
            diversity: diversity(&graphs, self.seed),
            graphs,
        })
    }

    fn graph(&self, graph: &HeldOut) -> Result<Trials, Failure> {
        let attempt = self.subject.attempt(graph)?;
        let model = Model::from_bytes(&graph.name, graph.onnx.clone())?;
        let architecture = Network::of(model, DimBindings::default())?.architecture;
        let images = self.subject.reference().calibration_images();
        let predicted = self.jury.judge(&attempt);
        let reference = self.references.map(|folder| file_of(folder, &graph.name));
        let novelty = match reference.filter(|path| path.exists()) {
            None => None,
            Some(path) => {
                let reference = Candidate::read(&path, graph)?;
                self.jury.novelty(&attempt, &predicted, &reference, self.seed)?
            }
        };
        let further: Vec<Verdict> = self
            .subject
            .further(graph, self.samples.saturating_sub(1))
            .iter()
            .map(|sample| self.jury.judge_clean(sample))
            .collect();
        let mistakes: Vec<&[bool]> = std::iter::once(&predicted)
            .chain(&further)
            .map(|verdict| verdict.wrong.as_slice())
            .filter(|wrong| !wrong.is_empty())
            .collect();
        let diversity = Diversity::of(&mistakes);
        let mut verdicts = BTreeMap::from([
            (PREDICTED.to_owned(), predicted),
            (HE.to_owned(), self.jury.he(&architecture, graph.seed, None)?),
            (HE_CALIBRATED.to_owned(), self.jury.he(&architecture, graph.seed, Some(&images))?),
        ]);
        for baseline in self.baselines {
            verdicts.insert(baseline.name(), self.jury.judge_clean(&baseline.attempt(graph)?));
        }
        Ok(Trials { verdicts, novelty, diversity })
    }
}

impl From<Style> for StyleRecord {
    fn from(style: Style) -> Self {
        let lowercase = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        Self {
            family: lowercase(&style.family),
            norm: lowercase(&style.norm),
            activation: lowercase(&style.activation),
        }
    }
}

/// The worst graphs as SVG, by name; without those that no layout is found for.
fn drawings(outcome: &Outcome, sets: &[HeldOutSet]) -> Result<BTreeMap<String, String>, Failure> {
    let mut drawings = BTreeMap::new();
    for result in outcome.splits.iter().flat_map(html::worst) {
        let mut graphs = sets.iter().flat_map(|set| &set.graphs);
        let Some(graph) = graphs.find(|graph| graph.name == result.name) else { continue };
        let model = Model::from_bytes(&graph.name, graph.onnx.clone())?;
        let architecture = Network::of(model, DimBindings::default())?.architecture;
        if let Ok(svg) = architecture.to_svg(&ByFilling::new(&architecture, registry())) {
            drawings.insert(graph.name.clone(), svg);
        }
    }
    Ok(drawings)
}

/// Predicted weights beside trained ones, over the graphs for which there are any.
fn training(graphs: &[GraphResult], classes: usize, seed: u64) -> Option<TrainingResult> {
    let graphs: Vec<(f64, &BTreeMap<usize, f64>)> = graphs
        .iter()
        .filter(|graph| !graph.trained.is_empty())
        .filter_map(|graph| Some((graph.methods.get(PREDICTED)?.scores.top1, &graph.trained)))
        .collect();
    let lengths: BTreeSet<usize> =
        graphs.iter().flat_map(|(_, curve)| curve.keys().copied()).collect();
    let longest = *lengths.last()?;
    let mean = |values: Vec<f64>| Interval::of_mean(&values, seed);
    let worth = |(top1, curve): &(f64, &BTreeMap<usize, f64>)| {
        let points: Vec<(f64, f64)> =
            curve.iter().map(|(&epochs, &top1)| (epochs as f64, top1)).collect();
        epochs_worth(&points, *top1, classes)
    };
    let trained = lengths
        .into_iter()
        .map(|epochs| {
            let pairs: Vec<(f64, f64)> = graphs
                .iter()
                .filter_map(|(top1, curve)| Some((*top1, *curve.get(&epochs)?)))
                .collect();
            let top1 = mean(pairs.iter().map(|(_, trained)| *trained).collect());
            TrainedResult { epochs, top1, comparison: Comparison::of(&pairs, seed) }
        })
        .collect();
    Some(TrainingResult {
        graphs: graphs.len(),
        predicted: mean(graphs.iter().map(|(top1, _)| *top1).collect()),
        trained,
        ratio: mean(
            graphs
                .iter()
                .filter_map(|(top1, curve)| Some(top1 / curve.get(&longest)?.max(1e-9)))
                .collect(),
        ),
        worth: mean(graphs.iter().filter_map(worth).collect()),
    })
}

/// How new predicted weights are, over the graphs that have a reference.
fn novelty(graphs: &[GraphResult], seed: u64) -> Option<NoveltyResult> {
    let known: Vec<&Novelty> = graphs.iter().filter_map(|graph| graph.novelty.as_ref()).collect();
    let mean = |values: Vec<f64>| Interval::of_mean(&values, seed);
    let judged: Vec<bool> = known.iter().filter_map(|novelty| novelty.above_noise).collect();
    (!known.is_empty()).then(|| NoveltyResult {
        graphs: known.len(),
        overlap: mean(known.iter().map(|novelty| novelty.overlap).collect()),
        distance: mean(known.iter().filter_map(|novelty| novelty.distance).collect()),
        copies: known.iter().filter(|novelty| novelty.copies).count(),
        above_noise: [judged.iter().filter(|above| **above).count(), judged.len()],
    })
}

/// How different samples of one graph are, over the graphs that have several.
fn diversity(graphs: &[GraphResult], seed: u64) -> Option<DiversityResult> {
    let known: Vec<&Diversity> =
        graphs.iter().filter_map(|graph| graph.diversity.as_ref()).collect();
    let mean = |of: fn(&Diversity) -> f64| {
        Interval::of_mean(&known.iter().map(|diversity| of(diversity)).collect::<Vec<_>>(), seed)
    };
    (!known.is_empty()).then(|| DiversityResult {
        graphs: known.len(),
        overlap: mean(|diversity| diversity.overlap),
        disagreement: mean(|diversity| diversity.disagreement),
    })
}
