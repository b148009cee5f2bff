//! A search space as its TOML file describes it.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    build::Activation,
    derive,
    draw::Weighted,
    plan::{Down, Family, Head, Norm},
    rule::{Bounds, FamilyRule, Problem, Stem, extent, factor, fails, range},
};

/// Spaces that come with the crate.
const EMBEDDED: [(&str, &str); 9] = [
    ("cifar10", include_str!("../../architectures/spaces/cifar10.toml")),
    ("corpus", include_str!("../../architectures/spaces/corpus.toml")),
    ("hybrid", include_str!("../../architectures/spaces/hybrid.toml")),
    ("isotropic", include_str!("../../architectures/spaces/isotropic.toml")),
    ("mnist", include_str!("../../architectures/spaces/mnist.toml")),
    ("modern", include_str!("../../architectures/spaces/modern.toml")),
    ("pyramid", include_str!("../../architectures/spaces/pyramid.toml")),
    ("real", include_str!("../../architectures/spaces/real.toml")),
    ("tiny", include_str!("../../architectures/spaces/tiny.toml")),
];

/// Why a space cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// Neither an embedded space nor a file.
    #[error("search space '{name}' is neither one of {known} nor a readable file: {problem}")]
    Missing {
        /// What was asked for.
        name: String,
        /// Names of the embedded spaces.
        known: String,
        /// Why the file could not be read.
        problem: std::io::Error,
    },
    /// Not the TOML of a space.
    #[error("search space '{name}': {problem}")]
    Malformed {
        /// What was asked for.
        name: String,
        /// The parser's complaint, in one line.
        problem: String,
    },
    /// A field with a value that no graph can have.
    #[error("search space '{space}': field '{field}' {problem}")]
    Field {
        /// Name of the space.
        space: String,
        /// Path of the field.
        field: String,
        /// What is wrong, as a verb phrase.
        problem: &'static str,
    },
    /// No graph within bounds turned up.
    #[error(
        "search space '{space}', seed {seed}: no {family:?} graph within [bounds] in {attempts} \
         attempts; widen the bounds or the ranges"
    )]
    Exhausted {
        /// Name of the space.
        space: String,
        /// The seed.
        seed: u64,
        /// The family drawn for it.
        family: Family,
        /// Graphs drawn and rejected.
        attempts: usize,
    },
}

/// A distribution over architectures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Names the space; part of every seed.
    pub name: String,
    /// Channels, height and width of an image.
    pub input: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Chance that convolutions have a bias although a norm follows.
    pub bias_with_norm: f64,
    /// Chance of squeeze-and-excite gates in families that know them.
    pub squeeze: f64,
    /// Activations and their weights.
    pub activations: Weighted<Activation>,
    /// Norms and their weights.
    pub norms: Weighted<Norm>,
    /// How resolution is halved.
    pub downs: Weighted<Down>,
    /// What follows the last stage.
    pub heads: Weighted<Head>,
    /// How widths and costs are distributed.
    #[serde(default)]
    pub sizes: Sizes,
    /// Graphs outside are rejected and drawn again.
    pub bounds: Bounds,
    /// The first convolution.
    pub stem: Stem,
    /// How widths grow.
    pub widths: Widths,
    /// Hidden layers of heads, where they are not as wide as what they read.
    pub hidden: Option<HiddenLayers>,
    /// The families and their weights.
    pub families: Vec<FamilyRule>,
}

/// How widths within their ranges, and multiply-accumulates within their bounds, are distributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sizes {
    /// The density of widths falls; costs follow from what was drawn.
    #[default]
    Falling,
    /// Their logarithms are uniform.
    LogUniform,
}

/// Hidden layers of a head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HiddenLayers {
    /// How many a flattened map goes through; other heads have one or none.
    pub layers: Weighted<usize>,
    /// Range of the width of each.
    pub width: [usize; 2],
}

/// How widths grow from the stem on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widths {
    /// Every width is a multiple of one of these.
    pub multiples: Weighted<usize>,
    /// Factor from stage to stage.
    pub growth: Weighted<f64>,
    /// The widest a stage gets.
    pub last: usize,
    /// Factor on the first width of graphs whose stem has stride 1.
    pub slow_stem: f64,
}

impl Space {
    /// A space that comes with the crate (`cifar10`, `corpus`, `hybrid`, `isotropic`, `mnist`, `modern`, `pyramid`, `real`,
    /// `tiny`), or one from a TOML file.
    pub fn load(name: &str) -> Result<Self, SpaceError> {
        Self::parse(name, &text(name)?)
    }

