//! Mirror images of networks. Where a data set's images are as likely mirrored as not, so are the
//! kernels of a network that classifies them: W and its mirror image are two points of one posterior,
//! and two networks whose mistakes differ. With strides or uneven pads the mirror image looks at other pixels than the
//! network does at a mirrored image, so that it is a network of its own even to a mirrored test set.

use crate::{
    graph::{Architecture, Operand, ParameterId, Weights},
    kernels::Step,
    ops::Registry,
};

/// Which parameters of an architecture are turned round, along their last axis, in its mirror image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Each with the length of its last axis.
    kernels: Vec<(ParameterId, usize)>,
}

/// Where a value keeps the width of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Axis(usize),
    Gone,
}

/// What a node reads.
struct Read {
    shape: Option<Vec<usize>>,
    /// `None` for weights and constants.
    width: Option<Width>,
}

impl Mirror {
    /// Of an architecture with known shapes that reads one batch of images, `[N, C, H, W]`; `None` where
    /// it reads something else, or something depends on where in the width of the image it is, as
    /// learned positions do.
    pub fn of(architecture: &Architecture, registry: &Registry) -> Option<Self> {
        architecture.image_shape().ok()?;
        let mut widths: Vec<Option<Width>> = vec![None; architecture.dag.node_count()];
        let mut kernels = Vec::new();
        for &index in &architecture.order {
            let node = architecture.dag.node_weight(index)?;
            let step = registry.step(architecture, node)?;
            let read = |&operand: &Operand| {
                let width = match operand {
                    Operand::Node { node, .. } => widths[node.index()],
                    Operand::Input(_) => Some(Width::Axis(3)),
                    _ => None,
                };
                Read { shape: architecture.fact(operand).and_then(|fact| fact.shape), width }
            };
            let operands: Vec<Read> = node.inputs.iter().map(read).collect();
            let result = node.outputs.first()?.shape.clone()?;
            let width = after(&step, &operands, &result)?;
            if let (Step::Conv2d { .. }, Some(Operand::Parameter(id))) = (&step, node.inputs.get(1))
            {
                kernels.push((*id, *architecture.parameters.get(id.0)?.shape.as_ref()?.last()?));
            }
            widths[index.index()] = Some(match width {
                Width::Axis(axis) if result.get(axis) == Some(&1) => Width::Gone,
                width => width,
            });
        }
        kernels.sort_unstable();
        kernels.dedup();
        Some(Self { kernels })
    }

    /// Turns weights, or gradients with respect to them, round.
    pub fn turn(&self, weights: &mut Weights) {
        for &(id, width) in &self.kernels {
            if let Some(kernels) = weights.get_mut(id) {
                kernels.chunks_exact_mut(width).for_each(<[f32]>::reverse);
            }
        }
    }
}

