//! Drawing a graph: family, norm and activation first and for good, so that their frequencies are
//! the ones asked for; then everything else, again and again until the graph is within bounds.

use bytes::Bytes;

use super::{
    block,
    build::{Activation, Built},
    draw::{Draw, Weighted},
    pair_cell::PairCell,
    plan::{
        Block, Body, Down, Family, Head, HeadPlan, Norm, PairPlan, Plan, Squeeze, Stage, StemPlan,
        Theme,
    },
    rule::{Bounds, FamilyRule},
    space::{Sizes, Space, SpaceError},
};

mod blocks;
mod design;
mod tokens;

/// Rejected graphs before a seed is given up.
const ATTEMPTS: usize = 10_000;
/// Rejected graphs before another cost is drawn, where costs are drawn.
const PATIENCE: usize = 150;
/// How far a graph may be from the cost that was drawn, as a factor.
const TOLERANCE: f64 = 1.4;

/// One architecture of a space.
#[derive(Clone, Debug)]
pub struct SampledGraph {
    /// `<space>-<seed>`, also the graph's name.
    pub name: String,
    /// The seed it came from.
    pub seed: u64,
    /// The ONNX file: no weights, parameters listed as graph inputs with their shapes.
    pub onnx: Bytes,
    /// What it is made of.
    pub style: Style,
    /// The published design that it follows, if it follows one.
    pub design: Option<String>,
    /// Learned values, running statistics included.
    pub parameters: u64,
    /// Multiply-accumulates of convolutions and linear maps for one image.
    pub multiply_accumulates: u64,
    /// Convolutions and linear maps on the longest way.
    pub depth: usize,
    /// Number of operators, constants aside.
    pub nodes: usize,
}

/// The choices that name a sample's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// What its stages are made of.
    pub family: Family,
    /// Its normalisation.
    pub norm: Norm,
    /// Its non-linearity.
    pub activation: Activation,
}

impl Space {
    /// The graph of a seed: the same bytes wherever and whenever it is asked for.
    pub fn sample(&self, seed: u64) -> Result<SampledGraph, SpaceError> {
        let draw = &mut Draw::new(&self.name, seed);
        let name = format!("{}-{seed}", self.name);
        let rules: Weighted<&FamilyRule> =
            self.families.iter().map(|rule| (rule, rule.weight)).collect();
        let rule = pick(draw, &rules, self)?;
        let style = Style {
            family: rule.family,
            norm: pick(draw, rule.norms(self), self)?,
            activation: pick(draw, rule.activations(self), self)?,
        };
        let mut bounds = rule.bounds(self).clone();
        for attempt in 0..ATTEMPTS {
            if self.sizes == Sizes::LogUniform && attempt.is_multiple_of(PATIENCE) {
                bounds.multiply_accumulates = costs(draw, rule.bounds(self));
            }
            let plan = Sampler { space: self, rule, style, draw }.plan()?;
            let (builder, logits, side) = block::network(&plan, &name, self.input, self.classes);
            let built = builder.build(&logits);
            if admits(&bounds, &plan, &built, side) {
                return Ok(SampledGraph {
                    design: rule.design.clone(),
                    onnx: built.encode().into(),
                    parameters: built.parameters,
                    multiply_accumulates: built.multiply_accumulates,
                    depth: built.depth,
                    nodes: built.operators(),
                    name,
                    seed,
                    style,
                });
            }
        }
        let (space, family, attempts) = (self.name.clone(), style.family, ATTEMPTS);
        Err(SpaceError::Exhausted { space, seed, family, attempts })
    }
}

/// Multiply-accumulates about a number that is drawn within bounds.
fn costs(draw: &mut Draw, bounds: &Bounds) -> [u64; 2] {
    let [low, high] = bounds.multiply_accumulates;
    let cost = draw.log_uniform([low, high].map(|bound| bound.max(1) as f64));
    [low.max((cost / TOLERANCE) as u64), high.min((cost * TOLERANCE) as u64)]
}

