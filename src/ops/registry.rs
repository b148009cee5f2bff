//! The table: one line per operator family.

use std::{collections::HashMap, sync::OnceLock};

use super::{
    Operator, activation, binary, conv, join, linear, norm, pool, reduce, reshape, softmax, statics,
};

/// Newest opset of the default domain whose definitions were read.
pub const NEWEST_OPSET: i64 = 23;

/// Operators by domain and type.
pub struct Registry {
    operators: HashMap<&'static str, HashMap<&'static str, Box<dyn Operator>>>,
}

/// The operators this crate knows.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry::with(Vec::new()))
}

impl Registry {
    /// The operators this crate knows and further ones, which replace known ones of the same
    /// domain and type.
    pub fn with(further: Vec<Box<dyn Operator>>) -> Self {
        let families: [Vec<Box<dyn Operator>>; 11] = [
            activation::operators(),
            binary::operators(),
            conv::operators(),
            join::operators(),
            linear::operators(),
            norm::operators(),
            pool::operators(),
            reduce::operators(),
            reshape::operators(),
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
