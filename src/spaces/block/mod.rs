//! Blocks as layers: what each kind of block adds to a graph.

use super::{
    build::{Conv, GraphBuilder, Pool, Value},
    plan::{Block, Body, Branch, Down, Head, Norm, Plan, Squeeze, Stage, StemPlan, Theme},
};

mod cells;
mod convmixer;
mod convnext;
mod ghost;
mod head;
mod metaformer;
mod pairs;
mod pyramid;
mod repvgg;
mod shuffle;
mod tokens;
mod transformer;

/// Writes the blocks of one plan.
struct Layers<'a> {
    builder: GraphBuilder,
    theme: &'a Theme,
}

/// The whole network of a plan: the builder after it, its logits, and the height of its last
/// feature map, if it ends in one.
pub(super) fn network(
    plan: &Plan,
    name: &str,
    input: [usize; 3],
    classes: usize,
) -> (GraphBuilder, Value, Option<usize>) {
    let (builder, image) = GraphBuilder::new(name, input);
    let mut layers = Layers { builder, theme: &plan.theme };
    let (logits, side) = match &plan.body {
        Body::Stages { stem, stages, head } => {
            let x = layers.stages(stem, stages, &image);
            let side = x.extent.map_or(1, |[height, _]| height);
            (layers.head(head, &x, classes), Some(side))
        }
        Body::Pairs(plan) => {
            let x = layers.pairs(plan, &image);
            let side = x.extent.map_or(1, |[height, _]| height);
            (layers.head(&Head::Linear.into(), &x, classes), Some(side))
        }
        Body::Tokens(plan) => (layers.tokens(plan, &image, classes), None),
        Body::Layers { pool, widths } => (layers.layers(*pool, widths, &image, classes), None),
    };
    (layers.builder, logits, side)
}

/// Whether a block, when norms go early, normalises what it reads and not what it returns.
fn normalises_input(block: &Block) -> bool {
    use Block::{Basic, Bottleneck, Dense, Transition};
    matches!(block, Basic { .. } | Bottleneck { .. } | Dense { .. } | Transition { .. })
}

/// Whether a block activates what it reads and normalises what it returns.
fn activates_input(block: &Block) -> bool {
    matches!(block, Block::Reduce { .. } | Block::EdgeCell { .. })
}

/// The greatest divisor of both that is at most `groups`.
fn shared_divisor(left: usize, right: usize, groups: usize) -> usize {
    (1..=groups).rev().find(|n| left.is_multiple_of(*n) && right.is_multiple_of(*n)).unwrap_or(1)
}

impl<'a> Layers<'a> {
    fn stages(&mut self, stem: &StemPlan, stages: &'a [Stage], image: &Value) -> Value {
        let mut x = self.stem(stem, stages.iter().flat_map(|stage| &stage.blocks).next(), image);
        let theme = self.theme;
        for (index, stage) in stages.iter().enumerate() {
            self.theme = stage.theme.as_ref().unwrap_or(theme);
            x = self.stage(&format!("stages.{index}"), stage, x);
        }
        self.theme = theme;
        let last = stages.last().and_then(|stage| stage.blocks.last());
        if self.theme.early && last.is_some_and(normalises_input)
            || last.is_some_and(activates_input)
        {
            x = self.norm("norm", &x);
            x = self.activate("act", &x);
        }
        x
    }

    fn stem(&mut self, stem: &StemPlan, first: Option<&Block>, image: &Value) -> Value {
        if stem.patches {
            return self.patch_stem(stem, image);
        }
        if matches!(first, Some(Block::Transformer { .. })) {
            return self.overlapping_stem(stem, image);
        }
        if matches!(first, Some(Block::Convmixer { .. })) {
            return self.activated_patches(stem, image);
        }
        let conv = self.dense_conv(stem.width, stem.kernel, stem.stride);
        let early = self.theme.early && first.is_some_and(normalises_input);
        let bare = matches!(first, Some(Block::Poolformer { .. } | Block::Conv { .. }));
        let mut x = if bare || early && !stem.pool {
            self.builder.conv("stem.conv", image, conv)
        } else if first.is_some_and(activates_input) {
            let y = self.builder.conv("stem.conv", image, conv);
            self.norm("stem.norm", &y)
        } else {
            self.unit("stem", "", image, conv)
        };
        if stem.pool {
            x = self.builder.pool("stem.pool", &x, Pool::Max, [3, 2, 1]);
        }
        x
    }

