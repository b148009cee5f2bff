//! `weightsmith bench transfer`

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use clap::Args;

use crate::{
    data::{Dataset, Split},
    fill::{Network, TOOL},
    graph::DimBindings,
    memory,
    onnx::{Model, atomic},
    ops::Registry,
    predictor::Steering,
    spaces::plain_cnn,
};

use super::{
    super::{Common, Exit, Failure, drawing::ByFilling, print, print_json},
    Setting,
    guard::Guard,
    held_out::{HeldOutSet, held_out},
    html,
    jury::Jury,
    outcome::{Cost, DataRecord, HE, HE_CALIBRATED, Outcome, PREDICTED, SCHEMA, SubjectRecord},
    save,
    sgd::SgdTable,
    subject::Subject,
    table::table,
    trial::Trial,
};

#[derive(Debug, Args)]
pub(super) struct Transfer {
    #[command(flatten)]
    setting: Setting,
    /// Held-out graphs, of every split [default: 100]
    #[arg(long)]
    graphs: Option<u64>,
    /// Move predicted weights towards the training images of the data set, in so many gradient steps
    #[arg(long, value_name = "N", default_value_t = 0)]
    support_steps: usize,
    /// Images that every corruption and severity is judged on; 0 for none [default: 500]
    #[arg(long, value_name = "N")]
    corrupted: Option<usize>,
    /// A first impression: 6 graphs, 200 images, 20 corrupted ones, where nothing else is said
    #[arg(long)]
    quick: bool,
    /// Samples of every graph where the predictor denoises, to see how different they are; with
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

impl Transfer {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let started = Instant::now();
        let mut subject = self.setting.subject()?;
        if self.support_steps > 0 {
            let steering = Steering { steps: self.support_steps, ..Steering::default() };
            subject = subject.steered(&self.setting.data, steering)?;
        }
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
            set.graphs.retain(|graph| self.setting.wants(graph));
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
            predictor: SubjectRecord::of(&subject, &names),
            baselines: baselines.iter().map(|it| SubjectRecord::of(it, &names)).collect(),
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
                gradient_evaluations: subject.gradient_steps(),
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

    /// The predictors to judge beside the subject, which read the same images and have names of their
    /// own.
    fn baselines(&self, subject: &Subject) -> Result<Vec<Subject>, Failure> {
        let mut names: Vec<String> = [PREDICTED, HE, HE_CALIBRATED].map(str::to_owned).into();
        names.push(subject.name());
        let open = |name: &String| -> Result<Subject, Failure> {
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
        self.beside.iter().map(open).collect()
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
        if let Ok(svg) = architecture.to_svg(&ByFilling::new(&architecture, &Registry::standard()))
        {
            drawings.insert(graph.name.clone(), svg);
        }
    }
    Ok(drawings)
}
