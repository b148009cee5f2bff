//! `weightsmith bench transfer`

use std::path::PathBuf;

use clap::Args;

use crate::{
    benchmark::{SgdTable, Subject, Transfer as Benchmark},
    condition::Steering,
};

use super::{
    super::{
        Common, Exit, Failure,
        output::{self, Replace},
        print, print_json,
        progress::watch,
    },
    Setting,
    table::table,
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
    /// Images that every corruption and severity is tried on; 0 for none [default: 500]
    #[arg(long, value_name = "N")]
    corrupted: Option<usize>,
    /// A first impression: 6 graphs, 200 images, 20 corrupted ones, where nothing else is said
    #[arg(long)]
    quick: bool,
    /// Samples of every graph where the predictor denoises, to see how different they are; with
    /// files:DIR, further ones are `<graph>.1.onnx`, `<graph>.2.onnx`, …
    #[arg(long, value_name = "N", default_value_t = 1)]
    samples: usize,
    /// Another predictor to evaluate on the same graphs, as a baseline; may be given more than once
    #[arg(long, value_name = "PREDICTOR")]
    beside: Vec<String>,
    /// Results of `bench sgd` to set beside
    #[arg(long, value_name = "FILE")]
    sgd: Option<PathBuf>,
    /// Trained networks of the graphs, `<graph>.onnx`, as `bench sgd --keep` writes them, to tell
    /// weights that are new from copies
    #[arg(long, value_name = "DIR")]
    references: Option<PathBuf>,
    /// Write the result as JSON; one of another command is not replaced without --force
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the result as a page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

impl Transfer {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        self.replace.check(self.out.as_deref())?;
        let subject = self.subject()?;
        let like = self.setting.like.as_deref();
        let baselines: Vec<Subject> =
            self.beside.iter().map(|name| Subject::open(name, like)).collect::<Result<_, _>>()?;
        let or_quick = |usual, quick| if self.quick { quick } else { usual };
        let count = self.graphs.unwrap_or(or_quick(100, 6) as u64);
        let sets = self.setting.graphs.held_out(&subject, count)?;
        let sgd = self.sgd.as_deref().map(SgdTable::load).transpose()?;
        let benchmark = Benchmark {
            subject: &subject,
            baselines: &baselines,
            data: &self.setting.data,
            sets: &sets,
            names: &self.setting.names,
            images: self.setting.limit.unwrap_or(or_quick(usize::MAX, 200)),
            corrupted: self.corrupted.unwrap_or(or_quick(500, 20)),
            samples: self.samples,
            sgd: sgd.as_ref(),
            references: self.references.as_deref(),
            seed: common.seed,
            command: &output::command_line(),
        };
        let outcome = benchmark.run(&*watch("graphs", common))?;
        if let Some(path) = &self.out {
            output::save(path, &outcome)?;
        }
        if let Some(path) = &self.html {
            output::write(path, &outcome.to_html(&sets)?)?;
        }
        match common.json {
            true => print_json(&outcome)?,
            false => print(&table(&outcome))?,
        }
        Ok(Exit::Success)
    }

    fn subject(&self) -> Result<Subject, Failure> {
        let subject = self.setting.subject()?;
        if self.support_steps == 0 {
            return Ok(subject);
        }
        let steering = Steering::of_steps(Some(self.support_steps));
        Ok(subject.steered(&self.setting.data, steering)?)
    }
}