    fn stage(&mut self, at: &str, stage: &Stage, mut x: Value) -> Value {
        let mut stride = 1;
        let single = x.extent.is_some_and(|extent| extent.contains(&1));
        let pool = match stage.down {
            Some(Down::MaxPool) if !single => Some((Pool::Max, [2, 2, 0])),
            Some(Down::AveragePool) if !single => Some((Pool::Average, [2, 2, 0])),
            Some(Down::OverlappingPool) => Some((Pool::Max, [3, 2, 1])),
            Some(Down::Stride) => {
                stride = 2;
                None
            }
            // There is nothing to pool in a map of one pixel.
            _ => None,
        };
        if let Some((pool, window)) = pool {
            x = self.builder.pool(&format!("{at}.pool"), &x, pool, window);
        }
        for (index, block) in stage.blocks.iter().enumerate() {
            x = self.block(&format!("{at}.{index}"), block, &x, stride);
            stride = 1;
        }
        x
    }

    fn block(&mut self, at: &str, block: &Block, x: &Value, stride: usize) -> Value {
        match *block {
            Block::Plain { width, kernel } => {
                let conv = self.dense_conv(width, kernel, stride);
                self.unit(at, "", x, conv)
            }
            Block::Basic { width, kernel } => {
                let convs = [(kernel, stride, 1, width), (kernel, 1, 1, width)];
                self.residual(at, x, &convs)
            }
            Block::Bottleneck { width, kernel, inner, groups } => {
                let groups = shared_divisor(inner, inner, groups);
                let convs = [(1, 1, 1, inner), (kernel, stride, groups, inner), (1, 1, 1, width)];
                self.residual(at, x, &convs)
            }
            Block::Inverted { width, kernel, expansion } => {
                self.inverted(at, x, width, kernel, expansion, stride)
            }
            Block::Separable { width, kernel } => {
                let depthwise = self.depthwise_conv(x.channels, kernel, stride);
                let y = self.unit(at, "1", x, depthwise);
                let y = self.squeeze(at, y);
                let point = self.dense_conv(width, 1, 1);
                self.unit(at, "2", &y, point)
            }
            Block::Dense { growth, kernel, inner } => {
                let x = if stride > 1 { &self.strided(at, x, stride) } else { x };
                self.dense(at, x, growth, kernel, inner)
            }
            Block::Transition { width } => {
                let kernel = if stride > 1 { 3 } else { 1 };
                let conv = self.dense_conv(width, kernel, stride);
                self.turned_unit(at, "", x, conv)
            }
            Block::Inception { ref branches } => {
                let x = if stride > 1 { &self.strided(at, x, stride) } else { x };
                self.inception(at, x, branches)
            }
            Block::Fire { width, inner } => {
                let x = if stride > 1 { &self.strided(at, x, stride) } else { x };
                self.fire(at, x, width, inner)
            }
            Block::Grouped { width, kernel, groups } => {
                let groups = shared_divisor(x.channels, width, groups);
                let conv = Conv { groups, ..self.dense_conv(width, kernel, stride) };
                let y = self.unit(at, "1", x, conv);
                let point = self.dense_conv(width, 1, 1);
                self.unit(at, "2", &y, point)
            }
            Block::ShuffleGroups { width, kernel, inner, groups } => {
                self.shuffle_groups(at, x, width, inner, groups, (kernel, stride))
            }
            Block::ShuffleHalves { width, kernel } => {
                self.shuffle_halves(at, x, width, (kernel, stride))
            }
            Block::Convnext { kernel, expansion } => self.convnext(at, x, kernel, expansion),
            Block::Gated { kernel, expansion } => self.gated(at, x, kernel, expansion),
            Block::Poolformer { expansion } => self.poolformer(at, x, expansion),
            Block::Convmixer { kernel } => self.convmixer(at, x, kernel),
            Block::Ghost { width, kernel, expansion } => {
                self.ghost(at, x, width, expansion * x.channels, (kernel, stride))
            }
            Block::Swin { head, window, partition, expansion } => {
                let heads = (x.channels / head).max(1);
                self.swin(at, x, [heads, window], partition, expansion)
            }
            Block::Transformer { head, reduction, joint, expansion } => {
                let heads = (x.channels / head).max(1);
                self.transformer(at, x, [heads, expansion], reduction, joint)
            }
            Block::TokenNorm => self.norm_of_tokens(at, x),
            Block::Overlap { width } => self.overlap(at, x, width, stride),
            Block::Thin { width } => self.thin(at, x, width, stride),
            Block::MergePixels { width } => self.merge_pixels(at, x, width, stride),
            Block::Levit { expansion } => self.levit(at, x, expansion),
            Block::LevitDown { width } => self.levit_down(at, x, width, stride),
            Block::Visformer { head, expansion } => {
                self.visformer(at, x, (x.channels / head).max(1), expansion)
            }
            Block::VisformerLocal => self.visformer_local(at, x),
            Block::Embed { width } => self.embed(at, x, width, stride),
            Block::Repvgg { width } => self.repvgg(at, x, width, stride),
            Block::Conv { width, kernel } => {
                let conv = Conv { bias: true, ..self.dense_conv(width, kernel, stride) };
                self.builder.conv(&format!("{at}.conv"), x, conv)
            }
            Block::Merge { width } => self.merge(at, x, width, stride),
            Block::Linear { width, kernel } => {
                let conv = self.dense_conv(width, kernel, stride);
                self.normed_conv(at, "", x, conv)
            }
            Block::Project { width } => self.project(at, x, width, stride),
            Block::Reduce { width } => self.reduce(at, x, width, stride),
            Block::EdgeCell(ref cell) => self.edge_cell(at, x, cell, [x.channels, 1]),
            Block::StridedCell { width, ref cell } => self.edge_cell(at, x, cell, [width, stride]),
            Block::VertexCell { width, ref cell } => self.vertex_cell(at, x, width, cell),
        }
    }

