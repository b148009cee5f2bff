//! `weightsmith bench compare`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::{
    benchmark::{Outcome, SplitComparison},
    evaluate::Comparison,
};

use super::super::{Common, Exit, Failure, print, print_json};

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// A result of `bench transfer --out`
    #[arg(value_name = "A.json")]
    first: PathBuf,
    /// Another one
    #[arg(value_name = "B.json")]
    second: PathBuf,
}

impl Compare {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let [first, second] = [Outcome::load(&self.first)?, Outcome::load(&self.second)?];
        let splits = first.compare(&second, common.seed).map_err(|error| {
            format!("{} and {}: {error}", self.first.display(), self.second.display())
        })?;
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
