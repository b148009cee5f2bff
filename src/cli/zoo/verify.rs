//! `weightsmith zoo verify`

use clap::Args;
use serde_json::json;

use crate::ops::Registry;

use super::{
    super::{Common, Exit, Failure, print, print_json},
    ZooArgs,
};

/// Check all files against the records; exits with 1 if something is wrong.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    zoo: ZooArgs,
}

impl Verify {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let zoo = self.zoo.open()?;
        let problems = zoo.verify(&Registry::standard())?;
        let checkpoints = zoo.records().len();
        if common.json {
            let sound = problems.is_empty();
            print_json(&json!({
                "schema": 1,
                "sound": sound,
                "checkpoints": checkpoints,
                "problems": problems,
            }))?;
        } else {
            problems.iter().try_for_each(|problem| print(problem))?;
            print(&match problems.len() {
                0 => format!("{checkpoints} checkpoints, all sound"),
                count => format!("{checkpoints} checkpoints, {count} problems"),
            })?;
        }
        Ok(if problems.is_empty() { Exit::Success } else { Exit::Negative })
    }
}