    /// Convolutions `(kernel, stride, groups, width)` beside a shortcut.
    fn residual(&mut self, at: &str, x: &Value, convs: &[(usize, usize, usize, usize)]) -> Value {
        let early = self.theme.early;
        let squeezed_inside = self.theme.squeeze.is_some_and(|squeeze| squeeze.inside);
        let mut y = x.clone();
        for (index, &(kernel, stride, groups, width)) in convs.iter().enumerate() {
            let number = (index + 1).to_string();
            let conv = Conv { groups, ..self.dense_conv(width, kernel, stride) };
            let last = index + 1 == convs.len();
            if last && squeezed_inside {
                y = self.squeeze(at, y);
            }
            y = if early {
                self.early_unit(at, &number, &y, conv)
            } else if last {
                self.normed_conv(at, &number, &y, conv)
            } else {
                self.unit(at, &number, &y, conv)
            };
        }
        if !squeezed_inside {
            y = self.squeeze(at, y);
        }
        let shortcut = self.shortcut(at, x, &y);
        y = self.builder.add(at, &y, &shortcut);
        if early { y } else { self.activate(&format!("{at}.act"), &y) }
    }

    /// `x` in the shape of `y`.
    fn shortcut(&mut self, at: &str, x: &Value, y: &Value) -> Value {
        if x.channels == y.channels && x.extent == y.extent {
            return x.clone();
        }
        let mut x = x.clone();
        let mut stride = if x.extent == y.extent { 1 } else { 2 };
        let even = x.extent.is_some_and(|extent| extent.iter().all(|size| size % 2 == 0));
        if stride == 2 && even && self.theme.averaging_shortcut {
            x = self.builder.pool(&format!("{at}.downsample.pool"), &x, Pool::Average, [2, 2, 0]);
            stride = 1;
        }
        let conv = self.dense_conv(y.channels, 1, stride);
        let x = self.builder.conv(&format!("{at}.downsample.0"), &x, conv);
        if self.theme.early { x } else { self.norm(&format!("{at}.downsample.1"), &x) }
    }

