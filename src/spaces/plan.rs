//! What a sample is before it is a graph: a stem, stages of blocks, a head, and a style that all
//! of them share.

use serde::{Deserialize, Serialize};

use super::{
    build::{Activation, Pool},
    cell::{EdgeCell, VertexCell},
    pair_cell::PairCell,
};

/// What the stages of a network are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Family {
    /// Chains of convolution, normalisation, activation.
    Plain,
    /// Two convolutions and a shortcut.
    Residual,
    /// The same with norm and activation before each convolution (He et al. 2016b).
    Preactivation,
    /// 1×1, k×k, 1×1 and a shortcut; the middle one perhaps grouped.
    Bottleneck,
    /// Depthwise convolution inside a 1×1 expansion, with a shortcut.
    Inverted,
    /// Depthwise and pointwise convolutions in turn.
    Separable,
    /// Every layer reads all layers before it in its stage.
    Dense,
    /// Parallel branches, concatenated.
    Inception,
    /// A narrow 1×1 convolution, then 1×1 and 3×3 ones side by side (SqueezeNet, Iandola et al. 2016).
    Fire,
    /// Grouped k×k and 1×1 convolutions in turn.
    Grouped,
    /// Grouped or halved channels and a shuffle between them (ShuffleNet V1 and V2).
    Shuffle,
    /// Depthwise convolution, LayerNorm over the channels, two linear maps (Liu et al. 2022).
    Convnext,
    /// Norm and a linear map to a gate and what it gates, part of which passes a depthwise convolution
    /// (MambaOut, Yu and Wang 2025).
    Gated,
    /// What a pixel's surroundings have beyond the pixel, then 1×1 convolutions (PoolFormer, Yu et al.
    /// 2022).
    Poolformer,
    /// Patches, then depthwise and 1×1 convolutions in turn, activated and only then normalised (Trockman and
    /// Kolter 2022).
    Convmixer,
    /// Half of the channels by a convolution, the others by a depthwise one of these (GhostNet, Han et al.
    /// 2020).
    Ghost,
    /// A 3×3 and a 1×1 convolution and the input, each normalised, added (RepVGG, Ding et al. 2021).
    Repvgg,
    /// Attention within windows, two linear maps, and a quarter of the pixels after every stage (Swin, Liu et
    /// al. 2021).
    Swin,
    /// Convolutions, then attention with batch norms over ever smaller maps (LeViT, Graham et al. 2021).
    Levit,
    /// Grouped convolutions, then attention between 1×1 ones (Visformer, Chen et al. 2021).
    Visformer,
    /// Overlapping patches, attention to fewer keys, and a depthwise convolution between two linear maps (PVT v2,
    /// Wang et al. 2022; SegFormer, Xie et al. 2021).
    Pvt,
    /// Overlapping patches, then attention over ever fewer tokens with depthwise convolutions between the stages
    /// (PiT, Heo et al. 2021).
    Pit,
    /// Inverted residuals, attention within windows and attention across them in turn (MaxViT, Tu et al. 2022).
    Maxvit,
    /// Patches, attention and two linear maps in turn (Dosovitskiy et al. 2021).
    Vit,
    /// Patches, linear maps over the tokens and over the channels in turn (Tolstikhin et al. 2021).
    Mixer,
    /// The same with one linear map over the tokens, and affine maps for norms (Touvron et al. 2021).
    Resmlp,
    /// Linear maps of the flattened image.
    Mlp,
    /// Cells of four nodes with an operator on every edge (NAS-Bench-201, Dong and Yang 2020).
    Nb201,
    /// Chains of identities and inverted residuals (NAS-Bench-Macro, Su et al. 2021).
    Macro,
    /// Cells of up to seven vertices with an operator on each (NAS-Bench-101, Ying et al. 2019).
    Nb101,
    /// Cells of four nodes whose edges out of the input carry stride and width (TransNAS-Bench-101, Duan et
    /// al. 2021).
    Transnas,
    /// Cells of four sums of two operators, which read the two cells before them (DARTS, Liu et al. 2019).
    Darts,
    /// A family for every stage.
    Mixed,
}

