//! Numbers that a user gives for graphs, in a table of comma-separated values.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    cli::{Failure, output::failed},
    csv::Csv,
};

/// The numbers of a table for some graphs.
#[derive(Debug, Default)]
pub(super) struct ByFile {
    /// By file.
    pub values: BTreeMap<String, f64>,
    /// Names in the table that are none of the files.
    pub unknown: Vec<String>,
}

impl ByFile {
    /// Reads the columns `file`, a path or its last part, and `value`. A row that names more than one of the
    /// files is an error.
    pub fn read(path: &Path, value: &str, files: &[&str]) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
        Self::parse(&text, value, files).map_err(|problem| failed(path, &problem))
    }

    fn parse(text: &str, value: &str, files: &[&str]) -> Result<Self, String> {
        let csv = Csv::parse(text)?;
        let column = |name: &str| {
            let there = csv.header.join(", ");
            csv.column(name).ok_or_else(|| format!("has no column '{name}', only {there}"))
        };
        let (file, number) = (column("file")?, column(value)?);
        let mut found = Self::default();
        for row in &csv.rows {
            let (name, text) = (&row[file], &row[number]);
            let number: Option<f64> = text.parse().ok().filter(|number: &f64| number.is_finite());
            let number = number.ok_or_else(|| format!("'{name}': '{text}' is no {value}"))?;
            let last = |path: &str| Path::new(path).file_name() == Some(name.as_ref());
            let exact = files.iter().any(|path| path == name);
            let fits = |path: &&&str| if exact { *path == name } else { last(path) };
            match files.iter().filter(fits).collect::<Vec<_>>()[..] {
                [file] => drop(found.values.insert((*file).to_owned(), number)),
                [] => found.unknown.push(name.clone()),
                _ => {
                    return Err(format!(
                        "'{name}' is the last part of several paths; give the path"
                    ));
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_path_or_by_their_last_part() {
        let files = ["a/x.onnx", "b/x.onnx", "b/y.onnx"];
        let read = |text: &str| ByFile::parse(text, "accuracy", &files);
        let found = read("accuracy,file\n91,y.onnx\n92,a/x.onnx\n90,z.onnx\n").unwrap();
        assert_eq!(found.values["b/y.onnx"], 91.0);
        assert_eq!(found.values["a/x.onnx"], 92.0);
        assert_eq!(found.unknown, ["z.onnx"]);
        for (text, problem) in [
            ("file,accuracy\nx.onnx,91\n", "several paths"),
            ("file,accuracy\ny.onnx,good\n", "'good' is no accuracy"),
            ("name,accuracy\ny.onnx,91\n", "no column 'file'"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(problem), "{found}");
        }
    }
}
