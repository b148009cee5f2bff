//! `weightsmith trace`

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    predictor::{BUNDLED, Predictor, PredictorError, Watermark, bundled},
    trace::{self, Candidate, Mark, Verdict, trace},
};

use super::{Common, Exit, Failure, network::NetworkArgs, print, print_json};

/// What `--help` says last.
const EXIT_CODES: &str = "\
Exit codes:
  0  The network descends from a predictor
  1  Nothing in its weights speaks for any of the predictors
  2  Usage or input is wrong
  3  It has too few weights that a predictor writes to tell";

/// Tell whether a network descends from a predictor, from which, and how sure that is: by its weights, whatever its
/// file says. Weights that were fine-tuned a little, rounded, pruned, reordered or rescaled are recognised.
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub struct Trace {
    #[command(flatten)]
    network: NetworkArgs,
    /// A predictor to compare with, bundled or a folder; all bundled ones if none is named
    #[arg(long = "predictor", value_name = "PREDICTOR")]
    predictors: Vec<String>,
    /// A key that the weights may have been marked with; may be given more than once
    #[arg(long = "watermark", value_name = "KEY")]
    watermarks: Vec<PathBuf>,
}

impl Trace {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let network = self.network.read()?;
        let watermarks = self.watermarks.iter().map(|key| Watermark::open(key));
        let watermarks: Vec<Watermark> = watermarks.collect::<Result<_, _>>()?;
        let trace = trace(&network, &self.predictors()?, &watermarks)?;
        let verdict = trace.verdict();
        let claim = network.claimed_predictor();
        if common.json {
            let candidates = trace.candidates.iter().map(described);
            print_json(&json!({
                "schema": 1,
                "verdict": name(verdict),
                "values": trace.values,
                "candidates": candidates.collect::<Vec<_>>(),
                "claim": claim,
            }))?;
        } else {
            self.print(&trace, verdict, claim)?;
        }
        Ok(match verdict {
            Verdict::Descends => Exit::Success,
            Verdict::NoSign => Exit::Negative,
            Verdict::CannotSay => Exit::Partial,
        })
    }

    fn predictors(&self) -> Result<Vec<Predictor>, PredictorError> {
        let load = |name: &str| bundled(name, &Device::flex());
        match self.predictors.is_empty() {
            true => BUNDLED.into_iter().map(load).collect(),
            false => self.predictors.iter().map(|name| load(name)).collect(),
        }
    }

    fn print(
        &self,
        trace: &trace::Trace,
        verdict: Verdict,
        claim: Option<&str>,
    ) -> Result<(), Failure> {
        let first = trace.candidates.first().map(|first| first.predictors.join(" or "));
        match (verdict, first) {
            (Verdict::Descends, Some(first)) => print(&format!("descends from {first}"))?,
            (Verdict::CannotSay, _) => print(&format!(
                "cannot say: only {} of its weights are such as a predictor writes",
                trace.values
            ))?,
            _ => print("no sign of descent from any of these predictors")?,
        }
        for candidate in &trace.candidates {
            let Candidate { predictors, sample, similarity, by_chance, probability, .. } =
                candidate;
            print(&format!(
                "{:<22} sample {sample}  similarity {similarity:.3} ({by_chance:.3} by chance)  p {probability:.1e}",
                predictors.join(", ")
            ))?;
        }
        let marks = trace.candidates.iter().take(1).flat_map(|first| &first.marks);
        for (key, mark) in self.watermarks.iter().zip(marks) {
            let Mark { deviations, probability, .. } = mark;
            let verdict = if mark.is_there() { "carries the mark" } else { "no mark" };
            print(&format!(
                "{verdict} of {}  {deviations:.1} deviations  p {probability:.1e}",
                key.display()
            ))?;
        }
        match claim {
            Some(claim) => print(&format!("note: the file says that it is from '{claim}'")),
            None => Ok(()),
        }
    }
}

/// A candidate with what follows from it.
fn described(candidate: &Candidate) -> Value {
    let mut value = json!(candidate);
    value["excess"] = candidate.excess().into();
    value
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Descends => "descends",
        Verdict::NoSign => "no sign",
        Verdict::CannotSay => "cannot say",
    }
}