    fn inverted(
        &mut self,
        at: &str,
        x: &Value,
        width: usize,
        kernel: usize,
        expansion: usize,
        stride: usize,
    ) -> Value {
        let mut y = x.clone();
        let inner = x.channels * expansion;
        if expansion > 1 {
            let expand = self.dense_conv(inner, 1, 1);
            y = self.unit(at, "1", &y, expand);
        }
        let depthwise = self.depthwise_conv(inner, kernel, stride);
        y = self.unit(at, "2", &y, depthwise);
        y = self.squeeze(at, y);
        let project = self.dense_conv(width, 1, 1);
        y = self.normed_conv(at, "3", &y, project);
        if y.channels == x.channels && y.extent == x.extent {
            self.builder.add(at, x, &y)
        } else {
            y
        }
    }

    fn dense(
        &mut self,
        at: &str,
        x: &Value,
        growth: usize,
        kernel: usize,
        inner: Option<usize>,
    ) -> Value {
        let mut y = x.clone();
        if let Some(inner) = inner {
            let conv = self.dense_conv(inner, 1, 1);
            y = self.turned_unit(at, "1", &y, conv);
        }
        let conv = self.dense_conv(growth, kernel, 1);
        y = self.turned_unit(at, "2", &y, conv);
        self.builder.concat(at, &[x.clone(), y]).unwrap_or_else(|| x.clone())
    }

