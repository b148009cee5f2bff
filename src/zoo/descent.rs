//! What networks from elsewhere were made of.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::choice::{chosen, name_of};

/// The file that a checkpoint was imported from, and the networks that it was made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Descent {
    /// SHA-256 of the file.
    pub file: String,
    /// SHA-256 of the files of the networks that it was made of; none where nobody knows of any.
    pub base_models: Vec<String>,
    /// What it is to them.
    pub relation: Option<Relation>,
}

/// What a network is to those that it was made of, as the Hugging Face Hub calls it (`base_model_relation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Relation {
    /// They were merged into it.
    Merge,
    /// It is one of them with an adapter.
    Adapter,
    /// It was trained on from one of them.
    Finetune,
}

const NAMES: [(&str, Relation); 3] =
    [("merge", Relation::Merge), ("adapter", Relation::Adapter), ("finetune", Relation::Finetune)];

impl FromStr for Relation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        chosen(&NAMES, name)
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(name_of(&NAMES, self))
    }
}
