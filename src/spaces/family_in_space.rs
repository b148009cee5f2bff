//! What a family takes from its space where its rule does not say, and whether a rule fits its space.

use super::{
    build::Activation,
    draw::Weighted,
    plan::{Down, Head, Norm},
    rule::{
        Bounds, FamilyRule, MOST_BLOCKS, MOST_RATIO, Problem, Stem, extent, fails, odd_kernels,
        range,
    },
    space::Space,
};

impl FamilyRule {
    /// Its norms in a space.
    pub fn norms<'a>(&'a self, space: &'a Space) -> &'a Weighted<Norm> {
        self.norms.as_ref().unwrap_or(&space.norms)
    }

    /// Its activations in a space.
    pub fn activations<'a>(&'a self, space: &'a Space) -> &'a Weighted<Activation> {
        self.activations.as_ref().unwrap_or(&space.activations)
    }

    /// How it halves its resolution in a space.
    pub fn downs<'a>(&'a self, space: &'a Space) -> &'a Weighted<Down> {
        self.downs.as_ref().unwrap_or(&space.downs)
    }

    /// Its heads in a space.
    pub fn heads<'a>(&'a self, space: &'a Space) -> &'a Weighted<Head> {
        self.heads.as_ref().unwrap_or(&space.heads)
    }

    /// Its stem in a space.
    pub fn stem<'a>(&'a self, space: &'a Space) -> &'a Stem {
        self.stem.as_ref().unwrap_or(&space.stem)
    }

    /// Its bounds in a space.
    pub fn bounds<'a>(&'a self, space: &'a Space) -> &'a Bounds {
        self.bounds.as_ref().unwrap_or(&space.bounds)
    }

    /// The first field with a value that no graph can have.
    pub(super) fn problem(&self, space: &Space) -> Option<Problem> {
        let tokenwise = self.family.is_tokenwise();
        let known = |norm: &Norm| !tokenwise || matches!(norm, Norm::Layer | Norm::None);
        let norms = self.norms(space).iter().all(|(norm, _)| known(norm));
        let blocks = self.blocks.iter().all(|(blocks, _)| (1..=MOST_BLOCKS).contains(blocks));
        let ratios = self.ratios.iter().all(|(ratio, _)| (1..=MOST_RATIO).contains(ratio));
        let groups = self.group_widths.iter().all(|(width, _)| extent(*width));
        let windows = self.windows.iter().all(|(side, _)| extent(*side));
        let chance = |chance: Option<f64>| chance.is_none_or(|it| (0.0..=1.0).contains(&it));
        let designs = self.stages.is_none() || self.family.has_designs();
        let checks = [
            (designs, ("families.stages", "is for families of convolutional stages only")),
            (norms, ("families.norms", "must be 'layer' or 'none' in a family of tokens")),
            (chance(self.early), ("families.early", "must be a probability")),
            (chance(self.squeeze), ("families.squeeze", "must be a probability")),
            (chance(self.unpadded), ("families.unpadded", "must be a probability")),
            (chance(self.class_token), ("families.class_token", "must be a probability")),
            (odd_kernels(&self.kernels), ("families.kernels", "must be odd numbers up to 15")),
            (range(self.width), ("families.width", "must be a range within 1 to 4096")),
            (blocks, ("families.blocks", "must be from 1 to 64")),
            (ratios, ("families.ratios", "must be from 1 to 64")),
            (groups, ("families.group_widths", "must be from 1 to 4096")),
            (windows, ("families.windows", "must be from 1 to 4096")),
        ];
        let edges = match self.edges.is_empty() {
            true => None,
            false => fails("families.edges", &self.edges),
        };
        let given = |field, choices: &Weighted<usize>| match choices.is_empty() {
            true => None,
            false => fails(field, choices),
        };
        let invalid = checks.into_iter().find_map(|(valid, problem)| (!valid).then_some(problem));
        let stages = match &self.stages {
            Some(stages) => stages.problem(),
            None => fails("families.blocks", &self.blocks),
        };
        let kernels = match self.family.has_kernels() {
            true => fails("families.kernels", &self.kernels),
            false => None,
        };
        stages
            .or(kernels)
            .or(fails("families.norms", self.norms(space)))
            .or(fails("families.activations", self.activations(space)))
            .or(fails("families.downs", self.downs(space)))
            .or(fails("families.heads", self.heads(space)))
            .or(edges)
            .or(given("families.ratios", &self.ratios))
            .or(given("families.group_widths", &self.group_widths))
            .or(given("families.windows", &self.windows))
            .or(invalid)
            .or(self.stem(space).problem())
    }
}
