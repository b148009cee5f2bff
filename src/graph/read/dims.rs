//! Sizes for symbolic dimensions.

use std::collections::{BTreeMap, BTreeSet};

/// Sizes for symbolic dimensions, and which of them a file asked for.
#[derive(Clone, Debug, Default)]
pub struct DimBindings {
    sizes: BTreeMap<String, usize>,
    used: BTreeSet<String>,
    seen: BTreeSet<String>,
}

impl DimBindings {
    /// Binds names to sizes.
    pub fn new(sizes: impl IntoIterator<Item = (String, usize)>) -> Self {
        Self { sizes: sizes.into_iter().collect(), ..Self::default() }
    }

    /// The size of a symbol, if it was given one.
    pub(super) fn bound(&mut self, symbol: &str) -> Option<usize> {
        if !self.seen.contains(symbol) {
            self.seen.insert(symbol.to_owned());
        }
        let (name, size) = self.sizes.get_key_value(symbol)?;
        if !self.used.contains(name) {
            self.used.insert(name.clone());
        }
        Some(*size)
    }

    /// A name that no dimension of the file has, and the names that some have.
    pub(super) fn unused(&self) -> Option<(String, String)> {
        let name = self.sizes.keys().find(|name| !self.used.contains(*name))?;
        let known: Vec<String> = self.seen.iter().map(|name| format!("'{name}'")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Some((name.clone(), known))
    }
}
