//! Small networks, aligned and repaired.

use std::sync::Arc;

use approx::assert_abs_diff_eq;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    condition::Fitting,
    evaluate::blurred,
    execute::{NormStatistics, Runner, Scratch},
    graph::{Architecture, Role, Weights},
    neural::normal,
    onnx::Model,
    ops::{Registry, resolve},
    predictor::{CalibrationImages, InputConfig},
    spaces::Named,
    weights::{distance, he_initialisation},
    zoo::{Aligned, Groups},
};

use super::{
    Alignment, MergeError, Method, Parents, Recipe, Repair,
    correlation::matched,
    layer::Layer,
    probe::{Moments, Probed},
    rescale::{free_layers, goals},
};

/// A network of the literature, and images for it.
struct Case {
    architecture: Architecture,
    registry: Arc<Registry>,
    input: InputConfig,
    images: CalibrationImages,
}

impl Case {
    fn named(name: &str) -> Self {
        let onnx = Named::find(name).unwrap().onnx();
        let model = Model::from_bytes(name, onnx.into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        let registry = Registry::standard();
        resolve(&mut architecture, &registry).unwrap();
        let [channels, height, width] = architecture.image_shape().unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let shape = [12, channels, height, width];
        let data = (0..shape.iter().product()).map(|_| normal(&mut random)).collect();
        let input = InputConfig { mean: vec![0.5; 3], std: vec![0.25; 3], size: 32 };
        Self { architecture, registry, input, images: CalibrationImages { shape, data } }
    }

    fn fitting(&self) -> Fitting<'_> {
        let Self { architecture, registry, input, images } = self;
        Fitting { architecture, registry, input, images }
    }

    /// Random weights whose biases and statistics are not at their defaults.
    fn weights(&self, seed: u64) -> Weights {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        he_initialisation(&self.architecture, seed).map(|id, values| {
            match self.architecture.parameters[id.0].role() {
                Some(Role::Weight) => values.to_vec(),
                _ => values.iter().map(|value| value + 0.2 * normal(&mut random).abs()).collect(),
            }
        })
    }

    fn logits(&self, weights: &Weights) -> Vec<f32> {
        let runner = Runner::of_batch(&self.architecture, self.images.shape, &self.registry);
        let (images, running) = (self.images.view(), NormStatistics::Running);
        runner.unwrap().logits(weights, images, &running, &mut Scratch::default()).unwrap()
    }

    fn shuffled(&self, weights: &Weights, seed: u64) -> Weights {
        let groups = Groups::of(&self.architecture, &self.registry);
        let mut permutations = groups.identity();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        permutations.iter_mut().for_each(|it| it.shuffle(&mut random));
        groups.permute(weights, &permutations).unwrap()
    }

    fn moments(&self, layers: &[Layer], weights: &Weights) -> Vec<Moments> {
        let standard: Vec<Moments> =
            layers.iter().map(|it| Moments::standard(it.channels())).collect();
        let probed = Probed::beside(&self.architecture, layers);
        probed.moments(&self.fitting(), weights, &standard).unwrap()
    }
}

fn close(a: &[f32], b: &[f32], epsilon: f32) {
    let size = b.iter().fold(1.0f32, |size, value| size.max(value.abs()));
    for (a, b) in a.iter().zip(b) {
        assert_abs_diff_eq!(a / size, b / size, epsilon = epsilon);
    }
}

#[test]
fn children_of_one_network_stay_in_its_order() {
    let case = Case::named("lenet-5");
    // The second half of a layer's channels does what the first half does, half as much: activations cannot tell
    // them apart.
    let parent = case.weights(1).map(|id, values| {
        let mut values = values.to_vec();
        let parameter = &case.architecture.parameters[id.0];
        if let (Some(Role::Weight), Some(&[outputs, _, _, _])) =
            (parameter.role(), parameter.shape.as_deref())
        {
            let (first, second) =
                values.split_at_mut(parameter.len().unwrap() / outputs * (outputs / 2));
            second.iter_mut().zip(first).for_each(|(twin, value)| *twin = 0.5 * *value);
        }
        values
    });
    let [one, other] = [1, 2].map(|seed| blurred(&case.architecture, &parent, 0.1, seed));
    let fitting = case.fitting();
    let groups = Groups::of(&case.architecture, &case.registry);
    assert_ne!(matched(&fitting, &groups, &one, &other).unwrap(), groups.identity());
    let aligned = Alignment::Activations.align(&fitting, &one, &other).unwrap();
    assert_eq!(aligned.permutations, groups.identity());
    assert!(aligned.after < 0.15, "{}", aligned.after);
}

#[test]
fn a_network_and_its_own_permutation_give_back_the_network() {
    for name in ["lenet-5", "resnet-20"] {
        let case = Case::named(name);
        let weights = case.weights(1);
        let shuffled = case.shuffled(&weights, 2);
        close(&case.logits(&shuffled), &case.logits(&weights), 1e-5);
        for align in [Alignment::Weights, Alignment::Activations] {
            let aligned = align.align(&case.fitting(), &shuffled, &weights).unwrap();
            close(&case.logits(&aligned.weights), &case.logits(&weights), 1e-5);
            let Aligned { before, after, .. } = aligned;
            if (name, align) == ("resnet-20", Alignment::Activations) {
                // Channels that are zero on all images have no order by what they return.
                assert!(after < 0.5 * before, "{before}, {after}");
                continue;
            }
            assert!(before > 0.5 && after < 1e-6, "{name}, {align}: {before}, {after}");
            let recipe = Recipe::usual(Method::Mean, 2);
            let networks = [weights.clone(), aligned.weights];
            let merged = recipe.merge(&case.architecture, &networks, None).unwrap();
            assert!(distance(&case.architecture, &merged, &weights) < 1e-6);
            let parents = Parents { networks: &networks, shares: &[0.5, 0.5] };
            for repair in [Repair::ClosedForm, Repair::Rescale] {
                let repaired = repair.repair(&case.fitting(), merged.clone(), &parents);
                match (name, repair) {
                    ("lenet-5", Repair::ClosedForm) => {
                        assert!(matches!(repaired, Err(MergeError::NothingStored)));
                    }
                    // Its statistics are those of the images, not the stored ones.
                    ("resnet-20", Repair::Rescale) => assert!(repaired.is_ok()),
                    _ => close(&case.logits(&repaired.unwrap()), &case.logits(&weights), 5e-3),
                }
            }
        }
    }
}

