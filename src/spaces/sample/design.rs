//! Drawing networks at the proportions of published designs: stem, stages, widths and depths stand to each
//! other as in the paper, and a draw makes them narrower or wider, shallower or deeper as a whole.

use super::{
    super::{
        build::Activation,
        plan::{Block, Body, Family, Stage, StemPlan, Theme},
        rule::Proportions,
        space::SpaceError,
    },
    Sampler,
};

/// Chance that a network lowers its resolution wherever its design does, if the design does not say.
const AS_PUBLISHED: f64 = 0.6;
/// Chance that a stage of another network still does.
const STILL_LOWERS: f64 = 0.6;

impl Sampler<'_> {
    /// Stem, stages and head of a design.
    pub(super) fn design(
        &mut self,
        design: &Proportions,
        theme: &Theme,
    ) -> Result<Body, SpaceError> {
        let family = self.rule.family;
        let multiple = self.pick(&self.space.widths.multiples)?;
        let unit = self.draw.log_uniform(self.rule.width.map(|width| width as f64));
        let last = self.space.widths.last;
        let round = |width: f64| {
            ((width / multiple as f64 + 0.5) as usize).max(1).saturating_mul(multiple).min(last)
        };
        let stem = self.stem(round(unit), family.has_patches())?;
        let down = self.pick(self.rule.downs(self.space))?;
        let depths = self.depths(design)?;
        let activations = self.activations(depths.len());
        let published = self.draw.chance(design.as_published.unwrap_or(AS_PUBLISHED));
        let mut stages = Vec::new();
        let mut channels = stem.width;
        let proportions = design.widths.iter().zip(&design.strides);
        for (index, (&depth, (&relative, &stride))) in depths.iter().zip(proportions).enumerate() {
            let kept = stride > 1 && (published || self.draw.chance(STILL_LOWERS));
            let down = kept.then_some(down);
            let width = round(unit * relative);
            let mut blocks = match family {
                Family::Dense => {
                    let growth = round(unit / 2.0);
                    channels += depth * growth;
                    let mut blocks = self.dense(depth, growth)?;
                    if index + 1 < depths.len() {
                        channels = round(channels as f64 / 2.0);
                        blocks.push(Block::Transition { width: channels });
                    }
                    blocks
                }
                Family::Bottleneck => vec![self.bottleneck(width, &round)?; depth],
                _ => self.blocks(index, width, Some(depth), &round, theme)?,
            };
            if index > 0 || down.is_some() {
                blocks.splice(0..0, family.between(width));
            }
            let own = activations.get(index).copied().unwrap_or(theme.activation);
            let theme = self.staged(theme, own);
            stages.push(Stage { down, blocks, theme });
        }
        if let (Some(last), Some(stage)) = (design.last, stages.last_mut()) {
            stage.blocks.push(Block::Plain { width: round(unit * last), kernel: 1 });
        }
        Ok(Body::Stages { stem, stages, head: self.head()? })
    }

    fn stem(&mut self, width: usize, patches: bool) -> Result<StemPlan, SpaceError> {
        let stem = self.rule.stem(self.space);
        let (kernel, stride) = (self.pick(&stem.kernels)?, self.pick(&stem.strides)?);
        let pool = stride == 2 && self.draw.chance(stem.pool);
        Ok(StemPlan { width, kernel, stride, pool, patches })
    }

    /// Blocks of every stage. A stage with blocks keeps at least one.
    fn depths(&mut self, design: &Proportions) -> Result<Vec<usize>, SpaceError> {
        let choices: Vec<(&Vec<usize>, f64)> =
            design.depths.iter().map(|(depths, weight)| (depths, *weight)).collect();
        let depths = self.pick(&choices)?;
        let scale = self.draw.log_uniform(design.scale);
        let scaled = |&depth: &usize| match depth {
            0 => 0,
            depth => ((depth as f64 * scale + 0.5) as usize).max(1),
        };
        Ok(depths.iter().map(scaled).collect())
    }

    /// `depth` layers of one growth.
    fn dense(&mut self, depth: usize, growth: usize) -> Result<Vec<Block>, SpaceError> {
        let inner = Some(self.ratio(&[(4, 1.0)])? * growth);
        let kernel = self.pick(&self.rule.kernels)?;
        Ok(vec![Block::Dense { growth, kernel, inner }; depth])
    }

    /// 1×1, k×k, 1×1, as wide inside as the rule has it.
    fn bottleneck(
        &mut self,
        width: usize,
        round: &impl Fn(f64) -> usize,
    ) -> Result<Block, SpaceError> {
        let kernel = self.pick(&self.rule.kernels)?;
        let inner = round(width as f64 / self.ratio(&[(4, 1.0)])? as f64);
        let groups = match self.rule.group_widths.is_empty() {
            true => 1,
            false => (inner / self.pick(&self.rule.group_widths)?).max(1),
        };
        Ok(Block::Bottleneck { width, kernel, inner, groups })
    }

    /// A theme whose gates are as wide, as activated and where published networks have them.
    pub(super) fn gated(&mut self, mut theme: Theme) -> Result<Theme, SpaceError> {
        let divisor = self.pick(&[(4, 0.5), (8, 0.15), (16, 0.2), (24, 0.15)])?;
        let (activated, inside) = (self.draw.chance(0.5), self.draw.chance(0.5));
        if let Some(squeeze) = &mut theme.squeeze {
            squeeze.divisor = divisor;
            squeeze.inside = inside && self.rule.family == Family::Bottleneck;
            if activated {
                squeeze.activation = theme.activation;
            }
        }
        Ok(theme)
    }

    /// The activation of every stage: that of the network, or ReLU in the first stages of inverted
    /// residuals, as in MobileNetV3.
    fn activations(&mut self, stages: usize) -> Vec<Activation> {
        let own = self.style.activation;
        let late = matches!(own, Activation::HardSwish | Activation::Silu);
        let turns = self.rule.family == Family::Inverted && late && self.draw.chance(0.4);
        let first = if turns { stages / 2 } else { 0 };
        (0..stages).map(|stage| if stage < first { Activation::Relu } else { own }).collect()
    }

    /// What a stage has for itself: its activation, and in inverted residuals perhaps no gates.
    fn staged(&mut self, theme: &Theme, activation: Activation) -> Option<Theme> {
        let gates = theme.squeeze.is_some() && self.rule.family == Family::Inverted;
        let squeeze = match gates && self.draw.chance(0.25) {
            true => None,
            false => theme.squeeze,
        };
        let own = Theme { activation, squeeze, ..theme.clone() };
        (own != *theme).then_some(own)
    }
}
