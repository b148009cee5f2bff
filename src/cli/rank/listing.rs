//! The files that `rank` is told to read.

use std::{
    collections::BTreeSet,
    fs,
    io::BufRead,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{cli::Failure, onnx::folder::is_onnx};

/// Paths of all graphs, each once, in the order of their names.
pub(super) fn files(graphs: &[String]) -> Result<Vec<String>, Failure> {
    let mut found = BTreeSet::new();
    for graph in graphs {
        let path = Path::new(graph);
        if graph == "-" {
            for line in std::io::stdin().lock().lines() {
                let line = line?;
                if !line.trim().is_empty() {
                    found.insert(file_of(&line)?);
                }
            }
        } else if path.is_dir() {
            folder(path, &mut found)?;
        } else if !path.exists() && graph.contains(['*', '?']) {
            let before = found.len();
            matching(path, &mut found)?;
            if found.len() == before {
                return Err(format!("{graph}: matches no file").into());
            }
        } else {
            found.insert(graph.clone());
        }
    }
    if found.is_empty() {
        return Err("no graph was given".into());
    }
    Ok(found.into_iter().collect())
}

/// A line: a string, or an object with a field `file`.
fn file_of(line: &str) -> Result<String, Failure> {
    let value: Value =
        serde_json::from_str(line).map_err(|error| format!("'{line}' is not JSON: {error}"))?;
    let file = value.as_str().or_else(|| value.get("file")?.as_str());
    Ok(file.ok_or_else(|| format!("'{line}' names no file"))?.to_owned())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::from(format!("{}: {error}", folder.display()));
    fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}

fn folder(path: &Path, found: &mut BTreeSet<String>) -> Result<(), Failure> {
    for entry in entries(path)? {
        if entry.is_dir() && !entry.is_symlink() {
            folder(&entry, found)?;
        } else if is_onnx(&entry) {
            found.insert(entry.display().to_string());
        }
    }
    Ok(())
}

/// Files whose last component matches that of a pattern.
fn matching(pattern: &Path, found: &mut BTreeSet<String>) -> Result<(), Failure> {
    let wanted = pattern.file_name().map(|name| name.to_string_lossy().into_owned());
    let folder = pattern.parent().filter(|folder| !folder.as_os_str().is_empty());
    for entry in entries(folder.unwrap_or(Path::new(".")))? {
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned());
        let (Some(wanted), Some(name)) = (&wanted, &name) else { continue };
        if entry.is_file() && matches(wanted.as_bytes(), name.as_bytes()) {
            found.insert(entry.display().to_string());
        }
    }
    Ok(())
}

/// `*` stands for any characters, `?` for one. Linear in memory, at worst quadratic in time.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, n) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let yes = [("*.onnx", "a.onnx"), ("a?c*", "abc"), ("*", ""), ("*a*b", "xaaxbb")];
        let no = [("*.onnx", "a.onn"), ("a?c", "ac"), ("a*b", "abc"), ("", "a")];
        assert!(yes.iter().all(|(pattern, name)| matches(pattern.as_bytes(), name.as_bytes())));
        assert!(!no.iter().any(|(pattern, name)| matches(pattern.as_bytes(), name.as_bytes())));
    }

    #[test]
    fn lines_name_files() {
        assert_eq!(file_of("\"a.onnx\"").unwrap(), "a.onnx");
        assert_eq!(file_of("{\"file\": \"b.onnx\", \"id\": 3}").unwrap(), "b.onnx");
        assert!(file_of("{}").is_err() && file_of("a.onnx").is_err());
    }
}
