//! What graphs may cost: the flags of `rank` that leave some out.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;

use crate::{cli::Failure, rank::Limits};

use super::by_file::ByFile;

/// Upper bounds and costs.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// Leave out graphs with more live parameters; 5M is five million
    #[arg(long, value_name = "N", value_parser = amount)]
    max_parameters: Option<u64>,
    /// Leave out graphs with more multiply-accumulates
    #[arg(long, value_name = "N", value_parser = amount)]
    max_flops: Option<u64>,
    /// Leave out graphs that need more bytes for one image: parameters, and the values that are kept at a
    /// time, in single precision
    #[arg(long, value_name = "BYTES", value_parser = amount)]
    max_memory: Option<u64>,
    /// What each graph costs, such as measured latency: comma-separated values with the columns `file` (a
    /// path, or its last part) and `cost`. --plot and --html show it in place of FLOPs
    #[arg(long, value_name = "FILE.csv")]
    cost: Option<PathBuf>,
    /// Leave out graphs that cost more by --cost, or that it does not name
    #[arg(long, value_name = "COST", requires = "cost")]
    max_cost: Option<f64>,
}

impl LimitArgs {
    /// Bounds on what is read off a graph.
    pub fn limits(&self) -> Limits {
        let Self { max_parameters, max_flops, max_memory, .. } = *self;
        Limits { parameters: max_parameters, flops: max_flops, memory: max_memory }
    }

    /// What each of the files costs, by what the user measured.
    pub fn costs(&self, files: &[String]) -> Result<Costs, Failure> {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let known =
            self.cost.as_ref().map(|path| ByFile::read(path, "cost", &files)).transpose()?;
        Ok(Costs { known: known.map(|it| it.values), most: self.max_cost })
    }
}

/// Costs that a user gives.
#[derive(Debug)]
pub struct Costs {
    known: Option<BTreeMap<String, f64>>,
    most: Option<f64>,
}

impl Costs {
    /// The cost of a file.
    pub fn of(&self, file: &str) -> Option<f64> {
        self.known.as_ref()?.get(file).copied()
    }

    /// Why a file is left out.
    pub fn exceeded(&self, file: &str) -> Option<String> {
        let most = self.most?;
        match self.of(file) {
            None => Some("--cost does not name it".to_owned()),
            Some(cost) if cost > most => Some(format!("cost {cost}, more than {most}")),
            Some(_) => None,
        }
    }
}

/// A number, perhaps of thousands (k), millions (M) or billions (G).
fn amount(text: &str) -> Result<u64, String> {
    let factors = [('k', 1e3), ('K', 1e3), ('M', 1e6), ('G', 1e9)];
    let (number, factor) = factors
        .into_iter()
        .find_map(|(letter, factor)| Some((text.strip_suffix(letter)?, factor)))
        .unwrap_or((text, 1.0));
    let value = number.trim().parse::<f64>().ok().map(|number| number * factor);
    match value.filter(|value| (0.0..u64::MAX as f64).contains(value)) {
        Some(value) => Ok(value.round() as u64),
        None => Err("is no amount, such as 300000, 300k, 1.5M or 2G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_may_be_abbreviated() {
        let given = ["300000", "300k", "1.5M", "2G", "0"];
        let amounts = given.map(|text| amount(text).unwrap());
        assert_eq!(amounts, [300_000, 300_000, 1_500_000, 2_000_000_000, 0]);
        for wrong in ["", "M", "-1", "1.5 apples", "inf", "NaN", "1e30"] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
    }
}
