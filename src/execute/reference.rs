//! Any supported graph on a burn device.

use burn::tensor::Device;

use crate::{
    graph::{Architecture, NodeIndex, Operand},
    ops::{Array, OpError, Registry},
};

/// A graph that could not be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExecuteError {
    /// A node failed.
    #[error("{node}: {source}")]
    Node {
        /// The node.
        node: String,
        /// Why.
        source: OpError,
    },
    /// A node that is not in the table.
    #[error("{0}: the operator is not supported")]
    Unsupported(String),
    /// A weight or an input that is needed and was not given.
    #[error("{node}: its input {input} has no value")]
    Missing {
        /// The node.
        node: String,
        /// Input slot.
        input: usize,
    },
    /// Wrong number of inputs.
    #[error("the graph has {expected} inputs, {given} were given")]
    Inputs {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        given: usize,
    },
}

/// Runs an architecture in inference mode. `weights` are by parameter and may track gradients;
/// values are freed after their last use. Returns the outputs of the graph in order.
pub fn execute(
    architecture: &Architecture,
    registry: &Registry,
    weights: &[Option<Array>],
    inputs: &[Array],
    device: &Device,
) -> Result<Vec<Array>, ExecuteError> {
    if inputs.len() != architecture.inputs.len() {
        let (expected, given) = (architecture.inputs.len(), inputs.len());
        return Err(ExecuteError::Inputs { expected, given });
    }
    let mut uses = vec![0usize; architecture.dag.node_count()];
    let all_inputs = architecture.order.iter().flat_map(|&node| &architecture.dag[node].inputs);
    let outputs = architecture.outputs.iter().map(|(_, operand)| operand);
    for operand in all_inputs.chain(outputs) {
        if let Operand::Node { node, .. } = operand {
            uses[node.index()] += 1;
        }
    }
    let mut values: Vec<Option<Vec<Array>>> = vec![None; architecture.dag.node_count()];
    let read = |values: &[Option<Vec<Array>>], operand: Operand| match operand {
        Operand::Absent => None,
        Operand::Input(index) => inputs.get(index).cloned(),
        Operand::Parameter(id) => weights.get(id.0).cloned().flatten(),
        Operand::Constant(index) => {
            architecture.constants.get(index).map(|(_, value)| Array::constant(value, device))
        }
        Operand::Node { node, slot } => {
            values[node.index()].as_ref().and_then(|outputs| outputs.get(slot).cloned())
        }
    };
    for &index in &architecture.order {
        let node = &architecture.dag[index];
        let operator = registry
            .get(&node.domain, &node.op_type)
            .ok_or_else(|| ExecuteError::Unsupported(architecture.describe(index)))?;
        let mut arguments = Vec::with_capacity(node.inputs.len());
        for (input, &operand) in node.inputs.iter().enumerate() {
            let value = read(&values, operand);
            if value.is_none() && operand != Operand::Absent {
                return Err(ExecuteError::Missing { node: architecture.describe(index), input });
            }
            arguments.push(value);
        }
        let results = operator.execute(node, &arguments, device).map_err(|source| {
            ExecuteError::Node { node: architecture.describe(index), source }
        })?;
        values[index.index()] = Some(results);
        for operand in &node.inputs {
            if let Operand::Node { node, .. } = operand {
                release(&mut uses, &mut values, *node);
            }
        }
    }
    architecture
        .outputs
        .iter()
        .map(|(name, operand)| {
            let missing = || ExecuteError::Missing { node: format!("output '{name}'"), input: 0 };
            read(&values, *operand).ok_or_else(missing)
        })
        .collect()
}

fn release(uses: &mut [usize], values: &mut [Option<Vec<Array>>], node: NodeIndex) {
    uses[node.index()] -= 1;
    if uses[node.index()] == 0 {
        values[node.index()] = None;
    }
}
