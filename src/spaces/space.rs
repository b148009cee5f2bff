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
};

/// Spaces that come with the crate.
const EMBEDDED: [(&str, &str); 4] = [
    ("cifar10", include_str!("../../architectures/spaces/cifar10.toml")),
    ("corpus", include_str!("../../architectures/spaces/corpus.toml")),
    ("mnist", include_str!("../../architectures/spaces/mnist.toml")),
    ("tiny", include_str!("../../architectures/spaces/tiny.toml")),
];

/// Largest whole number in a space: extents, widths, classes.
const LIMIT: usize = 4096;

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
    /// Graphs outside are rejected and drawn again.
    pub bounds: Bounds,
    /// The first convolution.
    pub stem: Stem,
    /// How widths grow.
    pub widths: Widths,
    /// The families and their weights.
    pub families: Vec<FamilyRule>,
}

/// Inclusive bounds on a graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Learned values, running statistics included.
    pub parameters: [u64; 2],
    /// Multiply-accumulates of one image.
    pub multiply_accumulates: [u64; 2],
    /// Height of the last feature map.
    pub side: [usize; 2],
    /// Convolutions and linear maps on the longest way.
    pub depth: [usize; 2],
    /// The same, at most, for graphs without norm.
    pub norm_free_depth: usize,
    /// The same for those with shortcuts.
    pub norm_free_residual_depth: usize,
}

/// The first convolution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Kernels and their weights.
    pub kernels: Weighted<usize>,
    /// Strides (1 or 2) and their weights.
    pub strides: Weighted<usize>,
    /// Chance that a 3×3 max pool of stride 2 follows.
    pub pool: f64,
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

/// One family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyRule {
    /// Which.
    pub family: Family,
    /// Its weight among the families.
    pub weight: f64,
    /// Range of the first stage's width.
    pub width: [usize; 2],
    /// Blocks of a stage and their weights.
    pub blocks: Weighted<usize>,
    /// Kernels of a stage's blocks and their weights, in families that leave them open.
    #[serde(default)]
    pub kernels: Weighted<usize>,
    /// Norms of this family, where they differ from the space's.
    pub norms: Option<Weighted<Norm>>,
    /// Activations of this family, where they differ from the space's.
    pub activations: Option<Weighted<Activation>>,
    /// Heads of this family, where they differ from the space's.
    pub heads: Option<Weighted<Head>>,
    /// Chance that norm and activation stand before a convolution, in families that know both;
    /// 0.35 if not given.
    pub early: Option<f64>,
    /// Bounds of this family, where they differ from the space's.
    pub bounds: Option<Bounds>,
}