#[test]
fn rescaling_sets_moments_between_those_of_the_parents() {
    let case = Case::named("plain-cnn");
    let networks = [case.weights(1), case.weights(2)];
    let recipe = Recipe { weight: vec![0.75, 0.25], ..Recipe::usual(Method::Mean, 2) };
    let merged = recipe.merge(&case.architecture, &networks, None).unwrap();
    let shares = recipe.shares();
    let parents = Parents { networks: &networks, shares: &shares };
    let layers = free_layers(&case.architecture, &case.registry);
    assert_eq!(layers.len(), 3, "three convolutions; the head stays");
    let goals = goals(&case.fitting(), &layers, &parents).unwrap();
    let before = case.moments(&layers, &merged);
    let spread = |moments: &Moments| moments.deviation.iter().sum::<f32>();
    assert!(spread(&before[2]) < 0.8 * spread(&goals[2]), "averaging makes activations vary less");
    let repaired = Repair::Rescale.repair(&case.fitting(), merged, &parents).unwrap();
    for (found, goal) in case.moments(&layers, &repaired).iter().zip(&goals) {
        close(&found.mean, &goal.mean, 1e-3);
        close(&found.deviation, &goal.deviation, 1e-3);
    }
}

#[test]
fn regression_goes_from_the_mean_to_the_parent_that_counts() {
    for name in ["plain-cnn", "resnet-20", "mobilenet-v2", "densenet-40", "vit-tiny"] {
        let case = Case::named(name);
        let networks = [case.weights(1), case.weights(2)];
        let recipe = Recipe::usual(Method::Mean, 2);
        let merged = recipe.merge(&case.architecture, &networks, None).unwrap();
        let goal = case.logits(&networks[0]);
        let off = |weights: &Weights| -> f32 {
            let logits = case.logits(weights);
            logits.iter().zip(&goal).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
        };
        let parents = Parents { networks: &networks, shares: &[1.0, 0.0] };
        let fitted = Repair::Regression.repair(&case.fitting(), merged.clone(), &parents).unwrap();
        let (before, after) = (off(&merged), off(&fitted));
        assert!(after < 0.3 * before, "{name}: {before}, {after}");
    }
}

#[test]
fn the_closed_form_is_exact_for_one_filter_and_one_of_its_multiples() {
    let case = Case::named("resnet-20");
    let first = case.weights(1);
    // Twice the weights make twice the deviations; the mean of both makes the mean of the deviations.
    let second = first.map(|id, values| {
        let factor = match case.architecture.parameters[id.0].role() {
            Some(Role::Weight | Role::RunningMean) => 2.0,
            Some(Role::RunningVariance) => 4.0,
            _ => 1.0,
        };
        values.iter().map(|value| factor * value).collect()
    });
    let networks = [first.clone(), second];
    let recipe = Recipe::usual(Method::Mean, 2);
    let merged = recipe.merge(&case.architecture, &networks, None).unwrap();
    let parents = Parents { networks: &networks, shares: &[0.5, 0.5] };
    let repaired = Repair::ClosedForm.repair(&case.fitting(), merged, &parents).unwrap();
    for (index, parameter) in case.architecture.parameters.iter().enumerate() {
        if parameter.role() == Some(Role::RunningVariance) {
            let id = crate::graph::ParameterId(index);
            let expected: Vec<f32> =
                first.get(id).unwrap().iter().map(|variance| 2.25 * variance).collect();
            close(repaired.get(id).unwrap(), &expected, 1e-5);
        }
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let refusal =
        |recipe: Recipe, networks, base| recipe.check(networks, base).unwrap_err().to_string();
    let ties = Recipe::usual(Method::Ties, 2);
    assert!(refusal(ties.clone(), 2, false).contains("--base"));
    assert!(
        refusal(Recipe { density: vec![0.5, 0.0], ..ties.clone() }, 2, true).contains("density")
    );
    assert!(refusal(Recipe { weight: vec![1.0], ..ties }, 2, true).contains("give one for each"));
    let slerp = Recipe::usual(Method::Slerp, 3);
    assert!(refusal(slerp.clone(), 3, false).contains("two networks"));
    assert!(
        refusal(Recipe { t: 1.5, ..Recipe::usual(Method::Slerp, 2) }, 2, false).contains("'t'")
    );
    assert!(refusal(Recipe::usual(Method::Mean, 1), 1, false).contains("two networks or more"));
    let opposite = Recipe { weight: vec![1.0, -1.0], ..Recipe::usual(Method::Mean, 2) };
    assert!(refusal(opposite, 2, false).contains("sum of weight"));
    let no_data = Repair::Rescale.check(Method::Mean, false).unwrap_err().to_string();
    assert!(no_data.contains("--data"), "{no_data}");
    let between = Repair::ClosedForm.check(Method::Ties, true).unwrap_err().to_string();
    assert!(between.contains("'closed-form' interpolates"), "{between}");
    let unknown = "tis".parse::<Method>().unwrap_err();
    assert!(unknown.contains("none of mean, slerp"), "{unknown}");
}