impl Family {
    /// Whether its blocks can make up one stage among stages of other families.
    pub(super) fn mixes(self) -> bool {
        use Family::{Bottleneck, Dense, Grouped, Inception, Inverted, Plain, Residual, Separable};
        let alone = [Plain, Residual, Bottleneck, Inverted, Separable, Dense, Inception, Grouped];
        alone.contains(&self) || self == Family::Shuffle
    }

    /// Whether a rule says the kernels of its blocks.
    pub(super) fn has_kernels(self) -> bool {
        use Family::{Convmixer, Convnext, Gated, Ghost, Mixed, Preactivation};
        self.mixes() || matches!(self, Preactivation | Convnext | Convmixer | Gated | Ghost | Mixed)
    }

    /// Whether a rule may give its stages by the proportions of a design.
    pub(super) fn has_designs(self) -> bool {
        use Family::{Darts, Macro, Mixed, Mlp, Nb101, Nb201, Transnas};
        let stages = !matches!(self, Darts | Macro | Mixed | Mlp | Nb101 | Nb201 | Transnas);
        stages && !self.has_tokens()
    }

    /// Whether its blocks stand over a sequence of patches.
    pub(super) fn has_tokens(self) -> bool {
        matches!(self, Family::Vit | Family::Mixer | Family::Resmlp)
    }

    /// Whether stem and stages begin with patches that do not overlap.
    pub(super) fn has_patches(self) -> bool {
        matches!(self, Family::Convnext | Family::Gated | Family::Swin)
    }

    /// What stands between its stages, where the shape changes.
    pub(super) fn between(self, width: usize) -> Option<Block> {
        match self {
            Family::Convnext | Family::Gated => Some(Block::Merge { width }),
            Family::Swin => Some(Block::MergePixels { width }),
            Family::Pvt => Some(Block::Overlap { width }),
            Family::Pit => Some(Block::Thin { width }),
            Family::Visformer => Some(Block::Embed { width }),
            Family::Nb201 => Some(Block::Reduce { width }),
            Family::Poolformer => Some(Block::Conv { width, kernel: 3 }),
            _ => None,
        }
    }

    /// Whether `LayerNormalization` over the channels of a token is the only norm it knows.
    pub(super) fn is_tokenwise(self) -> bool {
        self.has_patches() || self.has_tokens() || matches!(self, Family::Pvt | Family::Pit)
    }
}

/// Normalisation of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Norm {
    /// `BatchNormalization`
    Batch,
    /// `GroupNormalization` of a few channels a group
    Group,
    /// `GroupNormalization` of a single group
    Layer,
    /// None; convolutions have biases instead.
    None,
}

/// How a stage halves its resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Down {
    /// Its first convolution has stride 2.
    Stride,
    /// 2×2 max pooling before it.
    MaxPool,
    /// 2×2 average pooling before it.
    AveragePool,
    /// 3×3 max pooling of stride 2 before it.
    OverlappingPool,
}

/// What follows the last stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Head {
    /// Global average pool and a linear map.
    Linear,
    /// The same with a hidden layer.
    Hidden,
    /// Average pool to about 2×2, flattened, and a linear map.
    Grid,
    /// Global average pool, `LayerNormalization` and a linear map.
    Normed,
    /// A 1×1 convolution to the classes, activated, and a global average pool.
    Point,
    /// The flattened map, hidden layers and a linear map (LeNet, AlexNet, VGG).
    Flat,
}

/// What all layers of a sample have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Theme {
    pub norm: Norm,
    /// Channels of a group, for [`Norm::Group`].
    pub group_size: usize,
    pub activation: Activation,
    /// Whether convolutions have a bias beside a norm (without one they always do).
    pub bias: bool,
    /// Normalise and activate before a convolution rather than after it, where a family knows both.
    pub early: bool,
    /// Strided shortcuts average before they project.
    pub averaging_shortcut: bool,
    pub squeeze: Option<Squeeze>,
    /// Whether ConvNeXt blocks scale each channel before they add it.
    pub layer_scale: bool,
    /// Whether their linear maps are 1×1 convolutions, with channels last for the norm only.
    pub pointwise: bool,
    /// Whether chains of convolutions do without padding.
    pub unpadded: bool,
}

