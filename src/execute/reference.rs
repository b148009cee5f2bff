//! Any supported graph on a burn device.

use std::ops::Range;

use burn::tensor::Device;

use crate::{
    graph::{Architecture, Node, NodeIndex, Operand, Parameter, Tensor, Weights},
    ops::{Array, OpError, Registry, batch_statistics, infer},
};

use super::MeasuredStatistics;

/// A graph that could not be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// A node failed, or is not supported.
    #[error("{node}: {problem}")]
    Node {
        /// The node.
        node: String,
        /// Why.
        problem: OpError,
    },
    /// A weight or an input that is needed and was not given.
    #[error("{node}: its input {input} has no value")]
    Missing {
        /// The node.
        node: String,
        /// Input slot.
        input: usize,
    },
    /// The graph returns no numbers to be judged.
    #[error("the first output of the graph is not a tensor of floats")]
    NoLogits,
    /// Wrong number of inputs.
    #[error("the graph has {expected} inputs, {given} were given")]
    Inputs {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        given: usize,
    },
}

/// Uploads the weights that are there.
pub fn upload_weights(
    architecture: &Architecture,
    weights: &Weights,
    device: &Device,
) -> Vec<Option<Array>> {
    let upload = |(values, parameter): (Option<&[f32]>, &Parameter)| {
        let (data, shape) = (values?.to_vec(), parameter.shape.clone()?);
        Some(Array::upload(&Tensor { shape, data }, device))
    };
    weights.by_parameter().zip(&architecture.parameters).map(upload).collect()
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
    let run = Run { architecture, registry, weights, inputs, device };
    run.outputs(&mut |_, _| Ok(()))
}

/// Runs an architecture with every batch normalisation on the statistics of some rows of its own
/// batch (biased variance), which are returned; running statistics among the weights are not read.
pub fn measure(
    architecture: &Architecture,
    registry: &Registry,
    weights: &[Option<Array>],
    inputs: &[Array],
    rows: &Range<usize>,
    device: &Device,
) -> Result<(Vec<Array>, Vec<MeasuredStatistics>), ExecuteError> {
    let run = Run { architecture, registry, weights, inputs, device };
    let mut measured = Vec::new();
    let outputs = run.outputs(&mut |node, arguments| {
        let (
            "BatchNormalization",
            [Some(x), _, _, mean, variance],
            [_, _, _, Operand::Parameter(means), Operand::Parameter(variances)],
        ) = (node.op_type.as_str(), arguments, node.inputs.as_slice())
        else {
            return Ok(());
        };
        let [own_mean, own_variance] = batch_statistics(x, rows)?;
        let (own_mean, own_variance) = (Array::of(own_mean), Array::of(own_variance));
        measured.push(MeasuredStatistics {
            mean: *means,
            variance: *variances,
            means: own_mean.download(),
            variances: own_variance.download(),
        });
        (*mean, *variance) = (Some(own_mean), Some(own_variance));
        Ok(())
    })?;
    Ok((outputs, measured))
}

/// May replace the arguments of a node before it runs.
type Observe<'a> = &'a mut dyn FnMut(&Node, &mut [Option<Array>]) -> Result<(), OpError>;

struct Run<'a> {
    architecture: &'a Architecture,
    registry: &'a Registry,
    weights: &'a [Option<Array>],
    inputs: &'a [Array],
    device: &'a Device,
}

impl Run<'_> {
    fn outputs(&self, observe: Observe) -> Result<Vec<Array>, ExecuteError> {
        let architecture = self.architecture;
        if self.inputs.len() != architecture.inputs.len() {
            let (expected, given) = (architecture.inputs.len(), self.inputs.len());
            return Err(ExecuteError::Inputs { expected, given });
        }
        let mut values = Values::new(architecture);
        for &index in &architecture.order {
            let node = &architecture.dag[index];
            let results = self.node(index, &values, observe)?;
            values.keep(index, results);
            for operand in &node.inputs {
                values.release(*operand);
            }
        }
        let output = |(name, operand): &(String, Operand)| {
            let missing = || ExecuteError::Missing { node: format!("output '{name}'"), input: 0 };
            self.read(&values, *operand).ok_or_else(missing)
        };
        architecture.outputs.iter().map(output).collect()
    }

    fn node(
        &self,
        index: NodeIndex,
        values: &Values,
        observe: Observe,
    ) -> Result<Vec<Array>, ExecuteError> {
        let node = &self.architecture.dag[index];
        let name = || self.architecture.describe(index);
        let failed = |problem| ExecuteError::Node { node: name(), problem };
        let operator = self.registry.find(node).map_err(failed)?;
        let mut arguments: Vec<Option<Array>> =
            node.inputs.iter().map(|&operand| self.read(values, operand)).collect();
        observe(node, &mut arguments).map_err(failed)?;
        let absent = |(argument, operand): (&Option<Array>, &Operand)| {
            argument.is_none() && *operand != Operand::Absent
        };
        if let Some(input) = arguments.iter().zip(&node.inputs).position(absent) {
            return Err(ExecuteError::Missing { node: name(), input });
        }
        // What is given may have other shapes than the graph was resolved with.
        let facts: Vec<_> =
            arguments.iter().map(|argument| argument.as_ref().map(Array::fact)).collect();
        infer(operator, node, &facts).map_err(failed)?;
        operator.execute(node, &arguments, self.device).map_err(failed)
    }

    fn read(&self, values: &Values, operand: Operand) -> Option<Array> {
        match operand {
            Operand::Absent => None,
            Operand::Input(index) => self.inputs.get(index).cloned(),
            Operand::Parameter(id) => self.weights.get(id.0).cloned().flatten(),
            Operand::Constant(index) => {
                let (_, value) = self.architecture.constants.get(index)?;
                Some(Array::constant(value, self.device))
            }
            Operand::Node { node, slot } => {
                values.of_node[node.index()].as_ref()?.get(slot).cloned()
            }
        }
    }
}

/// What nodes have computed and somebody will still read.
struct Values {
    of_node: Vec<Option<Vec<Array>>>,
    uses: Vec<usize>,
}

impl Values {
    fn new(architecture: &Architecture) -> Self {
        let mut uses = vec![0; architecture.dag.node_count()];
        let inputs = architecture.order.iter().flat_map(|&node| &architecture.dag[node].inputs);
        let outputs = architecture.outputs.iter().map(|(_, operand)| operand);
        for operand in inputs.chain(outputs) {
            if let Operand::Node { node, .. } = operand {
                uses[node.index()] += 1;
            }
        }
        Self { of_node: vec![None; uses.len()], uses }
    }

    fn keep(&mut self, node: NodeIndex, results: Vec<Array>) {
        if self.uses[node.index()] > 0 {
            self.of_node[node.index()] = Some(results);
        }
    }

    fn release(&mut self, operand: Operand) {
        if let Operand::Node { node, .. } = operand {
            self.uses[node.index()] -= 1;
            if self.uses[node.index()] == 0 {
                self.of_node[node.index()] = None;
            }
        }
    }
}
