//! What weights descend from.

use crate::predictor::{Card, Predictor};

use super::super::{MergeRecord, Provenance};

/// The ancestors of weights, and what these learned from.
#[derive(Clone, Debug)]
pub(in super::super) struct Lineage {
    /// Predictors, the nearest first.
    pub ancestors: Vec<Ancestor>,
    /// What is known of the nearest one's licence and data.
    pub card: Card,
}

/// A predictor, or what one was made of.
#[derive(Clone, Debug)]
pub(in super::super) struct Ancestor {
    /// Name or folder.
    pub name: String,
    /// What it has to do with the weights.
    pub relation: &'static str,
    /// SHA-256 of its `config.json` followed by its `model.safetensors`.
    pub sha256: String,
}

impl Lineage {
    /// Of weights that a predictor writes.
    pub fn of(predictor: &Predictor) -> Self {
        let config = &predictor.config;
        let ancestor = |name: &str, relation, sha256: &str| Ancestor {
            name: name.to_owned(),
            relation,
            sha256: sha256.to_owned(),
        };
        let own = ancestor(&config.name, "the predictor that wrote the weights", &predictor.hash);
        let base = config.base.as_ref();
        let base = base.map(|it| ancestor(&it.name, "the predictor that it builds on", &it.hash));
        let start = config.training.initial.as_ref();
        let start = start.map(|it| {
            ancestor(&it.predictor, "the predictor that its training started from", &it.hash)
        });
        Self {
            ancestors: [Some(own), base, start].into_iter().flatten().collect(),
            card: predictor.card.clone(),
        }
    }

    /// Of weights that were trained from those of a file, by what the file said.
    pub fn of_parent(provenance: &Provenance) -> Self {
        let Provenance { predictor, predictor_hash, .. } = provenance;
        let relation = match predictor.as_str() {
            "none" => "the file that training started from",
            _ => "the predictor that wrote the weights that training started from",
        };
        let (name, sha256) = (predictor.clone(), predictor_hash.clone());
        Self { ancestors: vec![Ancestor { name, relation, sha256 }], card: Card::default() }
    }

    /// Of weights that were merged.
    pub fn of_merge(merged: &MergeRecord) -> Self {
        let ancestors = merged.parents.iter().chain(&merged.base).map(|parent| Ancestor {
            name: parent.file.clone(),
            relation: "a network that was merged",
            sha256: parent.sha256.clone(),
        });
        Self { ancestors: ancestors.collect(), card: Card::default() }
    }
}
