//! One order of nodes and parameters for one graph, whatever order a file lists them in.

use super::super::{Architecture, NodeIndex, Operand, ParameterId};

/// Sorts nodes so that each comes after what it reads, following the inputs of the outputs in the order
/// of their slots; nodes that no output needs come last. Parameters follow in the order of their first
/// use.
pub(super) fn sort(architecture: &mut Architecture) {
    let mut placed = vec![false; architecture.dag.node_count()];
    let mut order = Vec::with_capacity(placed.len());
    let returned = architecture.outputs.iter().filter_map(|(_, output)| producer(*output));
    let ends: Vec<NodeIndex> = returned.chain(architecture.dag.node_indices()).collect();
    for end in ends {
        // Each entry: a node, and how many of its inputs were followed.
        let mut path = vec![(end, 0)];
        while let Some((node, followed)) = path.pop() {
            if placed[node.index()] {
                continue;
            }
            match architecture.dag[node].inputs.get(followed) {
                None => {
                    placed[node.index()] = true;
                    order.push(node);
                }
                Some(&operand) => {
                    path.push((node, followed + 1));
                    if let Some(before) = producer(operand).filter(|it| !placed[it.index()]) {
                        path.push((before, 0));
                    }
                }
            }
        }
    }
    architecture.order = order;
    sort_parameters(architecture);
}

fn producer(operand: Operand) -> Option<NodeIndex> {
    match operand {
        Operand::Node { node, .. } => Some(node),
        _ => None,
    }
}

fn sort_parameters(architecture: &mut Architecture) {
    let unread = architecture.parameters.len();
    let mut place = vec![unread; unread];
    let mut next = 0;
    for &node in &architecture.order {
        for operand in &architecture.dag[node].inputs {
            if let Operand::Parameter(id) = operand
                && place[id.0] == unread
            {
                place[id.0] = next;
                next += 1;
            }
        }
    }
    for place in place.iter_mut().filter(|place| **place == unread) {
        *place = next;
        next += 1;
    }
    let numbers: Vec<_> = place.into_iter().map(|place| Some(ParameterId(place))).collect();
    architecture.renumber_parameters(&numbers);
}
