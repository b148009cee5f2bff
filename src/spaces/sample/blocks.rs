//! Drawing the blocks of a stage.

use super::{
    super::{
        build::Pool,
        cell::{EdgeCell, VertexCell},
        draw::Weighted,
        plan::{Block, Branch, Family, Partition, Theme},
        rule::FamilyRule,
        space::SpaceError,
    },
    Sampler,
};

/// Convolutional stages of LeViT, before the stages of attention.
const STEM_OF_LEVIT: usize = 3;

/// By how much keys of the first stage of PVT v2 are fewer along each side; half as much in every further stage.
const REDUCTION: usize = 8;
/// Expansion of an inverted residual in MaxViT.
const EXPANSION_OF_MAXVIT: usize = 4;

/// A cell of any kind.
pub(super) enum Cell {
    Edges(EdgeCell),
    Strided(EdgeCell),
    Vertices(VertexCell),
}

impl Cell {
    pub fn block(&self, width: usize) -> Block {
        match self {
            Self::Edges(cell) => Block::EdgeCell(*cell),
            Self::Strided(cell) => Block::StridedCell { width, cell: *cell },
            Self::Vertices(cell) => Block::VertexCell { width, cell: cell.clone() },
        }
    }
}

impl Sampler<'_> {
    /// The cell that a whole network repeats, in families of cells.
    pub(super) fn cell(&mut self) -> Option<Cell> {
        match self.rule.family {
            Family::Nb201 if self.rule.edges.is_empty() => {
                Some(Cell::Edges(EdgeCell::draw(self.draw)))
            }
            Family::Nb201 => Some(Cell::Edges(EdgeCell::draw_open(self.draw, &self.rule.edges))),
            Family::Transnas => {
                Some(Cell::Strided(EdgeCell::draw_open(self.draw, &self.rule.edges)))
            }
            Family::Nb101 => Some(Cell::Vertices(VertexCell::draw(self.draw))),
            _ => None,
        }
    }

    /// The blocks of one stage; their number is drawn if it is not given.
    pub(super) fn blocks(
        &mut self,
        stage: usize,
        width: usize,
        count: Option<usize>,
        round: &impl Fn(f64) -> usize,
        theme: &Theme,
    ) -> Result<Vec<Block>, SpaceError> {
        let rule = match self.rule.family {
            Family::Mixed => {
                let rules: Weighted<&FamilyRule> = self
                    .space
                    .families
                    .iter()
                    .filter(|rule| rule.family.mixes())
                    .map(|rule| (rule, rule.weight))
                    .collect();
                self.pick(&rules)?
            }
            _ => self.rule,
        };
        let kernel = if rule.family.has_kernels() { self.pick(&rule.kernels)? } else { 3 };
        let count = match count {
            Some(count) => count,
            None => self.pick(&self.rule.blocks)?,
        };
        let groups = self.pick(&[(2, 0.35), (4, 0.4), (8, 0.25)])?;
        let part = self.ratio(&[(2, 0.4), (3, 0.2), (4, 0.4)])?;
        let block = match rule.family {
            Family::Residual | Family::Preactivation => Block::Basic { width, kernel },
            Family::Bottleneck => {
                let groups = if self.draw.chance(0.35) { groups } else { 1 };
                Block::Bottleneck { width, kernel, inner: round((width / part) as f64), groups }
            }
            Family::Inverted => Block::Inverted { width, kernel, expansion: part },
            Family::Separable => Block::Separable { width, kernel },
            Family::Grouped => Block::Grouped { width, kernel, groups },
            Family::Dense => {
                let growth = round((width / 2) as f64);
                let inner = (theme.group_size == 4).then_some(2 * growth);
                Block::Dense { growth, kernel, inner }
            }
            Family::Inception => Block::Inception { branches: self.branches(width, round)? },
            Family::Shuffle if self.draw.chance(0.5) => Block::ShuffleHalves { width, kernel },
            Family::Shuffle => {
                let inner = round((width / part) as f64);
                Block::ShuffleGroups { width, kernel, inner, groups }
            }
            Family::Fire => Block::Fire { width, inner: round((width / (2 * part)) as f64).max(4) },
            Family::Convnext => Block::Convnext { kernel, expansion: part },
            Family::Gated => Block::Gated { kernel, expansion: part },
            Family::Poolformer => Block::Poolformer { expansion: part },
            Family::Convmixer => Block::Convmixer { kernel },
            Family::Ghost => Block::Ghost { width, kernel, expansion: part },
            Family::Repvgg => Block::Repvgg { width },
            Family::Swin => return self.windowed(count, width, part),
            Family::Maxvit => return self.gridded(count, width, part),
            Family::Pvt => return self.reduced(stage, count, width, part),
            Family::Pit => Block::Transformer {
                head: self.head_width(width)?,
                reduction: None,
                joint: true,
                expansion: part,
            },
            Family::Levit if stage < STEM_OF_LEVIT => Block::Plain { width, kernel: 3 },
            Family::Levit => Block::Levit { expansion: part },
            Family::Visformer if stage == 0 => Block::VisformerLocal,
            Family::Visformer => {
                Block::Visformer { head: self.head_width(width)?, expansion: part }
            }
            Family::Macro => return self.chain(count, width),
            Family::Plain
            | Family::Mixed
            | Family::Vit
            | Family::Mixer
            | Family::Resmlp
            | Family::Mlp
            | Family::Nb201
            | Family::Transnas
            | Family::Darts
            | Family::Nb101 => Block::Plain { width, kernel },
        };
        let mut blocks = vec![block; count];
        if rule.family == Family::Dense && stage > 0 {
            blocks.insert(0, Block::Transition { width });
        }
        if rule.family == Family::Levit && stage >= STEM_OF_LEVIT {
            blocks.insert(0, Block::LevitDown { width });
        }
        Ok(blocks)
    }

    /// `count` blocks of attention, in every second of which windows are moved.
    fn windowed(
        &mut self,
        count: usize,
        width: usize,
        expansion: usize,
    ) -> Result<Vec<Block>, SpaceError> {
        let attention = self.attention_in_windows(width, expansion)?;
        let partitions = [Partition::Block, Partition::Shifted].into_iter().cycle();
        Ok(partitions.take(count).map(attention).collect())
    }

    /// `count` inverted residuals, attention within windows and across them behind each.
    fn gridded(
        &mut self,
        count: usize,
        width: usize,
        expansion: usize,
    ) -> Result<Vec<Block>, SpaceError> {
        let attention = self.attention_in_windows(width, expansion)?;
        let convolution = Block::Inverted { width, kernel: 3, expansion: EXPANSION_OF_MAXVIT };
        let layer = [convolution, attention(Partition::Block), attention(Partition::Grid)];
        Ok(vec![layer; count].concat())
    }

    /// A block for each partition, all with windows and heads of one size.
    fn attention_in_windows(
        &mut self,
        width: usize,
        expansion: usize,
    ) -> Result<impl Fn(Partition) -> Block + use<>, SpaceError> {
        let given = &self.rule.windows;
        let window = self.pick(if given.is_empty() { &[(4, 0.5), (8, 0.5)] } else { given })?;
        let head = self.head_width(width)?;
        Ok(move |partition| Block::Swin { head, window, partition, expansion })
    }

    /// `count` blocks of attention to fewer keys, and a norm.
    fn reduced(
        &mut self,
        stage: usize,
        count: usize,
        width: usize,
        expansion: usize,
    ) -> Result<Vec<Block>, SpaceError> {
        let (head, joint) = (self.head_width(width)?, self.draw.chance(0.5));
        let reduction = Some((REDUCTION >> stage).max(1));
        let block = Block::Transformer { head, reduction, joint, expansion };
        let mut blocks = vec![block; count];
        blocks.push(Block::TokenNorm);
        Ok(blocks)
    }

    /// Channels of an attention head: as the rule has it, or all if that does not divide a width.
    fn head_width(&mut self, width: usize) -> Result<usize, SpaceError> {
        let head = self.pick(&self.rule.group_widths)?;
        Ok(if width.is_multiple_of(head) { head } else { width })
    }

    /// `count` layers of NAS-Bench-Macro. An identity that keeps its shape is the same wherever it
    /// stands.
    fn chain(&mut self, count: usize, width: usize) -> Result<Vec<Block>, SpaceError> {
        let layers = [
            (Block::Project { width }, 1.0),
            (Block::Inverted { width, kernel: 3, expansion: 3 }, 1.0),
            (Block::Inverted { width, kernel: 5, expansion: 6 }, 1.0),
        ];
        let choices: Weighted<&Block> =
            layers.iter().map(|(block, weight)| (block, *weight)).collect();
        (0..count).map(|_| Ok(self.pick(&choices)?.clone())).collect()
    }

    /// Two to four branches whose widths add up to about `width`.
    fn branches(
        &mut self,
        width: usize,
        round: &impl Fn(f64) -> usize,
    ) -> Result<Vec<Branch>, SpaceError> {
        let pool = if self.draw.chance(0.5) { Pool::Max } else { Pool::Average };
        let small = round(width as f64 / 4.0);
        let inner = small;
        let wide = round(width as f64 / 2.0);
        let mut branches = vec![Branch::Square { width: wide, inner, kernel: 3, layers: 1 }];
        if self.draw.chance(0.8) {
            branches.insert(0, Branch::Point { width: small });
        }
        match self.pick(&[(0, 0.4), (1, 0.35), (2, 0.25)])? {
            0 => branches.push(Branch::Square { width: small, inner, kernel: 5, layers: 1 }),
            1 => branches.push(Branch::Square { width: small, inner, kernel: 3, layers: 2 }),
            _ => {}
        }
        if branches.len() < 2 || self.draw.chance(0.6) {
            branches.push(Branch::Pool { width: small, pool });
        }
        Ok(branches)
    }
}
