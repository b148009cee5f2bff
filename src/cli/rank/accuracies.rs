//! Trained accuracies that a user gives.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    cli::{Failure, output::failed},
    csv::Csv,
    rank::{Aggregate, Ranking, Record, learned::FEWEST_LABELS, refined_ranking},
};

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
    let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    let trained = read(&text, &files).map_err(|problem| failed(path, &problem))?;
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

/// Accuracies by file. A row that names none of the files, or more than one, is an error.
fn read(text: &str, files: &[&str]) -> Result<BTreeMap<String, f64>, String> {
    let csv = Csv::parse(text)?;
    let column = |name: &str| {
        let there = csv.header.join(", ");
        csv.column(name).ok_or_else(|| format!("has no column '{name}', only {there}"))
    };
    let (file, accuracy) = (column("file")?, column("accuracy")?);
    let mut trained = BTreeMap::new();
    for row in &csv.rows {
        let (name, value) = (&row[file], &row[accuracy]);
        let value: Option<f64> = value.parse().ok().filter(|value: &f64| value.is_finite());
        let value = value.ok_or_else(|| format!("'{name}': '{}' is no accuracy", row[accuracy]))?;
        let last = |path: &str| Path::new(path).file_name() == Some(name.as_ref());
        let exact = files.iter().filter(|path| *path == name).count();
        let named: Vec<&&str> = files
            .iter()
            .filter(|path| if exact > 0 { *path == name } else { last(path) })
            .collect();
        match named[..] {
            [file] => drop(trained.insert((*file).to_owned(), value)),
            [] => return Err(format!("'{name}' is none of the graphs that are ranked")),
            _ => return Err(format!("'{name}' is the last part of several paths; give the path")),
        }
    }
    Ok(trained)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_path_or_by_their_last_part() {
        let files = ["a/x.onnx", "b/x.onnx", "b/y.onnx"];
        let trained = read("accuracy,file\n91,y.onnx\n92,a/x.onnx\n", &files).unwrap();
        assert_eq!(trained["b/y.onnx"], 91.0);
        assert_eq!(trained["a/x.onnx"], 92.0);
        for (text, problem) in [
            ("file,accuracy\nx.onnx,91\n", "several paths"),
            ("file,accuracy\nz.onnx,91\n", "none of the graphs"),
            ("file,accuracy\ny.onnx,good\n", "'good' is no accuracy"),
            ("name,accuracy\ny.onnx,91\n", "no column 'file'"),
        ] {
            let found = read(text, &files).unwrap_err();
            assert!(found.contains(problem), "{found}");
        }
    }
}
