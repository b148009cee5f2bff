//! What a sample is before it is a graph: a stem, stages of blocks, a head, and a style that all
//! of them share.

use serde::{Deserialize, Serialize};

use super::build::{Activation, Pool};

/// What the stages of a network are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Chains of convolution, normalisation, activation.
    Plain,
    /// Two convolutions and a shortcut.
    Residual,
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
    /// Grouped k×k and 1×1 convolutions in turn.
    Grouped,
    /// A family for every stage.
    Mixed,
}

/// Normalisation of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
}

/// What follows the last stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// Global average pool and a linear map.
    Linear,
    /// The same with a hidden layer.
    Hidden,
    /// Average pool to about 2×2, flattened, and a linear map.
    Grid,
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
}

/// A squeeze-and-excite gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Squeeze {
    /// Hidden channels as a fraction of the gated ones.
    pub divisor: usize,
    pub gate: Activation,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub theme: Theme,
    pub stem: StemPlan,
    pub stages: Vec<Stage>,
    pub head: Head,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct StemPlan {
    pub width: usize,
    pub kernel: usize,
    pub stride: usize,
    pub pool: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    pub down: Option<Down>,
    pub blocks: Vec<Block>,
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
        bottleneck: bool,
    },
    /// Several dense layers grow their input without bound; this brings it back to a width.
    Transition {
        width: usize,
    },
    Inception {
        branches: Vec<Branch>,
    },
    Grouped {
        width: usize,
        kernel: usize,
        groups: usize,
    },
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
