//! Whether a filled network is alive. It is run on images, and what it returns has to be finite and to
//! depend on them; nothing on the way may have been left as it was.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{
    condition::Distilled,
    execute::{NormStatistics, Runner, Scratch},
    graph::{Architecture, NodeIndex, Operand, Origin, Parameter, ParameterId, Role, Weights},
    predictor::{CalibrationImages, Prediction, ValueSource},
};

use super::Network;

/// Most images that a network is run on.
pub(super) const SANITY_IMAGES: usize = 32;
/// Least standard deviation of outputs over images, beside their size.
const LEAST_DEVIATION: f64 = 1e-3;
/// How far from chance to perfection the accuracy of a network of use lies, at least: 20 % of ten classes.
const LEAST_BEYOND_CHANCE: f64 = 0.11;
/// Most names in a sentence.
const NAMED: usize = 3;

/// What running a filled network, and looking at what it was filled with, has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SanityCheck {
    /// Images that it was run on.
    pub images: usize,
    /// Why it was run on none, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// What is wrong; nothing if it is alive as far as was seen.
    pub findings: Vec<Finding>,
}

/// Why a filled network is not to be used as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// What was seen, as a sentence without its full stop.
    pub reason: String,
    /// What to do, likewise.
    pub next_step: String,
}

/// What may be wrong with a filled network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// Outputs that are infinite or no numbers.
    NonFiniteOutputs,
    /// Outputs that are the same for every image.
    ConstantOutputs,
    /// Features that do not tell the classes apart.
    ChanceAccuracy,
    /// Batch-normalisation statistics that nobody measured.
    DefaultStatistics,
    /// Weights that are computed from tensors which keep what the file held.
    KeptWeights,
    /// Parameters without values.
    MissingValues,
    /// Buffers of the module that an export without weights leaves out.
    MissingBuffers,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason, self.next_step)
    }
}

impl SanityCheck {
    /// Of a network with calibrated weights. `unmeasured` says why statistics were not measured, if they
    /// were not.
    pub(super) fn of(
        network: &Network,
        prediction: &Prediction,
        images: Result<&CalibrationImages, &str>,
        unmeasured: Option<&str>,
    ) -> Self {
        let Network { architecture, .. } = network;
        let mut check = Self::default();
        check.findings.extend(missing_buffers(network));
        check.findings.extend(missing_values(architecture, prediction));
        check.findings.extend(kept_weights(network, prediction));
        check.findings.extend(default_statistics(architecture, prediction, unmeasured));
        match images
            .map_err(str::to_owned)
            .and_then(|images| outputs(network, &prediction.weights, images))
        {
            Ok((images, outputs)) => {
                check.images = images;
                check.findings.extend(judged(&outputs, images));
            }
            Err(why) => check.not_run = Some(why),
        }
        check
    }

