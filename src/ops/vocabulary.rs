//! Operators as an encoder knows them: a list in a fixed order.

use sha2::{Digest, Sha256};

use super::{Operator, Registry};

/// Operator names in the order of their embedding rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    names: Vec<String>,
}

impl Vocabulary {
    /// All operators of a registry, sorted.
    pub fn of(registry: &Registry) -> Self {
        let mut names: Vec<String> = registry
            .operators()
            .map(|operator| Self::name(operator.domain(), operator.op_type()))
            .collect();
        names.sort();
        Self { names }
    }

    /// A stored list.
    pub fn from_names(names: Vec<String>) -> Self {
        Self { names }
    }

    /// The list.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of operators.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Row of an operator.
    pub fn index(&self, domain: &str, op_type: &str) -> Option<usize> {
        let name = Self::name(domain, op_type);
        self.names.iter().position(|known| *known == name)
    }

    /// The operator of a row, if a registry has it.
    pub fn operator<'a>(&self, row: usize, registry: &'a Registry) -> Option<&'a dyn Operator> {
        let name = self.names.get(row)?;
        let (domain, op_type) = name.rsplit_once("::").unwrap_or(("", name));
        registry.get(domain, op_type)
    }

    /// An operator's name: its type, after its domain if that is not the default one.
    pub fn name(domain: &str, op_type: &str) -> String {
        if domain.is_empty() { op_type.to_owned() } else { format!("{domain}::{op_type}") }
    }

    /// SHA-256 of the list, in hexadecimal.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.names.join("\n"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