/// A squeeze-and-excite gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Squeeze {
    /// Hidden channels as a fraction of the gated ones.
    pub divisor: usize,
    /// Of the hidden channels.
    pub activation: Activation,
    pub gate: Activation,
    /// Before the last convolution of a residual branch rather than after it.
    pub inside: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub theme: Theme,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    /// Convolutions at falling resolutions.
    Stages { stem: StemPlan, stages: Vec<Stage>, head: HeadPlan },
    /// Blocks over a sequence of patches.
    Tokens(TokenPlan),
    /// Cells over the two values before them.
    Pairs(PairPlan),
    /// Average pooling, then hidden layers over the flattened image.
    Layers { pool: usize, widths: Vec<usize> },
}

impl Body {
    /// Whether something is added to what it was made of.
    pub fn has_shortcuts(&self) -> bool {
        use Block::{
            Basic, Bottleneck, Convmixer, Convnext, EdgeCell, Gated, Ghost, Inverted, Levit,
            Poolformer, ShuffleGroups, StridedCell, Swin, Transformer, Visformer,
        };
        match self {
            Self::Stages { stages, .. } => {
                stages.iter().flat_map(|stage| &stage.blocks).any(|block| {
                    matches!(
                        block,
                        Basic { .. }
                            | Bottleneck { .. }
                            | Inverted { .. }
                            | ShuffleGroups { .. }
                            | Convnext { .. }
                            | Convmixer { .. }
                            | Gated { .. }
                            | Ghost { .. }
                            | Poolformer { .. }
                            | Swin { .. }
                            | Transformer { .. }
                            | Levit { .. }
                            | Visformer { .. }
                            | EdgeCell(_)
                            | StridedCell { .. }
                    )
                })
            }
            Self::Tokens(_) | Self::Pairs(_) => true,
            Self::Layers { .. } => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct StemPlan {
    pub width: usize,
    pub kernel: usize,
    pub stride: usize,
    pub pool: bool,
    /// Patches as large as the stride, normalised and not activated.
    pub patches: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct HeadPlan {
    pub kind: Head,
    /// Widths of its hidden layers, where the kind has some and they are not those of its input.
    pub hidden: Vec<usize>,
}

impl From<Head> for HeadPlan {
    fn from(kind: Head) -> Self {
        Self { kind, hidden: Vec::new() }
    }
}

/// A network over patches, each a token of `width` channels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TokenPlan {
    /// Height and width of a patch.
    pub patch: usize,
    pub width: usize,
    /// Whether a learned token stands before the others and is classified, rather than their mean.
    pub class_token: bool,
    /// Whether a learned table of positions is added.
    pub positions: bool,
    pub blocks: usize,
    pub mixing: Mixing,
    /// Hidden channels of a block's two linear maps.
    pub hidden: usize,
}

/// A stack of equal cells, two of which halve the resolution.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PairPlan {
    /// Of the operators of the first cells; a cell returns four times as much.
    pub width: usize,
    pub cells: usize,
    pub cell: PairCell,
}

/// How tokens see each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mixing {
    Attention(Attention),
    /// Two linear maps over the tokens, with so many hidden values.
    Linear {
        hidden: usize,
    },
    /// One linear map over the tokens, with affine maps in place of norms and a factor for every
    /// channel of what is added.
    Affine,
}

/// Multi-head attention, as the code that was exported spells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Attention {
    pub heads: usize,
    pub projection: Projection,
    pub scale: Scale,
}

/// Where queries, keys and values come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Projection {
    /// Three linear maps.
    Separate,
    /// One, cut in three before the heads are told apart.
    Chunked,
    /// One, cut in three after that: `[N, tokens, 3, heads, size]`, permuted and unbound.
    Unbound,
}

/// What is scaled by the size of a head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// Scores times 1/√size.
    Scores,
    /// Scores divided by √size.
    Divided,
    /// Queries times 1/√size.
    Queries,
    /// Queries and keys, each times size^(−1/4), as PyTorch exports its own attention.
    Both,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    pub down: Option<Down>,
    pub blocks: Vec<Block>,
    /// What its layers have in common, where it is not the network's.
    pub theme: Option<Theme>,
}

