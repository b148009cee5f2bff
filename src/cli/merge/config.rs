//! Configurations of mergekit.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::merge::{Method, Recipe};

use super::{
    super::{Failure, output::failed},
    Plan,
};

/// The keys of mergekit that say something of other networks than language models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    merge_method: String,
    models: Vec<Entry>,
    base_model: Option<PathBuf>,
    #[serde(default)]
    parameters: Parameters,
    /// Tensors keep the types that the graph's file has.
    dtype: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    model: PathBuf,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    weight: Option<f64>,
    density: Option<f64>,
    lambda: Option<f64>,
    normalize: Option<bool>,
    t: Option<f64>,
}

/// Reads a configuration. A base that is among the models is no model to be added to itself, or the first one
/// where there is no base.
pub(super) fn read(path: &Path) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    plan(&text).map_err(|problem| failed(path, &problem))
}

fn plan(text: &str) -> Result<Plan, String> {
    let config: Config = serde_norway::from_str(text).map_err(|error| error.to_string())?;
    let Config { merge_method, models: mut entries, base_model, parameters, dtype } = config;
    let method: Method =
        merge_method.parse().map_err(|problem| format!("merge_method: {problem}"))?;
    if let Some(dtype) = dtype {
        tracing::warn!("dtype {dtype} is not used: tensors keep the types of the graph's file");
    }
    let mut base = base_model;
    if method.adds_to_base() {
        entries.retain(|entry| Some(&entry.model) != base.as_ref());
    } else if let Some(first) = base.take() {
        match entries.iter().position(|entry| entry.model == first) {
            Some(place) => entries[..=place].rotate_right(1),
            None => entries.insert(0, Entry { model: first, parameters: Parameters::default() }),
        }
    }
    let usual = Recipe::usual(method, entries.len());
    let each = |of: fn(&Parameters) -> Option<f64>| -> Vec<f64> {
        let own = |entry: &Entry| of(&entry.parameters).or(of(&parameters)).unwrap_or(1.0);
        entries.iter().map(own).collect()
    };
    let recipe = Recipe {
        weight: each(|it| it.weight),
        density: each(|it| it.density),
        lambda: parameters.lambda.unwrap_or(usual.lambda),
        normalize: parameters.normalize.unwrap_or(usual.normalize),
        t: parameters.t.unwrap_or(usual.t),
        ..usual
    };
    let models = entries.into_iter().map(|entry| entry.model).collect();
    Ok(Plan { models, base, recipe })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plan: &Plan) -> Vec<String> {
        plan.models.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn an_example_of_mergekit_is_read() {
        let plan = plan(
            "models:\n  - model: base.onnx\n  - model: one.onnx\n    parameters:\n      density: 0.5\n      \
             weight: 0.3\n  - model: two.onnx\n    parameters:\n      weight: 0.7\nmerge_method: ties\n\
             base_model: base.onnx\nparameters:\n  normalize: false\n  density: 0.2\n",
        )
        .unwrap();
        assert_eq!(names(&plan), ["one.onnx", "two.onnx"]);
        assert_eq!(plan.base, Some(PathBuf::from("base.onnx")));
        let Recipe { method, weight, density, normalize, lambda, .. } = plan.recipe;
        assert_eq!((method, weight, density), (Method::Ties, vec![0.3, 0.7], vec![0.5, 0.2]));
        assert!(!normalize && lambda == 1.0);
    }

    #[test]
    fn the_base_of_slerp_is_where_it_begins() {
        let plan = plan(
            "models:\n- model: a.onnx\n- model: b.onnx\nmerge_method: slerp\nbase_model: b.onnx\n\
             parameters: {t: 0.25}",
        )
        .unwrap();
        assert_eq!((names(&plan), plan.recipe.t), (vec!["b.onnx".into(), "a.onnx".into()], 0.25));
        assert_eq!(plan.base, None);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let refusal = |text| plan(text).err().unwrap();
        assert!(refusal("merge_method: passthrough\nmodels: []").contains("'passthrough' is none"));
        let slices = refusal("merge_method: linear\nmodels: []\nslices: []");
        assert!(slices.contains("slices") && slices.contains("merge_method"), "{slices}");
        assert!(refusal("models: [").contains("line"));
    }
}
