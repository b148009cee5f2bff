//! Drawing networks over patches and over the flattened image.

use super::{
    super::{
        plan::{Attention, Body, Family, Mixing, Projection, Scale, TokenPlan},
        space::SpaceError,
    },
    Sampler, within,
};

/// Fewest channels of an attention head.
const LEAST_HEAD: usize = 8;

impl Sampler<'_> {
    /// Patches that leave a grid within the bounds on the last feature map.
    pub(super) fn tokens(&mut self) -> Result<Body, SpaceError> {
        let head = match self.rule.group_widths.is_empty() {
            true => None,
            false => Some(self.pick(&self.rule.group_widths)?),
        };
        let multiple = match head {
            Some(head) => head,
            None => self.pick(&self.space.widths.multiples)?,
        };
        let width = (self.width(self.rule.width) / multiple).max(1) * multiple;
        let [_, height, right] = self.space.input;
        let grid = self.rule.bounds(self.space).side;
        let fits = |patch: &usize| {
            height.is_multiple_of(*patch)
                && right.is_multiple_of(*patch)
                && within(grid, height / patch)
        };
        let patches: Vec<_> = (1..=height).filter(fits).map(|patch| (patch, 1.0)).collect();
        let patch = self.draw.pick(&patches).unwrap_or(height);
        let ratio = self.ratio(&[(1, 0.1), (2, 0.45), (3, 0.15), (4, 0.3)])?;
        let mixing = match self.rule.family {
            Family::Mixer => {
                let tokens = (height / patch) * (right / patch);
                let share = self.pick(&[(1, 0.4), (2, 0.4), (4, 0.2)])?;
                Mixing::Linear { hidden: (tokens * share / 2).max(1) }
            }
            Family::Resmlp => Mixing::Affine,
            _ => Mixing::Attention(self.attention(width, head)?),
        };
        let positions = self.rule.family == Family::Vit && self.draw.chance(0.75);
        let class_token = self.rule.class_token.is_some_and(|chance| self.draw.chance(chance));
        let (blocks, hidden) = (self.pick(&self.rule.blocks)?, ratio * width);
        Ok(Body::Tokens(TokenPlan { patch, width, class_token, positions, blocks, mixing, hidden }))
    }

    /// Attention with heads of a width that is given, or with any number of heads.
    fn attention(&mut self, width: usize, head: Option<usize>) -> Result<Attention, SpaceError> {
        let fits = |heads: &usize| width.is_multiple_of(*heads) && width / heads >= LEAST_HEAD;
        let heads: Vec<_> =
            [1, 2, 3, 4, 6, 8].into_iter().filter(fits).map(|heads| (heads, 1.0)).collect();
        let heads = match head {
            Some(head) => width / head,
            None => self.draw.pick(&heads).unwrap_or(1),
        };
        Ok(Attention {
            heads,
            projection: self.pick(&[
                (Projection::Separate, 0.4),
                (Projection::Chunked, 0.25),
                (Projection::Unbound, 0.35),
            ])?,
            scale: self.pick(&[
                (Scale::Scores, 0.25),
                (Scale::Divided, 0.2),
                (Scale::Queries, 0.25),
                (Scale::Both, 0.3),
            ])?,
        })
    }

    /// Hidden layers, each as wide as the one before it or half as wide.
    pub(super) fn layers(&mut self) -> Result<Body, SpaceError> {
        let multiple = self.pick(&self.space.widths.multiples)?;
        let shrink = self.pick(&[(1, 0.5), (2, 0.5)])?;
        let mut width = self.width(self.rule.width);
        let mut widths = Vec::new();
        for _ in 0..self.pick(&self.rule.blocks)? {
            widths.push((width / multiple).max(1) * multiple);
            width /= shrink;
        }
        Ok(Body::Layers { pool: self.pick(&[(1, 0.5), (2, 0.5)])?, widths })
    }
}
