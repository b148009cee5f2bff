//! What a merged network was made from.

use serde::{Deserialize, Serialize};

use crate::merge::{Alignment, Curve, Pattern, Recipe, Repair};

use super::{
    Judged,
    metadata::{MERGED, PARENTS},
};

/// What a network was merged from, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MergeRecord {
    /// The networks, in the order in which they were given.
    pub parents: Vec<ParentRecord>,
    /// The network that task vectors start from, if they were added up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<ParentRecord>,
    /// Method and parameters.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// Which tensors were changed, by name; all if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Pattern>,
    /// How channels were brought into one order.
    pub align: Alignment,
    /// How activations were brought back.
    pub repair: Repair,
    /// Hash of the images that were looked at, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_hash: Option<String>,
    /// The merged network on test images, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
    /// Networks between two parents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Curve>,
}

/// A network that another one was made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParentRecord {
    /// Name of the file.
    pub file: String,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: String,
    /// Licence of the weights, where the file names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Largest difference of outputs that bringing it to a wider or deeper graph made, beside the largest output; none
    /// where it was of the graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widened: Option<f64>,
    /// Distance from the network that it was aligned to, beside the norm of that network: before and after.
    pub distance: [f64; 2],
    /// Largest difference of outputs that alignment made, beside the largest output; none where nothing
    /// was aligned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<f64>,
    /// The network on test images, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
}

impl MergeRecord {
    /// What stands of it in an ONNX file.
    pub(super) fn in_metadata(&self) -> impl Iterator<Item = (&'static str, String)> {
        let all = || self.parents.iter().chain(&self.base);
        let method = &self.recipe.method;
        let merged = format!(
            "{method} of {} networks, aligned by {}, repaired by {}",
            self.parents.len(),
            self.align,
            self.repair
        );
        let hashes: Vec<&str> = all().map(|parent| parent.sha256.as_str()).collect();
        let mut licences: Vec<&str> = all().filter_map(|it| it.licence.as_deref()).collect();
        licences.sort_unstable();
        licences.dedup();
        let licences = (!licences.is_empty()).then(|| ("licence", licences.join(" AND ")));
        [(MERGED, merged), (PARENTS, hashes.join(" "))].into_iter().chain(licences)
    }
}
