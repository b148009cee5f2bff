//! Images that are flattened for a linear map. Predictors learn heads behind a pool; of a head that
//! reads every position of an image, they are told of a pool and of the channels that it would leave.

use crate::graph::{Architecture, NodeIndex, Operand, Role};

/// How many positions of an image stand side by side for each channel of a value: more than one where
/// layers have made an image that was then flattened, one otherwise.
pub fn flattened_positions(architecture: &Architecture, value: Operand) -> usize {
    flattened_image(architecture, value).map_or(1, |[height, width]| height * width)
}

/// Whether a node is the one that flattens an image which layers have made.
pub(super) fn flattens(architecture: &Architecture, node: NodeIndex) -> bool {
    let read = architecture.dag[node].inputs.first();
    flattened_positions(architecture, Operand::Node { node, slot: 0 }) > 1
        && read.is_some_and(|&read| flattened_positions(architecture, read) == 1)
}

/// Height and width of the image whose positions those are; `None` where there is one position only.
pub fn flattened_image(architecture: &Architecture, value: Operand) -> Option<[usize; 2]> {
    let shape = |operand: Operand| architecture.fact(operand)?.shape;
    let features = shape(value)?;
    let &[_, length] = features.as_slice() else { return None };
    let mut nodes = ancestry(architecture, value).skip_while(|&(node, read)| {
        !is_weighted(architecture, node) && shape(read).as_ref() == Some(&features)
    });
    let (node, image) = nodes.next()?;
    let &[_, channels, height, width] = shape(image)?.as_slice() else { return None };
    let flattens = !is_weighted(architecture, node) && channels * height * width == length;
    let is_made = nodes.any(|(node, _)| is_weighted(architecture, node));
    (flattens && is_made && height * width > 1).then_some([height, width])
}

/// The nodes that a value was made by, the last first, following first inputs; each with what it reads.
fn ancestry(
    architecture: &Architecture,
    value: Operand,
) -> impl Iterator<Item = (NodeIndex, Operand)> {
    let made_by = |operand: Operand| match operand {
        Operand::Node { node, .. } => Some((node, *architecture.dag[node].inputs.first()?)),
        _ => None,
    };
    std::iter::successors(made_by(value), move |&(_, read)| made_by(read))
}

fn is_weighted(architecture: &Architecture, node: NodeIndex) -> bool {
    let mut slots = architecture.parameters.iter().flat_map(|parameter| &parameter.slots);
    slots.any(|slot| slot.node == node && slot.role == Role::Weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Attributes, DType, Fact, Layout, Node, Origin, Parameter, Slot};

    /// A convolution of `[1, 3, 8, 8]` to 4 channels unless the image is flattened as it is, a flattening
    /// and a linear map. Returns positions of what the linear map reads, and of what it makes.
    fn of_head(convolves: bool) -> [usize; 2] {
        let fact = |shape: &[usize]| Fact { shape: Some(shape.to_vec()), ..Fact::default() };
        let channels = if convolves { 4 } else { 3 };
        let inputs = vec![fact(&[1, 3, 8, 8])];
        let mut architecture = Architecture { inputs, ..Architecture::default() };
        let mut read = Operand::Input(0);
        let layers = [
            ("Conv", vec![1, channels, 8, 8]),
            ("Reshape", vec![1, 64 * channels]),
            ("Gemm", vec![1, 10]),
        ];
        for (op_type, shape) in layers.into_iter().skip(usize::from(!convolves)) {
            let node = architecture.dag.add_node(Node {
                name: String::new(),
                domain: String::new(),
                op_type: op_type.to_owned(),
                opset: 18,
                attributes: Attributes::default(),
                inputs: vec![read],
                outputs: vec![fact(&shape)],
                position: architecture.order.len(),
                ..Node::default()
            });
            architecture.order.push(node);
            if op_type != "Reshape" {
                let slot = Slot {
                    node,
                    input: 1,
                    role: Role::Weight,
                    layout: Layout::OutIn,
                    groups: 1,
                    fan_in: 1,
                    view: None,
                };
                architecture.parameters.push(Parameter {
                    name: op_type.to_owned(),
                    shape: None,
                    dtype: DType::F32,
                    origin: Origin::Undefined,
                    slots: vec![slot],
                    ..Parameter::default()
                });
            }
            read = Operand::Node { node, slot: 0 };
        }
        let Operand::Node { node: head, .. } = read else { unreachable!() };
        [architecture.dag[head].inputs[0], read]
            .map(|value| flattened_positions(&architecture, value))
    }

    #[test]
    fn an_image_that_layers_made_has_positions_until_a_layer_reads_it() {
        assert_eq!(of_head(true), [64, 1]);
    }

    #[test]
    fn of_the_input_every_position_counts() {
        assert_eq!(of_head(false), [1, 1]);
    }
}
