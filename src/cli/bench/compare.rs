//! `weightsmith bench compare`

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::evaluate::Comparison;

use super::{
    super::{Common, Exit, Failure, print, print_json},
    outcome::{Axes, GraphResult, Outcome, PREDICTED},
};

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// A result of `bench transfer --out`
    #[arg(value_name = "A.json")]
    first: PathBuf,
    /// Another one
    #[arg(value_name = "B.json")]
    second: PathBuf,
}

/// The differences of one split, first minus second, graph by graph.
#[derive(Debug, Serialize)]
struct SplitComparison {
    split: String,
    space: String,
    /// By figure.
    figures: BTreeMap<&'static str, Comparison>,
}

type Figure = fn(&Axes) -> Option<f64>;

/// What is compared. Only `top1` is known of networks that could not be judged.
const FIGURES: [(&str, Figure); 5] = [
    ("top1", |axes| Some(axes.scores.top1)),
    ("cross_entropy", |axes| axes.failure.is_none().then_some(axes.scores.cross_entropy)),
    ("ece", |axes| axes.failure.is_none().then_some(axes.scores.ece)),
    ("brier", |axes| axes.failure.is_none().then_some(axes.scores.brier)),
    ("corrupted", Axes::corrupted_top1),
];

impl Compare {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let [first, second] = [Outcome::load(&self.first)?, Outcome::load(&self.second)?];
        if (&first.data.hash, first.data.images) != (&second.data.hash, second.data.images) {
            return Err(format!(
                "{} and {} are of different images",
                self.first.display(),
                self.second.display()
            )
            .into());
        }
        let splits = splits(&first, &second, common.seed);
        if splits.is_empty() {
            return Err(format!(
                "{} and {} have no graph in common",
                self.first.display(),
                self.second.display()
            )
            .into());
        }
        if common.json {
            print_json(&json!({
                "schema": 1,
                "seed": common.seed,
                "first": first.predictor,
                "second": second.predictor,
                "splits": splits,
            }))?;
            return Ok(Exit::Success);
        }
        print(&format!("{} minus {}", first.predictor.name, second.predictor.name))?;
        for SplitComparison { split, space, figures } in splits {
            print(&format!("{split} of '{space}'"))?;
            for (name, Comparison { graphs, difference, wins, p }) in figures {
                print(&format!(
                    "  {name:14} {:+.4} [{:+.4}, {:+.4}]  larger on {wins} of {graphs}, p {p:.4}",
                    difference.mean, difference.low, difference.high
                ))?;
            }
        }
        Ok(Exit::Success)
    }
}

fn splits(first: &Outcome, second: &Outcome, seed: u64) -> Vec<SplitComparison> {
    let mut compared = Vec::new();
    for own in &first.splits {
        let same = |other: &&super::outcome::SplitResult| {
            (&other.split, &other.space) == (&own.split, &own.space)
        };
        let Some(other) = second.splits.iter().find(same) else { continue };
        let others: BTreeMap<&str, &GraphResult> =
            other.graphs.iter().map(|graph| (graph.name.as_str(), graph)).collect();
        let figures: BTreeMap<&'static str, Comparison> = FIGURES
            .into_iter()
            .filter_map(|(name, figure)| {
                let of = |graph: &GraphResult| figure(graph.methods.get(PREDICTED)?);
                let pairs: Vec<(f64, f64)> = own
                    .graphs
                    .iter()
                    .filter_map(|graph| Some((of(graph)?, of(others.get(graph.name.as_str())?)?)))
                    .collect();
                (!pairs.is_empty()).then(|| (name, Comparison::of(&pairs, seed)))
            })
            .collect();
        if !figures.is_empty() {
            let (split, space) = (own.split.clone(), own.space.clone());
            compared.push(SplitComparison { split, space, figures });
        }
    }
    compared
}
