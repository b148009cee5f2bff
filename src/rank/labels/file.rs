//! Labels in a file: its first line is the setting, each further one a label.

use std::{collections::BTreeSet, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::FileError;

use super::{
    super::journal::{Journal, lines},
    Label, LabelError, LabelSetting,
};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Label(Label),
    Setting(LabelSetting),
}

/// A file that labels are added to.
#[derive(Debug)]
pub struct LabelFile {
    journal: Journal,
    known: BTreeSet<(String, u64)>,
}

impl LabelFile {
    /// Opens or creates a file. One of another setting is refused and stays as it is.
    pub fn open(path: &Path, setting: &LabelSetting) -> Result<Self, LabelError> {
        let (journal, lines) = Journal::open::<Line>(path)?;
        let (mut known, mut settings) = (BTreeSet::new(), Vec::new());
        for line in lines {
            match line {
                Line::Label(label) => drop(known.insert((label.space, label.seed))),
                Line::Setting(other) => settings.push(other),
            }
        }
        match settings.first() {
            Some(other) if other == setting => {}
            None if known.is_empty() => journal.put(setting)?,
            other => {
                let held = other.map_or("no setting".to_owned(), |other| {
                    format!(
                        "labels of {} images, {} for validation, {} epochs, seed {}, data {}",
                        other.images, other.validation, other.epochs, other.seed, other.data_hash
                    )
                });
                let problem = format!("holds {held}; repeat that setting or choose another file");
                return Err(LabelError::Content { path: path.to_owned(), problem });
            }
        }
        Ok(Self { journal, known })
    }

    /// Whether a graph has its line already.
    pub fn holds(&self, space: &str, seed: u64) -> bool {
        self.known.contains(&(space.to_owned(), seed))
    }

    /// Graphs that have a line.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no graph has one.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Adds a label.
    pub(super) fn put(&self, label: &Label) -> Result<(), FileError> {
        self.journal.put(label)
    }
}

/// The setting and the labels of a file, each graph once.
pub fn labels_of(path: &Path) -> Result<(LabelSetting, Vec<Label>), LabelError> {
    let text = fs::read(path).map_err(FileError::at(path))?;
    let (mut setting, mut labels, mut known) = (None, Vec::new(), BTreeSet::new());
    for line in lines::<Line>(&text) {
        match line {
            Line::Label(label) if known.insert((label.space.clone(), label.seed)) => {
                labels.push(label);
            }
            Line::Label(_) => {}
            Line::Setting(it) => setting = setting.or(Some(it)),
        }
    }
    let content = || {
        let problem = "is no file of 'rank label': it has no line with a setting".to_owned();
        LabelError::Content { path: path.to_owned(), problem }
    };
    Ok((setting.ok_or_else(content)?, labels))
}