    /// Whether nothing wrong was found.
    pub fn passed(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Runs a network: how many images it was run on, and its first output, image by image.
fn outputs(
    network: &Network,
    weights: &Weights,
    images: &CalibrationImages,
) -> Result<(usize, Vec<f32>), String> {
    let Network { architecture, registry, .. } = network;
    let absent = |(index, parameter): &(usize, &Parameter)| {
        !parameter.slots.is_empty() && weights.get(ParameterId(*index)).is_none()
    };
    if let Some((_, parameter)) = architecture.parameters.iter().enumerate().find(absent) {
        return Err(format!("parameter '{}' has no value", parameter.name));
    }
    let runner = Runner::of_batch(architecture, images.shape, registry)?;
    let running = NormStatistics::Running;
    runner
        .logits(weights, images.view(), &running, &mut Scratch::default())
        .map(|outputs| (images.shape[0], outputs))
        .map_err(|error| error.to_string())
}

/// What outputs of some images, one after the other, have wrong.
fn judged(outputs: &[f32], images: usize) -> Option<Finding> {
    let unfit = outputs.iter().filter(|value| !value.is_finite()).count();
    if unfit > 0 {
        return Some(Finding {
            kind: FindingKind::NonFiniteOutputs,
            reason: format!(
                "{unfit} of {} outputs on {images} images are infinite or no numbers",
                outputs.len()
            ),
            next_step: "do not use these weights; try another --seed or --predictor, or train the network from an \
                        initialisation of your own"
                .to_owned(),
        });
    }
    let (deviation, size) = spread(outputs, images)?;
    (deviation <= LEAST_DEVIATION * size).then(|| Finding {
        kind: FindingKind::ConstantOutputs,
        reason: format!(
            "the network is dead: over {images} images its outputs deviate by {deviation:.1e} at a size of \
             {size:.1e}, so that they say nothing of the image"
        ),
        next_step: "look for a layer that hides the image (such as a product with 0), move the weights towards \
                    labelled images (--support DATA), or train the network from an initialisation of your own"
            .to_owned(),
    })
}

/// Whether the features of a head say nothing of the classes that it was solved for.
pub(super) fn at_chance(head: &Distilled) -> Option<Finding> {
    let &Distilled { images, classes, left_out_accuracy } = head;
    let chance = 1.0 / classes as f64;
    let beyond = (left_out_accuracy - chance) / (1.0 - chance);
    (beyond < LEAST_BEYOND_CHANCE).then(|| Finding {
        kind: FindingKind::ChanceAccuracy,
        reason: format!(
            "of the {images} images that the predictor learned, {:.0} % are classified right when they are left out of \
             the head's fit: the network tells its classes apart hardly better than chance",
            100.0 * left_out_accuracy
        ),
        next_step: "fit the weights to labelled images (--support DATA), or train the network from here"
            .to_owned(),
    })
}

/// Root mean squares of the deviation of every output from its mean over images, and of the outputs;
/// `None` where there is nothing to compare.
fn spread(outputs: &[f32], images: usize) -> Option<(f64, f64)> {
    let each = outputs.len().checked_div(images).filter(|&each| each > 0 && images > 1)?;
    let mut means = vec![0.0; each];
    for image in outputs.chunks_exact(each) {
        for (mean, &value) in means.iter_mut().zip(image) {
            *mean += f64::from(value) / images as f64;
        }
    }
    let root_mean_square = |sum: f64| (sum / outputs.len() as f64).sqrt();
    let centred = outputs.chunks_exact(each).flat_map(|image| image.iter().zip(&means));
    let deviation = centred.map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum();
    let size = outputs.iter().map(|&value| f64::from(value).powi(2)).sum();
    Some((root_mean_square(deviation), root_mean_square(size)))
}

fn default_statistics(
    architecture: &Architecture,
    prediction: &Prediction,
    unmeasured: Option<&str>,
) -> Option<Finding> {
    let left = labelled(architecture, prediction, |parameter, label| {
        *label == ValueSource::Default && parameter.role().is_some_and(Role::is_statistic)
    });
    let why = unmeasured.unwrap_or("what was measured is not finite");
    (!left.is_empty()).then(|| Finding {
        kind: FindingKind::DefaultStatistics,
        reason: format!(
            "the batch-normalisation statistics {} keep their defaults: {why}",
            named(&left)
        ),
        next_step: match unmeasured {
            None => "measure them on images of yours (--calibrate DATA)",
            Some(_) => {
                "measure them on data of yours: load the weights and run some batches through the network in \
                 training mode"
            }
        }
        .to_owned(),
    })
}

fn missing_values(architecture: &Architecture, prediction: &Prediction) -> Option<Finding> {
    let left =
        labelled(architecture, prediction, |_, label| matches!(label, ValueSource::Skipped(_)));
    let why = prediction.labels.iter().find_map(|label| match label {
        ValueSource::Skipped(why) => Some(why),
        _ => None,
    })?;
    Some(Finding {
        kind: FindingKind::MissingValues,
        reason: format!("{} got no values: {why}", named(&left)),
        next_step: "set them yourself, or export the network with its values and shapes".to_owned(),
    })
}

/// Tables of indices, which cannot be predicted, among what an export without weights leaves out: inputs of
/// integers beside weights of the same module.
fn missing_buffers(network: &Network) -> Option<Finding> {
    let module = |name: &str| name.rsplit_once('.').map(|(module, _)| module.to_owned());
    let tensors = network.tensors();
    let weightless = tensors.iter().map(|stored| stored.tensor);
    let weightless = weightless.filter(|it| matches!(it.origin, Origin::GraphInput(_)));
    let modules: BTreeSet<String> = weightless.filter_map(|it| module(&it.name)).collect();
    let inputs = network.architecture.inputs.iter().skip(1);
    let integers = inputs.filter(|input| input.dtype.is_some_and(|dtype| !dtype.is_float()));
    let left: Vec<&str> = integers
        .map(|input| input.name.as_str())
        .filter(|name| module(name).is_some_and(|module| modules.contains(&module)))
        .collect();
    (!left.is_empty()).then(|| Finding {
        kind: FindingKind::MissingBuffers,
        reason: format!(
            "the export without weights left out {}, which the module does not learn",
            named(&left)
        ),
        next_step: "export the network with its values: torch.onnx.export(…, export_params=True) keeps them"
            .to_owned(),
    })
}

/// Weights of layers that are computed from tensors which keep what the file held.
fn kept_weights(network: &Network, prediction: &Prediction) -> Option<Finding> {
    let Network { architecture, registry, .. } = network;
    let mut left: BTreeSet<ParameterId> = BTreeSet::new();
    let mut reader = None;
    for &index in &architecture.order {
        let node = &architecture.dag[index];
        let facts: Vec<_> = node.inputs.iter().map(|&it| architecture.fact(it)).collect();
        let rules = registry.find(node).and_then(|operator| operator.slots(node, &facts));
        for rule in rules.unwrap_or_default().iter().filter(|rule| rule.role == Role::Weight) {
            // A tensor that a layer reads as it is was kept on purpose.
            let Some(&operand @ Operand::Node { .. }) = node.inputs.get(rule.input) else {
                continue;
            };
            let parameters = computed_from(architecture, operand).unwrap_or_default();
            let kept = |id: &ParameterId| {
                prediction.labels[id.0] == ValueSource::Kept && !architecture.parameters[id.0].fixed
            };
            let before = left.len();
            left.extend(parameters.into_iter().filter(kept));
            if left.len() > before {
                reader.get_or_insert(index);
            }
        }
    }
    let reader: NodeIndex = reader?;
    let names: Vec<&str> =
        left.iter().map(|id| architecture.parameters[id.0].name.as_str()).collect();
    Some(Finding {
        kind: FindingKind::KeptWeights,
        reason: format!(
            "the weight of {} is made of {}, which keep what the file held and were not predicted",
            architecture.describe(reader),
            named(&names)
        ),
        next_step: "export the network with plain weights: without parametrisations such as weight norm, and \
                    without arithmetic on weights"
            .to_owned(),
    })
}

/// The parameters that alone an operand is computed from; `None` if data reaches it.
fn computed_from(architecture: &Architecture, operand: Operand) -> Option<Vec<ParameterId>> {
    let (mut stack, mut found) = (vec![operand], Vec::new());
    let mut seen = vec![false; architecture.dag.node_count()];
    while let Some(operand) = stack.pop() {
        match operand {
            Operand::Input(_) => return None,
            Operand::Parameter(id) => found.push(id),
            Operand::Node { node, .. } if !std::mem::replace(&mut seen[node.index()], true) => {
                stack.extend(&architecture.dag[node].inputs);
            }
            _ => {}
        }
    }
    Some(found)
}

/// Names of the parameters that are like that.
fn labelled<'a>(
    architecture: &'a Architecture,
    prediction: &Prediction,
    is_so: impl Fn(&Parameter, &ValueSource) -> bool,
) -> Vec<&'a str> {
    let pairs = architecture.parameters.iter().zip(&prediction.labels);
    let so = pairs.filter(|(parameter, label)| is_so(parameter, label));
    so.map(|(parameter, _)| parameter.name.as_str()).collect()
}

