//! What a split's graphs are drawn from, as its TOML file describes it.

use serde::Deserialize;

use super::CorpusError;
use crate::spaces::{Family, FamilyRule, Head, NAMED, Named, Space, SpaceError, Split};

/// `architectures/corpus/<split>.toml`
#[derive(Debug)]
pub(super) struct Recipe {
    pub source: Source,
}

/// Where graphs come from.
#[derive(Debug, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Source {
    /// The networks with a name that read such images.
    Named {
        /// Channels, height and width.
        input: [usize; 3],
    },
    /// A search space.
    Space(SpaceSource),
    /// Files that a script exports; see [`import`](super::import).
    Export {
        /// The script, for people.
        #[serde(rename = "script")]
        _script: String,
        /// How many graphs.
        graphs: usize,
    },
}

/// A search space, perhaps with changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceSource {
    /// A space that comes with the crate.
    space: String,
    /// The part of its seeds.
    pub seeds: Split,
    /// How many graphs.
    pub graphs: usize,
    /// Whether seeds and fingerprints are stored, and no graphs.
    #[serde(default)]
    pub seeds_only: bool,
    /// The families that are kept; by default all.
    families: Option<Vec<Family>>,
    /// The heads that are kept; by default all. Families become as much rarer as they lose heads.
    heads: Option<Vec<Head>>,
    /// Fields of the space that differ.
    #[serde(default)]
    changes: toml::Table,
}

impl Recipe {
    pub fn parse(split: &str, text: &str) -> Result<Self, CorpusError> {
        let source = toml::from_str(text).map_err(|error| CorpusError::Recipe {
            split: split.to_owned(),
            problem: error.to_string().trim().replace('\n', " "),
        })?;
        Ok(Self { source })
    }

    /// How many graphs it is for.
    pub fn size(&self) -> usize {
        match &self.source {
            Source::Named { input } => named(*input).count(),
            Source::Space(source) => source.graphs,
            Source::Export { graphs, .. } => *graphs,
        }
    }
}

impl SpaceSource {
    /// The space with its changes.
    pub fn space(&self) -> Result<Space, SpaceError> {
        let mut space = Space::derived(&self.space, self.changes.clone())?;
        if let Some(families) = &self.families {
            space.families.retain(|rule| families.contains(&rule.family));
        }
        if let Some(heads) = &self.heads {
            let all = space.heads.clone();
            space.families.iter_mut().for_each(|rule| keep_heads(rule, heads, &all));
        }
        Ok(space)
    }
}

/// Leaves a family these of its heads, or of the space's where it has none of its own.
fn keep_heads(rule: &mut FamilyRule, heads: &[Head], all: &[(Head, f64)]) {
    let own = rule.heads.get_or_insert_with(|| all.to_vec());
    let total = |heads: &[(Head, f64)]| heads.iter().map(|(_, weight)| weight).sum::<f64>();
    let before = total(own);
    own.retain(|(head, _)| heads.contains(head));
    rule.weight *= total(own) / before;
}

/// The named networks that read such images.
pub(super) fn named(input: [usize; 3]) -> impl Iterator<Item = &'static Named> {
    NAMED.iter().filter(move |named| named.input == input)
}