/// Where a step's result keeps the width, or `None` where its mirror image would not be that of the
/// result.
fn after(step: &Step, operands: &[Read], result: &[usize]) -> Option<Width> {
    let first = operands.first()?;
    let from = first.shape.as_ref()?;
    let axis = match (first.width, step) {
        (Some(Width::Axis(axis)), _) => axis,
        // Of two operands the second may be the image.
        (Some(Width::Gone) | None, Step::Add | Step::Sub | Step::Mul | Step::Concat { .. }) => {
            let image = operands.iter().find_map(|read| match read.width {
                Some(Width::Axis(axis)) => Some(axis),
                _ => None,
            });
            match image {
                Some(axis) => axis,
                None => return Some(Width::Gone),
            }
        }
        (Some(Width::Gone), _) => return Some(Width::Gone),
        (None, _) => return None,
    };
    let trailing = |shape: &[usize], axis: usize| shape[axis + 1..].iter().product::<usize>();
    let stays = |holds: bool| holds.then_some(Width::Axis(axis));
    match step {
        Step::Identity | Step::Activation(_) | Step::Scale { .. } => stays(true),
        Step::Conv2d { .. }
        | Step::MaxPool { .. }
        | Step::AveragePool { .. }
        | Step::AdaptivePool
        | Step::BatchNorm { .. }
        | Step::GroupNorm { .. } => stays(axis == 3 && from.len() == 4),
        Step::Linear { .. } | Step::LayerNorm { .. } => stays(axis + 1 < from.len()),
        Step::Softmax { axis: over } => stays(*over != axis),
        // Whatever is added, taken away or multiplied must be the same along the width, unless it is an image too.
        Step::Add | Step::Sub | Step::Mul => stays(operands.iter().all(|Read { shape, width }| {
            let same = *width == Some(Width::Axis(axis));
            let from_the_end = result.len() - axis;
            let extent = shape.as_ref().map(|shape| match shape.len().checked_sub(from_the_end) {
                Some(index) => shape[index],
                None => 1,
            });
            extent == Some(1) || (same && extent.is_some())
        })),
        Step::Concat { axis: along } => stays(
            *along != axis && operands.iter().all(|read| read.width == Some(Width::Axis(axis))),
        ),
        Step::Split { axis: along } => stays(*along != axis),
        Step::Mean { reduced } if *reduced.get(axis)? => Some(Width::Gone),
        Step::Mean { reduced } => {
            let before = reduced[..axis].iter().filter(|reduced| **reduced).count();
            Some(Width::Axis(if result.len() == from.len() { axis } else { axis - before }))
        }
        Step::GlobalMaxPool => Some(Width::Gone),
        Step::Reshape => (0..result.len())
            .find(|&to| result[to] == from[axis] && trailing(result, to) == trailing(from, axis))
            .map(Width::Axis),
        Step::View { strides, .. } => {
            let stride = trailing(from, axis);
            let mut carries =
                (0..result.len()).filter(|&to| strides.get(to) == Some(&stride) && result[to] > 1);
            match (carries.next(), carries.next()) {
                (Some(to), None) if result[to] == from[axis] => Some(Width::Axis(to)),
                _ => None,
            }
        }
        Step::MatMul => None,
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;
    use crate::{
        execute::{Images, NormStatistics, Runner, Scratch},
        graph::Attribute,
        onnx::Model,
        ops::{Registry, resolve, resolve_with_input},
        spaces::{Space, plain_cnn},
    };

    fn architecture(name: &str, onnx: bytes::Bytes) -> Architecture {
        let model = Model::from_bytes(name, onnx).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        architecture
    }

    #[test]
    fn a_mirrored_network_sees_a_mirrored_image_as_the_network_sees_the_image() {
        let mut tried = 0;
        for seed in 0..32 {
            let graph = Space::load("corpus").unwrap().sample(seed).unwrap();
            let mut architecture = architecture(&graph.name, graph.onnx);
            // Odd extents and kernels: strides meet the same pixels from both sides.
            if resolve_with_input(&mut architecture, &[1, 3, 33, 33], &Registry::standard())
                .is_err()
            {
                continue;
            }
            let is_even = |node: &crate::graph::Node| {
                let kernel = node.attributes.0.get("kernel_shape");
                matches!(kernel, Some(Attribute::Ints(kernel)) if kernel.iter().any(|it| it % 2 == 0))
            };
            if architecture.dag.node_weights().any(is_even) {
                continue;
            }
            let Some(mirror) = Mirror::of(&architecture, &Registry::standard()) else { continue };
            tried += 1;
            let runner = Runner::new(&architecture, &Registry::standard());
            let mut weights: Weights = architecture
                .parameters
                .iter()
                .enumerate()
                .map(|(index, parameter)| {
                    let value = |at: usize| 0.2 * ((at * 7 + index) as f32).sin() + 0.3;
                    (0..parameter.len().unwrap_or(0)).map(value).collect::<Vec<f32>>()
                })
                .collect();
            let [channels, height, width] = [3, 33, 33];
            let mut image: Vec<f32> =
                (0..channels * height * width).map(|at| (at as f32 * 0.37).sin()).collect();
            let logits = |weights: &Weights, image: &[f32]| {
                let view = Images { batch: 1, channels, height, width, data: image };
                let statistics = NormStatistics::Measured { rows: 0..1 };
                runner.logits(weights, view, &statistics, &mut Scratch::default()).unwrap()
            };
            let expected = logits(&weights, &image);
            mirror.turn(&mut weights);
            image.chunks_exact_mut(width).for_each(<[f32]>::reverse);
            let largest = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
            for (own, expected) in logits(&weights, &image).iter().zip(&expected) {
                assert_abs_diff_eq!(own / largest, expected / largest, epsilon = 1e-4);
            }
        }
        assert!(tried > 3, "only {tried} graphs of odd kernels");
    }

    #[test]
    fn what_reads_no_images_has_no_mirror_image() {
        let mut architecture = architecture("plain-cnn", plain_cnn().into());
        for shape in [vec![1, 784], vec![1, 784, 1], vec![1, 3, 8, 32, 32]] {
            architecture.inputs[0].shape = Some(shape);
            assert_eq!(Mirror::of(&architecture, &Registry::standard()), None);
        }
    }

    #[test]
    fn turning_twice_changes_nothing() {
        let architecture = architecture("plain-cnn", plain_cnn().into());
        let mirror = Mirror::of(&architecture, &Registry::standard()).unwrap();
        let weights: Weights = architecture
            .parameters
            .iter()
            .map(|parameter| {
                (0..parameter.len().unwrap()).map(|at| at as f32).collect::<Vec<f32>>()
            })
            .collect();
        let mut turned = weights.clone();
        mirror.turn(&mut turned);
        assert_ne!(turned, weights);
        mirror.turn(&mut turned);
        assert_eq!(turned, weights);
    }
}
