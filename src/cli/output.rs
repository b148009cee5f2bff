//! Files that commands write: whole or not at all, and never in place of work that cannot be had again
//! at once.

use std::path::Path;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::onnx::atomic;

use super::Failure;

/// Flags that say how a command runs, and change no result.
const WITHOUT_EFFECT: [&str; 7] =
    ["--force", "--resume", "--json", "--quiet", "-q", "--verbose", "-v"];

/// For commands whose results take long.
#[derive(Debug, Args)]
pub(super) struct Replace {
    /// Replace files that are in the way
    #[arg(long)]
    pub(super) force: bool,
}

impl Replace {
    /// Refuses a result file that is there, unless it is the result of the same command, or `--force` is
    /// given. Ask before the work begins.
    pub(super) fn check(&self, path: Option<&Path>) -> Result<(), Failure> {
        let Some(path) = path.filter(|path| path.exists() && !self.force) else { return Ok(()) };
        let written = std::fs::read(path).map_err(|error| failed(path, &error))?;
        let known: Option<Value> = serde_json::from_slice(&written).ok();
        let known = known.as_ref().and_then(|known| known["command"].as_str());
        match known.is_some_and(|known| words(known) == words(&command_line())) {
            true => Ok(()),
            false => Err(failed(path, &"holds something else; add --force to replace it")),
        }
    }

    /// Refuses if any of these files is there.
    pub(super) fn vacant(&self, paths: &[&Path]) -> Result<(), Failure> {
        match paths.iter().find(|path| path.exists() && !self.force) {
            Some(path) => Err(failed(path, &"exists already; add --force to replace it")),
            None => Ok(()),
        }
    }

    /// Writes a file, unless another one is in the way.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        if path.exists() && !self.force {
            return match std::fs::read(path).map_err(|error| failed(path, &error))? == bytes {
                true => Ok(()),
                false => Err(failed(path, &"is another file; add --force to replace it")),
            };
        }
        atomic::write(path, |out| out.write_all(bytes)).map_err(|error| failed(path, &error))
    }
}

/// The command line, for records.
pub(super) fn command_line() -> String {
    std::env::args().collect::<Vec<_>>().join(" ")
}

/// What a command line asks for, in any order, whatever the program is called.
fn words(command: &str) -> Vec<&str> {
    let words = command.split(' ').skip(1);
    let mut words: Vec<&str> = words.filter(|word| !WITHOUT_EFFECT.contains(word)).collect();
    words.sort_unstable();
    words
}

/// Writes a result.
pub(super) fn save(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    atomic::write_json(path, value).map_err(|error| failed(path, &error))
}

/// Writes what is derived from a result: a table, a picture, a page. An older one is replaced.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    atomic::write(path, |out| out.write_all(text.as_bytes())).map_err(|error| failed(path, &error))
}

/// Names the file.
pub(super) fn failed(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    format!("{}: {why}", path.display()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_what_it_asks_for() {
        let same = ["weightsmith bench sgd --seed 1 -q", "/bin/ws bench sgd --force --seed 1"];
        assert_eq!(words(same[0]), words(same[1]));
        assert_ne!(words(same[0]), words("weightsmith bench sgd --seed 2"));
    }
}
