//! What a graph may cost at most.

use std::collections::{HashMap, HashSet};

use crate::graph::{Architecture, Fact, Operand};

use super::Live;

/// Bytes of a value; networks are counted as they run, in single precision.
const BYTES: u64 = 4;

/// Upper bounds; those that are `None` do not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of [`Live::parameters`].
    pub parameters: Option<u64>,
    /// Of [`Live::multiply_accumulates`].
    pub flops: Option<u64>,
    /// Bytes of [`peak_memory`].
    pub memory: Option<u64>,
}

impl Limits {
    /// Why a graph is left out; `None` if it keeps to the limits.
    pub fn exceeded(&self, architecture: &Architecture, live: &Live) -> Option<String> {
        let over = |what: &str, value: u64, limit: Option<u64>| {
            let limit = limit.filter(|&limit| value > limit)?;
            Some(format!("{value} {what}, more than {limit}"))
        };
        over("parameters", live.parameters, self.parameters)
            .or_else(|| over("multiply-accumulates", live.multiply_accumulates, self.flops))
            .or_else(|| {
                let memory = self.memory.map(|_| peak_memory(architecture))?;
                over("bytes of memory", memory, self.memory)
            })
    }
}

/// Bytes that one run takes at least, for the images that the graph declares: of all parameters, and of the
/// values that are kept at a time where each goes as soon as nobody reads it any more.
pub fn peak_memory(architecture: &Architecture) -> u64 {
    let size = |fact: Option<&Fact>| -> u64 {
        let shape = fact.filter(|it| it.value.is_none()).and_then(|it| it.shape.as_ref());
        shape.map_or(0, |shape| shape.iter().fold(1, |size, &it| size.saturating_mul(it as u64)))
    };
    let sizes = |operand: &Operand| match *operand {
        Operand::Input(index) => size(architecture.inputs.get(index)),
        Operand::Node { node, slot } => size(architecture.dag[node].outputs.get(slot)),
        _ => 0,
    };
    let mut last: HashMap<Operand, usize> = HashMap::new();
    for (place, &index) in architecture.order.iter().enumerate() {
        last.extend(architecture.dag[index].inputs.iter().map(|&operand| (operand, place)));
    }
    for (_, operand) in &architecture.outputs {
        last.insert(*operand, architecture.order.len());
    }
    let inputs = (0..architecture.inputs.len()).map(Operand::Input);
    let mut kept: u64 = inputs.map(|operand| sizes(&operand)).sum();
    let mut peak = kept;
    for (place, &node) in architecture.order.iter().enumerate() {
        let made: Vec<Operand> = (0..architecture.dag[node].outputs.len())
            .map(|slot| Operand::Node { node, slot })
            .collect();
        kept = made.iter().fold(kept, |kept, operand| kept.saturating_add(sizes(operand)));
        peak = peak.max(kept);
        let read: HashSet<&Operand> = architecture.dag[node].inputs.iter().chain(&made).collect();
        for operand in read {
            if last.get(operand).is_none_or(|&last| last == place) {
                kept = kept.saturating_sub(sizes(operand));
            }
        }
    }
    let parameters = architecture.parameters.iter().map(|it| it.len().unwrap_or(0) as u64);
    parameters.fold(peak, u64::saturating_add).saturating_mul(BYTES)
}

#[cfg(test)]
mod tests {
    use crate::{
        onnx::Model,
        ops::{Registry, resolve},
        spaces::{Activation, Conv, GraphBuilder},
    };

    use super::*;

    /// A convolution, an activation and their sum, over 4 × 4 pixels.
    fn residual() -> Architecture {
        let (mut builder, x) = GraphBuilder::new("residual", [2, 4, 4]);
        let conv = Conv { out: 2, kernel: 3, stride: 1, groups: 1, bias: false };
        let made = builder.conv("conv", &x, conv);
        let active = builder.activation("relu", &made, Activation::Relu);
        let sum = builder.add("add", &made, &active);
        let flat = builder.flatten("flatten", &sum);
        let model = Model::from_bytes("residual", builder.finish(&flat).into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        architecture
    }

    #[test]
    fn memory_is_that_of_the_values_kept_at_a_time() {
        let architecture = residual();
        // The convolution's result, the activation's and their sum; the image has gone by then.
        let parameters = architecture.parameter_count() as u64;
        assert_eq!(peak_memory(&architecture), 4 * (3 * 32 + parameters));
    }

    #[test]
    fn a_limit_is_named_with_what_exceeds_it() {
        let architecture = residual();
        let live = Live::of(&architecture, &Registry::standard());
        assert_eq!(Limits::default().exceeded(&architecture, &live), None);
        let flops = Limits { flops: Some(live.multiply_accumulates), ..Limits::default() };
        assert_eq!(flops.exceeded(&architecture, &live), None);
        let memory = Limits { memory: Some(100), ..flops };
        let why = memory.exceeded(&architecture, &live).unwrap();
        assert!(why.ends_with("bytes of memory, more than 100"), "{why}");
    }
}
