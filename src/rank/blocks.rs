//! A network cut at its waists: the values that every way from input to output passes. Between two
//! of them lies a block, which can be run and differentiated by itself.

use crate::graph::{Architecture, Operand};

use super::Live;

/// Consecutive blocks of a network. Each reads what the one before returns, and has at least one
/// layer with weights; only the part that returns images is cut.
pub(super) fn blocks(architecture: &Architecture, live: &Live) -> Vec<Architecture> {
    let ends = ends(architecture, live);
    let (mut from, whole) = (None, without_constants(architecture, live));
    ends.iter().map(|&to| part(&whole, from.replace(to), to)).collect()
}

/// The network up to its last feature map, as one graph.
pub(super) fn trunk(architecture: &Architecture, live: &Live) -> Option<Architecture> {
    let to = *ends(architecture, live).last()?;
    Some(part(&without_constants(architecture, live), None, to))
}

/// The last waist before each next layer.
fn ends(architecture: &Architecture, live: &Live) -> Vec<Operand> {
    let mut places = vec![None; architecture.dag.node_count()];
    live.nodes.iter().enumerate().for_each(|(at, node)| places[node.index()] = Some(at));
    let place = |operand: &Operand| match operand {
        Operand::Node { node, .. } => places[node.index()],
        _ => None,
    };
    let mut weighted = vec![false; places.len()];
    live.layers.iter().for_each(|node| weighted[node.index()] = true);
    // By node, when its value is read last.
    let mut last_use = vec![0; live.nodes.len()];
    let mut input = 0;
    for (at, &index) in live.nodes.iter().enumerate() {
        for operand in &architecture.dag[index].inputs {
            match place(operand) {
                Some(from) => last_use[from] = at,
                None if matches!(operand, Operand::Input(_)) => input = at,
                None => {}
            }
        }
    }
    for from in architecture.outputs.iter().filter_map(|(_, operand)| place(operand)) {
        last_use[from] = usize::MAX;
    }
    let mut ends: Vec<(usize, Operand)> = Vec::new();
    let (mut layers, mut latest) = (0, input);
    for (at, &node) in live.nodes.iter().enumerate() {
        layers += usize::from(weighted[node.index()]);
        let operand = Operand::Node { node, slot: 0 };
        let shape = architecture.fact(operand).and_then(|fact| fact.shape).unwrap_or_default();
        // Whatever was made before is not read after this node, which has one output.
        let waist = latest <= at && architecture.dag[node].outputs.len() == 1;
        let image = matches!(shape[..], [_, _, height, width] if height * width > 1);
        if waist && image && layers > 0 {
            match ends.last_mut() {
                Some((known, end)) if *known == layers => *end = operand,
                _ => ends.push((layers, operand)),
            }
        }
        latest = latest.max(last_use[at]);
    }
    ends.into_iter().map(|(_, operand)| operand).collect()
}

/// The same network where sums leave out what does not depend on the input: nothing but zeros, at
/// random weights.
fn without_constants(architecture: &Architecture, live: &Live) -> Architecture {
    let mut architecture = architecture.clone();
    for &index in &live.nodes {
        let node = &mut architecture.dag[index];
        if !matches!(node.op_type.as_str(), "Add" | "Sum") {
            continue;
        }
        node.inputs.retain(|operand| match operand {
            Operand::Node { node, .. } => !live.constant[node.index()],
            _ => true,
        });
        if node.inputs.len() == 1 {
            node.op_type = "Identity".to_owned();
        }
    }
    architecture
}

/// What computes one value from another, or from the images.
fn part(architecture: &Architecture, from: Option<Operand>, to: Operand) -> Architecture {
    let mut part = architecture.clone();
    let mut wanted = vec![false; architecture.dag.node_count()];
    let mut stack = vec![to];
    while let Some(operand) = stack.pop() {
        if let Operand::Node { node, .. } = operand
            && Some(operand) != from
            && !std::mem::replace(&mut wanted[node.index()], true)
        {
            stack.extend(&architecture.dag[node].inputs);
        }
    }
    part.order.retain(|node| wanted[node.index()]);
    part.outputs = vec![(String::new(), to)];
    if let Some(from) = from {
        part.inputs = architecture.fact(from).into_iter().collect();
        for &index in &part.order {
            for operand in part.dag[index].inputs.iter_mut().filter(|operand| **operand == from) {
                *operand = Operand::Input(0);
            }
        }
    }
    part
}