    /// A space from the text of its file; `name` is for messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, SpaceError> {
        let space: Self = toml::from_str(text).map_err(|error| malformed(name, &error))?;
        space.check()?;
        Ok(space)
    }

    /// Whether a data set of so many classes fits; otherwise a sentence that names its file.
    pub fn check_classes(&self, classes: usize, data: &Path) -> Result<(), String> {
        match classes == self.classes {
            true => Ok(()),
            false => Err(format!(
                "space '{}' has {} classes, {} has {classes}",
                self.name,
                self.classes,
                data.display()
            )),
        }
    }

    /// The space of that name with changes: tables are merged field by field, families by their
    /// name, and any other value takes the place of the base's. The changes come with a name of their
    /// own, or the seeds would be those of the base.
    pub fn derived(base: &str, changes: toml::Table) -> Result<Self, SpaceError> {
        let mut table = text(base)?.parse().map_err(|error| malformed(base, &error))?;
        derive::merge(&mut table, changes);
        Self::from_table(base, table)
    }

    /// A space from its table; `name` is for messages.
    pub(super) fn from_table(name: &str, table: toml::Table) -> Result<Self, SpaceError> {
        let space: Self = table.try_into().map_err(|error| malformed(name, &error))?;
        space.check()?;
        Ok(space)
    }

    fn check(&self) -> Result<(), SpaceError> {
        let own = self.problem();
        let problem = own.or_else(|| self.families.iter().find_map(|rule| rule.problem(self)));
        problem.map_or(Ok(()), |(field, problem)| {
            let (space, field) = (self.name.clone(), field.to_owned());
            Err(SpaceError::Field { space, field, problem })
        })
    }

    /// The first field with a value that no graph can have, rules of families aside.
    fn problem(&self) -> Option<Problem> {
        let weighs = |rule: &&FamilyRule| rule.weight > 0.0;
        let mixed = self.families.iter().filter(weighs).any(|rule| rule.family == Family::Mixed);
        let mixable = self.families.iter().filter(weighs).any(|rule| rule.family.mixes());
        let inputs = self.input.into_iter().all(|size| (1..=512).contains(&size));
        let chance = |chance: f64| (0.0..=1.0).contains(&chance);
        let rules: Vec<((), f64)> = self.families.iter().map(|rule| ((), rule.weight)).collect();
        let hidden = self.hidden.as_ref();
        let hidden_valid =
            hidden.is_none_or(|it| range(it.width) && it.layers.iter().all(|(n, _)| *n < 8));
        let checks = [
            (inputs, ("input", "must be extents from 1 to 512")),
            (extent(self.classes) && self.classes > 1, ("classes", "must be from 2 to 4096")),
            (chance(self.bias_with_norm), ("bias_with_norm", "must be a probability")),
            (chance(self.squeeze), ("squeeze", "must be a probability")),
            (
                self.widths.multiples.iter().all(|(it, _)| extent(*it)),
                ("widths.multiples", "must be from 1 to 4096"),
            ),
            (
                self.widths.growth.iter().all(|(it, _)| factor(*it)),
                ("widths.growth", "must be factors from 0.1 to 10"),
            ),
            (
                factor(self.widths.slow_stem),
                ("widths.slow_stem", "must be a factor from 0.1 to 10"),
            ),
            (extent(self.widths.last), ("widths.last", "must be from 1 to 4096")),
            (
                hidden_valid,
                ("hidden", "must be up to 7 layers and a range of widths within 1 to 4096"),
            ),
            (!mixed || mixable, ("families", "needs a family that 'mixed' can mix")),
        ];
        let weights = fails("activations", &self.activations)
            .or(fails("norms", &self.norms))
            .or(fails("downs", &self.downs))
            .or(fails("heads", &self.heads))
            .or(fails("widths.multiples", &self.widths.multiples))
            .or(fails("widths.growth", &self.widths.growth))
            .or(hidden.and_then(|it| fails("hidden.layers", &it.layers)))
            .or(fails("families", &rules));
        let invalid = checks.into_iter().find_map(|(valid, problem)| (!valid).then_some(problem));
        weights.or(invalid).or(self.stem.problem())
    }
}

/// The TOML of a space that comes with the crate, or of a file.
fn text(name: &str) -> Result<Cow<'static, str>, SpaceError> {
    if let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) {
        return Ok(Cow::Borrowed(text));
    }
    fs::read_to_string(PathBuf::from(name)).map(Cow::Owned).map_err(|problem| {
        let known = EMBEDDED.map(|(known, _)| format!("'{known}'")).join(", ");
        SpaceError::Missing { name: name.to_owned(), known, problem }
    })
}

pub(super) fn malformed(name: &str, error: &toml::de::Error) -> SpaceError {
    let problem = error.to_string().trim().replace('\n', " ");
    SpaceError::Malformed { name: name.to_owned(), problem }
}
