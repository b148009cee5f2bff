//! Trained accuracies that a user gives.

use std::path::Path;

use crate::{
    cli::{Failure, output::failed},
    rank::{Aggregate, Ranking, Record, learned::FEWEST_LABELS, refined_ranking},
};

use super::by_file::ByFile;

/// Ranks by `auto` and the accuracies of a file.
pub(super) fn refined(
    path: &Path,
    records: Vec<(String, Record)>,
    by: &Aggregate,
) -> Result<Ranking, Failure> {
    let Aggregate::Learned(ranker) = by else {
        return Err("--labels refines 'auto'; leave --by out".into());
    };
    let files: Vec<&str> = records.iter().map(|(file, _)| file.as_str()).collect();
    let ByFile { values: trained, unknown } = ByFile::read(path, "accuracy", &files)?;
    if let Some(name) = unknown.first() {
        return Err(failed(path, &format!("'{name}' is none of the graphs that are ranked")));
    }
    if trained.len() < FEWEST_LABELS {
        let found = trained.len();
        let problem = format!(
            "has accuracies of {found} of these graphs; {FEWEST_LABELS} or more refine a ranking"
        );
        return Err(failed(path, &problem));
    }
    refined_ranking(records, ranker, &trained)
        .ok_or_else(|| failed(path, &"has the same accuracy for all graphs, which says nothing"))
}