/// One block; `width` is its output's.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    Plain {
        width: usize,
        kernel: usize,
    },
    Basic {
        width: usize,
        kernel: usize,
    },
    Bottleneck {
        width: usize,
        kernel: usize,
        inner: usize,
        groups: usize,
    },
    Inverted {
        width: usize,
        kernel: usize,
        expansion: usize,
    },
    Separable {
        width: usize,
        kernel: usize,
    },
    Dense {
        growth: usize,
        kernel: usize,
        /// Channels of a 1×1 convolution in front, if there is one.
        inner: Option<usize>,
    },
    /// Several dense layers grow their input without bound; this brings it back to a width.
    Transition {
        width: usize,
    },
    Inception {
        branches: Vec<Branch>,
    },
    /// 1×1 to `inner` channels, then 1×1 and 3×3 to half of the width each.
    Fire {
        width: usize,
        inner: usize,
    },
    Grouped {
        width: usize,
        kernel: usize,
        groups: usize,
    },
    /// Grouped 1×1, shuffle, depthwise k×k, grouped 1×1 and a shortcut.
    ShuffleGroups {
        width: usize,
        kernel: usize,
        inner: usize,
        groups: usize,
    },
    /// Half of the channels through 1×1, depthwise k×k, 1×1; then a shuffle of both halves.
    ShuffleHalves {
        width: usize,
        kernel: usize,
    },
    Convnext {
        kernel: usize,
        expansion: usize,
    },
    /// `expansion` times as many channels of a gate, and of what it gates.
    Gated {
        kernel: usize,
        expansion: usize,
    },
    Poolformer {
        expansion: usize,
    },
    /// Depthwise k×k beside a shortcut, then 1×1.
    Convmixer {
        kernel: usize,
    },
    /// Ghost modules to `expansion` times the input's channels and back, beside a shortcut.
    Ghost {
        width: usize,
        kernel: usize,
        expansion: usize,
    },
    Repvgg {
        width: usize,
    },
    /// Attention in heads of `head` channels, within windows of `window` pixels a side.
    Swin {
        head: usize,
        window: usize,
        partition: Partition,
        expansion: usize,
    },
    /// Attention in heads of `head` channels and two linear maps, over tokens. Where keys are those of a map that is
    /// `reduction` times smaller, a depthwise convolution stands between the linear maps.
    Transformer {
        head: usize,
        reduction: Option<usize>,
        /// Whether one linear map makes keys and values.
        joint: bool,
        expansion: usize,
    },
    /// A norm over the channels, behind the last block of a stage of tokens.
    TokenNorm,
    /// Overlapping patches and a norm, between stages of PVT v2.
    Overlap {
        width: usize,
    },
    /// A strided depthwise convolution, between stages of PiT.
    Thin {
        width: usize,
    },
    /// The channels of 2×2 pixels, a norm and a linear map, between stages of windows.
    MergePixels {
        width: usize,
    },
    Levit {
        expansion: usize,
    },
    /// Attention whose queries are every second pixel, between stages of LeViT.
    LevitDown {
        width: usize,
    },
    Visformer {
        head: usize,
        expansion: usize,
    },
    /// Convolutions in the place of attention and linear maps, in Visformer's first stage.
    VisformerLocal,
    /// Non-overlapping patches and a norm, between stages of Visformer.
    Embed {
        width: usize,
    },
    /// A convolution alone.
    Conv {
        width: usize,
        kernel: usize,
    },
    /// Norm and non-overlapping patches, between stages of ConvNeXt and gated blocks.
    Merge {
        width: usize,
    },
    /// A convolution and a norm.
    Linear {
        width: usize,
        kernel: usize,
    },
    /// A 1×1 convolution and a norm; nothing where the shape stays.
    Project {
        width: usize,
    },
    /// Two convolutions and a shortcut, between stages of edge cells.
    Reduce {
        width: usize,
    },
    EdgeCell(EdgeCell),
    /// A cell whose edges out of the input change the shape.
    StridedCell {
        width: usize,
        cell: EdgeCell,
    },
    VertexCell {
        width: usize,
        cell: VertexCell,
    },
}

/// How an image is cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partition {
    /// Neighbouring pixels.
    Block,
    /// The same once the image is moved by half a window.
    Shifted,
    /// Pixels as far apart as windows are many.
    Grid,
}

/// One way through an inception block.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Branch {
    /// A 1×1 convolution.
    Point { width: usize },
    /// 1×1 to `inner` channels, then `layers` k×k convolutions.
    Square { width: usize, inner: usize, kernel: usize, layers: usize },
    /// 3×3 pooling and a 1×1 convolution.
    Pool { width: usize, pool: Pool },
}