fn admits(bounds: &Bounds, plan: &Plan, built: &Built, side: Option<usize>) -> bool {
    let deepest = match plan.theme.norm {
        Norm::None if plan.body.has_shortcuts() => bounds.norm_free_residual_depth,
        Norm::None => bounds.norm_free_depth,
        _ => bounds.depth[1],
    };
    within(bounds.parameters, built.parameters)
        && within(bounds.multiply_accumulates, built.multiply_accumulates)
        && side.is_none_or(|side| within(bounds.side, side))
        && within([bounds.depth[0], deepest.min(bounds.depth[1])], built.depth)
}

fn within<T: PartialOrd>([low, high]: [T; 2], value: T) -> bool {
    low <= value && value <= high
}

/// A choice that [`Space::parse`] has made sure exists.
fn pick<T: Copy>(draw: &mut Draw, choices: &[(T, f64)], space: &Space) -> Result<T, SpaceError> {
    draw.pick(choices).ok_or_else(|| SpaceError::Field {
        space: space.name.clone(),
        field: "a list of choices".into(),
        problem: "is empty",
    })
}

/// One attempt.
struct Sampler<'a> {
    space: &'a Space,
    rule: &'a FamilyRule,
    style: Style,
    draw: &'a mut Draw,
}

impl Sampler<'_> {
    fn plan(&mut self) -> Result<Plan, SpaceError> {
        let mut theme = self.theme();
        let rule = self.rule;
        if rule.stages.is_some() {
            theme = self.gated(theme)?;
        }
        let body = match (&rule.stages, rule.family) {
            (Some(design), _) => self.design(design, &theme)?,
            (None, family) if family.has_tokens() => self.tokens()?,
            (None, Family::Mlp) => self.layers()?,
            (None, Family::Darts) => self.pairs()?,
            (None, _) => self.stages(&theme)?,
        };
        Ok(Plan { theme, body })
    }

    fn stages(&mut self, theme: &Theme) -> Result<Body, SpaceError> {
        let space = self.space;
        let family = self.rule.family;
        let multiple = self.pick(&space.widths.multiples)?;
        let kernel = self.pick(&space.stem.kernels)?;
        let mut stride = self.pick(&space.stem.strides)?;
        let patches = family.has_patches();
        if patches {
            stride = self.pick(&[(2, 0.7), (4, 0.3)])?;
        }
        let pool = !patches && stride == 2 && self.draw.chance(space.stem.pool);
        let scale = if stride == 1 { space.widths.slow_stem } else { 1.0 };
        let mut width = self.width(self.rule.width) as f64 * scale;
        let lowest = self.rule.width[0].min(space.widths.last);
        let round = |width: f64| {
            let rounded = (width / multiple as f64 + 0.5) as usize * multiple;
            rounded.clamp(lowest.max(multiple), space.widths.last.max(multiple))
        };
        let stem = StemPlan { width: round(width), kernel, stride, pool, patches };

        let halved = stride.ilog2() as usize + usize::from(pool);
        let halvings = self.halvings().saturating_sub(halved);
        let down = match (self.pick(&space.downs)?, family) {
            (_, Family::Nb201 | Family::Macro | Family::Transnas | Family::Poolformer) => {
                Down::Stride
            }
            (_, family) if family.has_patches() => Down::Stride,
            (_, Family::Nb101 | Family::Fire) => Down::MaxPool,
            (down, _) => down,
        };
        let mut downs: Vec<Option<Down>> = vec![Some(down); halvings];
        if self.draw.chance(0.5) {
            downs.insert(0, None);
        }
        if downs.is_empty() || self.draw.chance(0.25) {
            downs.push(None);
        }
        let growth = self.pick(&space.widths.growth)?;
        let cell = self.cell();
        let mut stages = Vec::new();
        for (index, down) in downs.into_iter().enumerate() {
            if index > 0 || down.is_some() {
                width *= growth;
            }
            let width = round(width);
            let mut blocks = match &cell {
                Some(cell) => vec![cell.block(width); self.pick(&self.rule.blocks)?],
                None => self.blocks(index, width, None, &round, theme)?,
            };
            if index > 0 || down.is_some() {
                blocks.splice(0..0, family.between(width));
            }
            stages.push(Stage { down, blocks, theme: None });
        }
        let ends_wide = match family {
            Family::Inverted => self.draw.chance(0.6),
            other => other == Family::Macro,
        };
        if ends_wide && let Some(stage) = stages.last_mut() {
            stage.blocks.push(Block::Plain { width: round(width * 2.0), kernel: 1 });
        }
        Ok(Body::Stages { stem, stages, head: self.head()? })
    }

    fn head(&mut self) -> Result<HeadPlan, SpaceError> {
        let kind = self.pick(self.rule.heads(self.space))?;
        let hidden = match (&self.space.hidden, kind) {
            (Some(hidden), Head::Hidden) => vec![self.width(hidden.width)],
            (Some(hidden), Head::Flat) => {
                let layers = self.pick(&hidden.layers)?;
                (0..layers).map(|_| self.width(hidden.width)).collect()
            }
            _ => Vec::new(),
        };
        Ok(HeadPlan { kind, hidden })
    }

    /// A stack of cells, all as one is drawn.
    fn pairs(&mut self) -> Result<Body, SpaceError> {
        let multiple = self.pick(&self.space.widths.multiples)?;
        let width = (self.width(self.rule.width) / multiple).max(1) * multiple;
        let cells = self.pick(&self.rule.blocks)?;
        Ok(Body::Pairs(PairPlan { width, cells, cell: PairCell::draw(self.draw) }))
    }

    /// A width, distributed as the space has it.
    fn width(&mut self, range: [usize; 2]) -> usize {
        match self.space.sizes {
            Sizes::Falling => self.draw.width(range),
            Sizes::LogUniform => self.draw.log_uniform(range.map(|it| it as f64)) as usize,
        }
    }

    fn theme(&mut self) -> Theme {
        let squeezable = matches!(
            self.rule.family,
            Family::Residual
                | Family::Preactivation
                | Family::Bottleneck
                | Family::Inverted
                | Family::Separable
                | Family::Ghost
                | Family::Maxvit
        );
        // Gates halve the signal at initialisation; without a norm nothing brings it back.
        let squeezable = squeezable && self.style.norm != Norm::None;
        let gate =
            if self.draw.chance(0.5) { Activation::Sigmoid } else { Activation::HardSigmoid };
        let divisor = if self.draw.chance(0.5) { 4 } else { 8 };
        let early = match self.rule.family {
            Family::Preactivation => 1.0,
            _ => self.rule.early.unwrap_or(0.35),
        };
        Theme {
            norm: self.style.norm,
            activation: self.style.activation,
            group_size: if self.draw.chance(0.5) { 4 } else { 8 },
            bias: self.draw.chance(self.space.bias_with_norm),
            early: self.draw.chance(early),
            averaging_shortcut: self.draw.chance(0.25),
            squeeze: (squeezable
                && self.draw.chance(self.rule.squeeze.unwrap_or(self.space.squeeze)))
            .then_some(Squeeze { divisor, activation: Activation::Relu, gate, inside: false }),
            layer_scale: matches!(self.rule.family, Family::Convnext | Family::Poolformer)
                && self.draw.chance(0.6),
            pointwise: self.rule.family == Family::Convnext && self.draw.chance(0.4),
            unpadded: self.rule.unpadded.is_some_and(|chance| self.draw.chance(chance)),
        }
    }

    /// How often resolution is halved: any number that ends within bounds.
    fn halvings(&mut self) -> usize {
        let [low, high] = self.space.bounds.side;
        let side = self.space.input[1];
        let fits = |count: &usize| within([low, high], side.div_ceil(1 << count));
        let counts: Vec<_> = (0..10).filter(fits).map(|count| (count, 1.0)).collect();
        self.draw.pick(&counts).unwrap_or(0)
    }

    /// A ratio of widths: one of the rule's, or of these.
    fn ratio(&mut self, usual: &[(usize, f64)]) -> Result<usize, SpaceError> {
        let given = &self.rule.ratios;
        self.pick(if given.is_empty() { usual } else { given })
    }

    fn pick<T: Copy>(&mut self, choices: &[(T, f64)]) -> Result<T, SpaceError> {
        pick(self.draw, choices, self.space)
    }
}