    fn inception(&mut self, at: &str, x: &Value, branches: &[Branch]) -> Value {
        let mut ends = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            let at = format!("{at}.branch{}", index + 1);
            ends.push(match *branch {
                Branch::Point { width } => {
                    let conv = self.dense_conv(width, 1, 1);
                    self.unit(&at, "", x, conv)
                }
                Branch::Square { width, inner, kernel, layers } => {
                    let reduce = self.dense_conv(inner, 1, 1);
                    let mut y = self.unit(&at, "1", x, reduce);
                    for layer in 0..layers {
                        let conv = self.dense_conv(width, kernel, 1);
                        y = self.unit(&at, &(layer + 2).to_string(), &y, conv);
                    }
                    y
                }
                Branch::Pool { width, pool } => {
                    let y = self.builder.pool(&format!("{at}.pool"), x, pool, [3, 1, 1]);
                    let conv = self.dense_conv(width, 1, 1);
                    self.unit(&at, "", &y, conv)
                }
            });
        }
        self.builder.concat(at, &ends).unwrap_or_else(|| x.clone())
    }

    fn fire(&mut self, at: &str, x: &Value, width: usize, inner: usize) -> Value {
        let squeeze = self.dense_conv(inner, 1, 1);
        let x = self.unit(&format!("{at}.squeeze"), "", x, squeeze);
        let (point, square) =
            (self.dense_conv(width / 2, 1, 1), self.dense_conv(width - width / 2, 3, 1));
        let ends = [
            self.unit(&format!("{at}.expand1x1"), "", &x, point),
            self.unit(&format!("{at}.expand3x3"), "", &x, square),
        ];
        self.builder.concat(at, &ends).unwrap_or(x)
    }

    /// A convolution that only lowers the resolution.
    fn strided(&mut self, at: &str, x: &Value, stride: usize) -> Value {
        let conv = self.dense_conv(x.channels, 3, stride);
        self.turned_unit(&format!("{at}.down"), "", x, conv)
    }

    fn squeeze(&mut self, at: &str, x: Value) -> Value {
        let Some(Squeeze { divisor, activation, gate, .. }) = self.theme.squeeze else { return x };
        let hidden = (x.channels / divisor).max(4);
        let point = |out| Conv { out, kernel: 1, stride: 1, groups: 1, bias: true };
        let builder = &mut self.builder;
        let y = builder.global_average_pool(&format!("{at}.se.pool"), &x);
        let y = builder.conv(&format!("{at}.se.fc1"), &y, point(hidden));
        let y = builder.activation(&format!("{at}.se.act"), &y, activation);
        let y = builder.conv(&format!("{at}.se.fc2"), &y, point(x.channels));
        let y = builder.activation(&format!("{at}.se.gate"), &y, gate);
        // The gate is two convolutions deep, but the signal does not have to pass it.
        Value { depth: x.depth, ..builder.mul(&format!("{at}.se"), &x, &y) }
    }

    /// A convolution over all channels, with a bias if the theme asks for one.
    fn dense_conv(&self, out: usize, kernel: usize, stride: usize) -> Conv {
        let bias = self.theme.bias || self.theme.norm == Norm::None;
        Conv { out, kernel, stride, groups: 1, bias }
    }

    /// A convolution of every channel by itself.
    fn depthwise_conv(&self, channels: usize, kernel: usize, stride: usize) -> Conv {
        Conv { groups: channels, ..self.dense_conv(channels, kernel, stride) }
    }

    /// Convolution, norm.
    fn normed_conv(&mut self, at: &str, number: &str, x: &Value, conv: Conv) -> Value {
        let y = self.builder.conv(&format!("{at}.conv{number}"), x, conv);
        self.norm(&format!("{at}.norm{number}"), &y)
    }

    /// Convolution, norm, activation.
    fn unit(&mut self, at: &str, number: &str, x: &Value, conv: Conv) -> Value {
        let fits = x.extent.is_some_and(|extent| extent.iter().all(|size| *size >= conv.kernel));
        let pad = if self.theme.unpadded && fits { 0 } else { conv.kernel / 2 };
        let y = self.builder.padded_conv(&format!("{at}.conv{number}"), x, conv, pad);
        let y = self.norm(&format!("{at}.norm{number}"), &y);
        self.activate(&format!("{at}.act{number}"), &y)
    }

    /// Norm, activation, convolution.
    fn early_unit(&mut self, at: &str, number: &str, x: &Value, conv: Conv) -> Value {
        let y = self.norm(&format!("{at}.norm{number}"), x);
        let y = self.activate(&format!("{at}.act{number}"), &y);
        self.builder.conv(&format!("{at}.conv{number}"), &y, conv)
    }

    /// The one or the other, as the theme has it.
    fn turned_unit(&mut self, at: &str, number: &str, x: &Value, conv: Conv) -> Value {
        if self.theme.early {
            self.early_unit(at, number, x, conv)
        } else {
            self.unit(at, number, x, conv)
        }
    }

    fn norm(&mut self, path: &str, x: &Value) -> Value {
        let groups = match self.theme.norm {
            Norm::None => return x.clone(),
            Norm::Batch => return self.builder.batch_norm(path, x),
            Norm::Layer => 1,
            Norm::Group => {
                let wanted = (x.channels / self.theme.group_size).max(1);
                shared_divisor(x.channels, x.channels, wanted)
            }
        };
        if x.extent.is_none() && groups == 1 {
            return self.builder.layer_norm(path, x);
        }
        self.builder.group_norm(path, x, groups)
    }

    fn activate(&mut self, path: &str, x: &Value) -> Value {
        self.builder.activation(path, x, self.theme.activation)
    }
}