impl Space {
    /// A space that comes with the crate (`cifar10`, `corpus`, `mnist`, `tiny`), or one from a TOML file.
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
        let space: Self = table.try_into().map_err(|error| malformed(base, &error))?;
        space.check()?;
        Ok(space)
    }

    fn check(&self) -> Result<(), SpaceError> {
        let fail = |field: &str, problem| {
            let (space, field) = (self.name.clone(), field.to_owned());
            Err(SpaceError::Field { space, field, problem })
        };
        let extent = |value: usize| (1..=LIMIT).contains(&value);
        if !self.input.into_iter().all(|size| (1..=512).contains(&size)) {
            return fail("input", "must be extents from 1 to 512");
        }
        if !(2..=LIMIT).contains(&self.classes) {
            return fail("classes", "must be from 2 to 4096");
        }
        let chances = [
            ("bias_with_norm", self.bias_with_norm),
            ("squeeze", self.squeeze),
            ("stem.pool", self.stem.pool),
        ];
        for (field, chance) in chances {
            if !(0.0..=1.0).contains(&chance) {
                return fail(field, "must be a probability");
            }
        }
        let mut weights = vec![
            ("activations", weights_of(&self.activations)),
            ("norms", weights_of(&self.norms)),
            ("downs", weights_of(&self.downs)),
            ("heads", weights_of(&self.heads)),
            ("stem.kernels", weights_of(&self.stem.kernels)),
            ("stem.strides", weights_of(&self.stem.strides)),
            ("widths.multiples", weights_of(&self.widths.multiples)),
            ("widths.growth", weights_of(&self.widths.growth)),
            ("families", self.families.iter().map(|rule| rule.weight).collect()),
        ];
        let mut kernels = vec![("stem.kernels", &self.stem.kernels)];
        for rule in &self.families {
            weights.push(("families.blocks", weights_of(&rule.blocks)));
            if rule.family.has_kernels() {
                weights.push(("families.kernels", weights_of(&rule.kernels)));
            }
            weights.push(("families.norms", weights_of(rule.norms(self))));
            weights.push(("families.activations", weights_of(rule.activations(self))));
            weights.push(("families.heads", weights_of(rule.heads(self))));
            let knows = |norm: &Norm| matches!(norm, Norm::Layer | Norm::None);
            if rule.family.is_tokenwise() && !rule.norms(self).iter().all(|(norm, _)| knows(norm)) {
                return fail("families.norms", "must be 'layer' or 'none' in a family of tokens");
            }
            if rule.early.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
                return fail("families.early", "must be a probability");
            }
            kernels.push(("families.kernels", &rule.kernels));
            let [low, high] = rule.width;
            if !extent(low) || !extent(high) || low > high {
                return fail("families.width", "must be a range within 1 to 4096");
            }
            if !rule.blocks.iter().all(|(blocks, _)| (1..=16).contains(blocks)) {
                return fail("families.blocks", "must be from 1 to 16");
            }
        }
        for (field, weights) in weights {
            let valid = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
            if !valid || weights.iter().sum::<f64>() <= 0.0 {
                return fail(field, "needs weights that are not negative and not all zero");
            }
        }
        for (field, kernels) in kernels {
            if !kernels.iter().all(|(kernel, _)| kernel % 2 == 1 && *kernel <= 15) {
                return fail(field, "must be odd numbers up to 15");
            }
        }
        if !self.stem.strides.iter().all(|(stride, _)| [1, 2].contains(stride)) {
            return fail("stem.strides", "must be 1 or 2");
        }
        if !self.widths.multiples.iter().all(|(multiple, _)| extent(*multiple)) {
            return fail("widths.multiples", "must be from 1 to 4096");
        }
        let factor = |factor: f64| (0.1..=10.0).contains(&factor);
        if !self.widths.growth.iter().all(|(growth, _)| factor(*growth)) {
            return fail("widths.growth", "must be factors from 0.1 to 10");
        }
        if !factor(self.widths.slow_stem) {
            return fail("widths.slow_stem", "must be a factor from 0.1 to 10");
        }
        if !extent(self.widths.last) {
            return fail("widths.last", "must be from 1 to 4096");
        }
        let weighs = |rule: &&FamilyRule| rule.weight > 0.0;
        let mixed = |rule: &FamilyRule| rule.family == Family::Mixed;
        if self.families.iter().filter(weighs).any(mixed)
            && !self.families.iter().filter(weighs).any(|rule| rule.family.mixes())
        {
            return fail("families", "needs a family that 'mixed' can mix");
        }
        Ok(())
    }
}

impl FamilyRule {
    /// Its norms in a space.
    pub fn norms<'a>(&'a self, space: &'a Space) -> &'a Weighted<Norm> {
        self.norms.as_ref().unwrap_or(&space.norms)
    }

    /// Its activations in a space.
    pub fn activations<'a>(&'a self, space: &'a Space) -> &'a Weighted<Activation> {
        self.activations.as_ref().unwrap_or(&space.activations)
    }

    /// Its heads in a space.
    pub fn heads<'a>(&'a self, space: &'a Space) -> &'a Weighted<Head> {
        self.heads.as_ref().unwrap_or(&space.heads)
    }

    /// Its bounds in a space.
    pub fn bounds<'a>(&'a self, space: &'a Space) -> &'a Bounds {
        self.bounds.as_ref().unwrap_or(&space.bounds)
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

fn malformed(name: &str, error: &toml::de::Error) -> SpaceError {
    let problem = error.to_string().trim().replace('\n', " ");
    SpaceError::Malformed { name: name.to_owned(), problem }
}

fn weights_of<T>(choices: &Weighted<T>) -> Vec<f64> {
    choices.iter().map(|(_, weight)| *weight).collect()
}