/// The first of some names, and how many more there are.
fn named(names: &[&str]) -> String {
    let first: Vec<String> = names.iter().take(NAMED).map(|name| format!("'{name}'")).collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    fn kind(outputs: &[f32], images: usize) -> Option<FindingKind> {
        judged(outputs, images).map(|finding| finding.kind)
    }

    #[test]
    fn outputs_that_no_image_moves_are_dead() {
        assert_eq!(kind(&[0.5, 2.0, 0.5, 2.0], 2), Some(FindingKind::ConstantOutputs));
        assert_eq!(kind(&[0.0; 6], 3), Some(FindingKind::ConstantOutputs));
        assert_eq!(kind(&[100.0, 100.05], 2), Some(FindingKind::ConstantOutputs));
        assert_eq!(kind(&[100.0, 101.0], 2), None);
        assert_eq!(kind(&[1.0, 1.0], 1), None, "one image says nothing");
    }

    #[test]
    fn outputs_must_be_numbers() {
        assert_eq!(kind(&[1.0, f32::NAN], 2), Some(FindingKind::NonFiniteOutputs));
        assert_eq!(kind(&[1.0, f32::INFINITY], 2), Some(FindingKind::NonFiniteOutputs));
    }

    #[test]
    fn deviations_are_from_the_mean_of_each_output() {
        let (deviation, size) = spread(&[1.0, 10.0, 3.0, 10.0], 2).unwrap();
        assert_relative_eq!(deviation, 0.5f64.sqrt());
        assert_relative_eq!(size, 52.5f64.sqrt());
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(named(&["a", "b"]), "'a', 'b'");
        assert_eq!(named(&["a", "b", "c", "d", "e"]), "'a', 'b', 'c' and 2 more");
    }
}
