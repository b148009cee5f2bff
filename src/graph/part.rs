//! The part of a network that some of its values need.

use super::{Architecture, Operand};

impl Architecture {
    /// The network that returns these values, in this order; what they do not need is left out.
    pub fn returning(&self, values: &[Operand]) -> Self {
        let mut part = self.clone();
        part.outputs = values.iter().map(|&value| (String::new(), value)).collect();
        let mut wanted = vec![false; self.dag.node_count()];
        let mut stack = values.to_vec();
        while let Some(operand) = stack.pop() {
            if let Operand::Node { node, .. } = operand
                && !std::mem::replace(&mut wanted[node.index()], true)
            {
                stack.extend(&self.dag[node].inputs);
            }
        }
        part.order.retain(|node| wanted[node.index()]);
        part
    }
}
