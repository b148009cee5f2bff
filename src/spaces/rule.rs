//! One family of a search space, as the TOML file describes it.

use serde::{Deserialize, Serialize};

use super::{
    build::Activation,
    cell::EdgeOp,
    draw::Weighted,
    plan::{Down, Family, Head, Norm},
};

/// A field, and what is wrong with it as a verb phrase.
pub(super) type Problem = (&'static str, &'static str);

/// Largest whole number in a space: extents, widths, classes.
const LIMIT: usize = 4096;
/// Most blocks of a stage.
pub(super) const MOST_BLOCKS: usize = 64;
/// Largest ratio of two widths of a block.
pub(super) const MOST_RATIO: usize = 64;

/// One family, or one published design of a family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyRule {
    /// Which.
    pub family: Family,
    /// The design that it follows; tells rules of one family apart.
    pub design: Option<String>,
    /// Its weight among the families.
    pub weight: f64,
    /// Range of the first stage's width; of the stem's width where `stages` are given.
    pub width: [usize; 2],
    /// Blocks of a stage and their weights, where no `stages` are given.
    #[serde(default)]
    pub blocks: Weighted<usize>,
    /// The stages of a design.
    pub stages: Option<Proportions>,
    /// Kernels of a stage's blocks and their weights, in families that leave them open.
    #[serde(default)]
    pub kernels: Weighted<usize>,
    /// How much wider or narrower than its ends the inside of a block is, in families that know both,
    /// and of the linear maps of a token; a choice of the family if not given.
    #[serde(default)]
    pub ratios: Weighted<usize>,
    /// Channels of a group of a bottleneck's middle convolution, or of a head of attention; if not
    /// given, a bottleneck of `stages` has no groups.
    #[serde(default)]
    pub group_widths: Weighted<usize>,
    /// Sides of the windows of attention, in families that have some; 4 or 8 if not given.
    #[serde(default)]
    pub windows: Weighted<usize>,
    /// What edges of a cell do, in families of edge cells. If given, cells keep edges that lead nowhere, and
    /// may pass nothing.
    #[serde(default)]
    pub edges: Weighted<EdgeOp>,
    /// Norms of this family, where they differ from the space's.
    pub norms: Option<Weighted<Norm>>,
    /// Activations of this family, where they differ from the space's.
    pub activations: Option<Weighted<Activation>>,
    /// How this family halves its resolution, where it differs from the space.
    pub downs: Option<Weighted<Down>>,
    /// Heads of this family, where they differ from the space's.
    pub heads: Option<Weighted<Head>>,
    /// The first convolution of this family, where it differs from the space's.
    pub stem: Option<Stem>,
    /// Chance that norm and activation stand before a convolution, in families that know both;
    /// 0.35 if not given.
    pub early: Option<f64>,
    /// Chance of squeeze-and-excite gates, where it differs from the space's.
    pub squeeze: Option<f64>,
    /// Chance that convolutions go without padding, in chains; 0 if not given.
    pub unpadded: Option<f64>,
    /// Chance of a class token, in transformers; 0 if not given.
    pub class_token: Option<f64>,
    /// Bounds of this family, where they differ from the space's.
    pub bounds: Option<Bounds>,
}

/// The stages of a published design, which a draw makes deeper or shallower as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proportions {
    /// Blocks of every stage, and the weight of each such list. A stage of none only pools.
    pub depths: Weighted<Vec<usize>>,
    /// Range of the factor on the depths.
    pub scale: [f64; 2],
    /// Widths of the stages, against that of the stem.
    pub widths: Vec<f64>,
    /// By how much each stage lowers its resolution: 1 or 2.
    pub strides: Vec<usize>,
    /// Chance that a network lowers its resolution wherever its design does; 0.6 if not given. Each stage of
    /// another network still does by a chance of 0.6.
    pub as_published: Option<f64>,
    /// Width of a 1×1 convolution behind the last stage, against that of the stem.
    pub last: Option<f64>,
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
    /// Strides (1, 2 or 4) and their weights.
    pub strides: Weighted<usize>,
    /// Chance that a 3×3 max pool of stride 2 follows a stem of stride 2.
    pub pool: f64,
}

impl Stem {
    pub(super) fn problem(&self) -> Option<Problem> {
        let checks = [
            (odd_kernels(&self.kernels), ("stem.kernels", "must be odd numbers up to 15")),
            (
                self.strides.iter().all(|(it, _)| [1, 2, 4].contains(it)),
                ("stem.strides", "must be 1, 2 or 4"),
            ),
            ((0.0..=1.0).contains(&self.pool), ("stem.pool", "must be a probability")),
        ];
        fails("stem.kernels", &self.kernels)
            .or(fails("stem.strides", &self.strides))
            .or(checks.into_iter().find_map(|(valid, problem)| (!valid).then_some(problem)))
    }
}

impl Proportions {
    pub(super) fn problem(&self) -> Option<Problem> {
        let stages = self.widths.len();
        let depth = |depth: &usize| *depth <= MOST_BLOCKS;
        let depths =
            |(depths, _): &(Vec<usize>, f64)| depths.len() == stages && depths.iter().all(depth);
        let relative = |width: f64| (0.1..=100.0).contains(&width);
        let widths = self.widths.iter().copied().chain(self.last).all(relative);
        let strides = self.strides.iter().all(|stride| [1, 2].contains(stride));
        let chance = self.as_published.is_none_or(|it| (0.0..=1.0).contains(&it));
        let checks = [
            ((1..=16).contains(&stages), ("families.stages.widths", "must be of 1 to 16 stages")),
            (widths, ("families.stages.widths", "must be factors from 0.1 to 100")),
            (chance, ("families.stages.as_published", "must be a probability")),
            (
                self.depths.iter().all(depths),
                ("families.stages.depths", "must be as many as widths, each up to 64"),
            ),
            (
                strides && self.strides.len() == stages,
                ("families.stages.strides", "must be as many as widths, each 1 or 2"),
            ),
            (
                factor(self.scale[0]) && factor(self.scale[1]) && self.scale[0] <= self.scale[1],
                ("families.stages.scale", "must be a range of factors from 0.1 to 10"),
            ),
        ];
        fails("families.stages.depths", &self.depths)
            .or(checks.into_iter().find_map(|(valid, problem)| (!valid).then_some(problem)))
    }
}

/// What is wrong with the weights of a field, if anything.
pub(super) fn fails<T>(field: &'static str, choices: &Weighted<T>) -> Option<Problem> {
    let valid = choices.iter().all(|(_, weight)| weight.is_finite() && *weight >= 0.0);
    let total = choices.iter().map(|(_, weight)| weight).sum::<f64>();
    let problem = (field, "needs weights that are not negative and not all zero");
    (!valid || total <= 0.0).then_some(problem)
}

pub(super) fn extent(value: usize) -> bool {
    (1..=LIMIT).contains(&value)
}

pub(super) fn range([low, high]: [usize; 2]) -> bool {
    extent(low) && extent(high) && low <= high
}

pub(super) fn factor(factor: f64) -> bool {
    (0.1..=10.0).contains(&factor)
}

pub(super) fn odd_kernels(kernels: &Weighted<usize>) -> bool {
    kernels.iter().all(|(kernel, _)| kernel % 2 == 1 && *kernel <= 15)
}
