//! What stands in a source, for messages about it.

use std::collections::BTreeMap;

/// Things named before the rest is only counted.
const NAMED: usize = 3;
/// Endings named before the rest is only counted.
const ENDINGS: usize = 6;

/// Counts files by the ending of their names.
#[derive(Default)]
pub struct Inventory {
    endings: BTreeMap<String, usize>,
}

impl Inventory {
    /// Takes the path of a file in; that of a folder, which ends in `/`, is none.
    pub fn add(&mut self, path: &str) {
        let file = path.rsplit('/').next().unwrap_or_default();
        if file.is_empty() {
            return;
        }
        let ending = match file.rsplit_once('.') {
            Some((_, ending)) => format!(".{}", ending.to_ascii_lowercase()),
            None => "without ending".to_owned(),
        };
        *self.endings.entry(ending).or_default() += 1;
    }

    /// `3 files (2 .heic, 1 .txt)`.
    pub fn text(&self) -> String {
        let count: usize = self.endings.values().sum();
        if count == 0 {
            return "no files".to_owned();
        }
        let mut endings: Vec<(&String, usize)> =
            self.endings.iter().map(|(ending, &count)| (ending, count)).collect();
        endings.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let named: Vec<String> = endings
            .iter()
            .take(ENDINGS)
            .map(|(ending, count)| format!("{count} {ending:.20}"))
            .collect();
        let more = if endings.len() > ENDINGS { ", …" } else { "" };
        let files = if count == 1 { "file" } else { "files" };
        format!("{count} {files} ({}{more})", named.join(", "))
    }
}

/// Files that are left out, and why: the first few by name. `None` if there are none.
pub fn left_out(files: &[(String, String)]) -> Option<String> {
    let named: Vec<String> =
        files.iter().take(NAMED).map(|(name, why)| format!("{name} ({why})")).collect();
    match files.len().saturating_sub(NAMED) {
        _ if files.is_empty() => None,
        0 => Some(named.join(", ")),
        more => Some(format!("{} and {more} more", named.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_by_ending() {
        let mut inventory = Inventory::default();
        assert_eq!(inventory.text(), "no files");
        ["a/1.HEIC", "a/2.heic", "notes.txt", "b/", "Makefile"]
            .into_iter()
            .for_each(|path| inventory.add(path));
        assert_eq!(inventory.text(), "4 files (2 .heic, 1 .txt, 1 without ending)");
    }

    #[test]
    fn a_few_are_named_and_the_rest_counted() {
        let files: Vec<(String, String)> =
            (0..5).map(|index| (format!("{index}.png"), "empty".to_owned())).collect();
        assert_eq!(left_out(&[]), None);
        assert_eq!(left_out(&files[..1]).unwrap(), "0.png (empty)");
        assert_eq!(
            left_out(&files).unwrap(),
            "0.png (empty), 1.png (empty), 2.png (empty) and 2 more"
        );
    }
}
