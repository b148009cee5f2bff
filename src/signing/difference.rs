//! How files differ from those that were signed.

use std::{collections::BTreeMap, fmt};

/// A file that is not as it was signed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Difference {
    /// Its content is another.
    Changed(String),
    /// It is not there.
    Missing(String),
    /// It was not signed.
    Added(String),
    /// Its content stands under another name.
    Renamed {
        /// Name when it was signed.
        from: String,
        /// Name today.
        to: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(name) => write!(f, "'{name}' was changed"),
            Self::Missing(name) => write!(f, "'{name}' is missing"),
            Self::Added(name) => write!(f, "'{name}' was not signed"),
            Self::Renamed { from, to } => write!(f, "'{from}' was renamed to '{to}'"),
        }
    }
}

/// Compares hashes by name.
pub(super) fn differences(
    signed: &BTreeMap<&str, &str>,
    found: &BTreeMap<&str, &str>,
) -> Vec<Difference> {
    let mut added: Vec<(&str, &str)> =
        pairs(found).filter(|it| !signed.contains_key(it.0)).collect();
    let mut differences = Vec::new();
    for (name, digest) in pairs(signed) {
        match found.get(name) {
            Some(own) if *own == digest => {}
            Some(_) => differences.push(Difference::Changed(name.to_owned())),
            None => differences.push(match added.iter().position(|it| it.1 == digest) {
                Some(place) => {
                    let to = added.remove(place).0.to_owned();
                    Difference::Renamed { from: name.to_owned(), to }
                }
                None => Difference::Missing(name.to_owned()),
            }),
        }
    }
    differences.extend(added.into_iter().map(|(name, _)| Difference::Added(name.to_owned())));
    differences
}

fn pairs<'a>(digests: &'a BTreeMap<&'a str, &'a str>) -> impl Iterator<Item = (&'a str, &'a str)> {
    digests.iter().map(|(&name, &digest)| (name, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_named() {
        let signed = BTreeMap::from([("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        let found = BTreeMap::from([("a", "1"), ("b", "9"), ("e", "3"), ("f", "6")]);
        let said: Vec<String> =
            differences(&signed, &found).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["'b' was changed", "'c' was renamed to 'e'", "'d' is missing", "'f' was not signed"]
        );
        assert!(differences(&signed, &signed).is_empty());
    }
}
