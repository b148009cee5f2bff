//! The table: one line per operator family.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use crate::{
    graph::{Architecture, Fact, Node},
    kernels::Step,
};

use super::{
    OpError, Operator, activation, attention, binary, compare, conv, einsum, join, linear, lstm,
    norm, pad, pool, positions, ranges, rearrange, reduce, reshape, resize, root_norm, slice,
    softmax, statics,
};

/// Newest opset of the default domain whose definitions were read.
pub const NEWEST_OPSET: i64 = 23;

/// Operators by domain and type.
pub struct Registry {
    operators: HashMap<&'static str, HashMap<&'static str, Box<dyn Operator>>>,
}

impl Registry {
    /// The operators this crate knows; made once, so that asking again is cheap.
    pub fn standard() -> Arc<Self> {
        static STANDARD: OnceLock<Arc<Registry>> = OnceLock::new();
        STANDARD.get_or_init(|| Arc::new(Self::with(Vec::new()))).clone()
    }

    /// The operators this crate knows and further ones, which replace known ones of the same
    /// domain and type.
    pub fn with(further: Vec<Box<dyn Operator>>) -> Self {
        let families: [Vec<Box<dyn Operator>>; 22] = [
            activation::operators(),
            attention::operators(),
            binary::operators(),
            compare::operators(),
            conv::operators(),
            einsum::operators(),
            join::operators(),
            linear::operators(),
            lstm::operators(),
            norm::operators(),
            pad::operators(),
            pool::operators(),
            positions::operators(),
            ranges::operators(),
            rearrange::operators(),
            reduce::operators(),
            reshape::operators(),
            resize::operators(),
            root_norm::operators(),
            slice::operators(),
            softmax::operators(),
            statics::operators(),
        ];
        let mut operators: HashMap<_, HashMap<_, _>> = HashMap::new();
        for operator in families.into_iter().flatten().chain(further) {
            let domain = operators.entry(operator.domain()).or_default();
            domain.insert(operator.op_type(), operator);
        }
        Self { operators }
    }

    /// Looks an operator up, always with its domain.
    pub fn get(&self, domain: &str, op_type: &str) -> Option<&dyn Operator> {
        self.operators.get(domain)?.get(op_type).map(AsRef::as_ref)
    }

    /// What a node lowers to in its graph, if its operator is here and has a kernel for it.
    pub fn step(&self, architecture: &Architecture, node: &Node) -> Option<Step> {
        let operator = self.get(&node.domain, &node.op_type)?;
        let facts: Vec<Option<Fact>> =
            node.inputs.iter().map(|&operand| architecture.fact(operand)).collect();
        operator.lower(node, &facts)
    }

    /// The operator that a node is, if it is here in the node's opset; otherwise why not.
    pub fn find(&self, node: &Node) -> Result<&dyn Operator, OpError> {
        let refuse = |why: String| Err(OpError::Unsupported(why));
        let name = match node.domain.as_str() {
            "" => format!("operator {}", node.op_type),
            domain => format!("operator {} of domain '{domain}'", node.op_type),
        };
        let Some(operator) = self.get(&node.domain, &node.op_type) else {
            let advice = match node.op_type.as_str() {
                "If" => {
                    ": its condition depends on what the network computes; export a graph without it"
                }
                "Loop" | "Scan" => ": control flow is not supported; export a graph without it",
                other
                    if other.contains("uantize")
                        || other.contains("QLinear")
                        || other.ends_with("Integer") =>
                {
                    ": quantised networks are not supported; export in floating point"
                }
                "ArgMax" | "ArrayFeatureExtractor" | "TopK" | "ZipMap" => {
                    " is not supported; export the graph without what follows its logits"
                }
                _ => {
                    " is not supported; export a graph without it, or add it as \
                     examples/custom_operator.rs does"
                }
            };
            return refuse(name + advice);
        };
        let (first, opset) = (operator.since().first().copied().unwrap_or(1), node.opset);
        match node.domain.is_empty() {
            true if opset < first => {
                refuse(format!("{name} exists from opset {first} on, the file imports {opset}"))
            }
            true if opset > NEWEST_OPSET => refuse(format!(
                "{name}: opset {opset} is newer than {NEWEST_OPSET}; export with opset {NEWEST_OPSET} or lower"
            )),
            _ => Ok(operator),
        }
    }

    /// All operators, in no particular order.
    pub fn operators(&self) -> impl Iterator<Item = &dyn Operator> {
        self.operators.values().flat_map(HashMap::values).map(AsRef::as_ref)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.operators().map(Operator::op_type)).finish()
    }
}
