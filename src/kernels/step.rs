//! What one kernel invocation computes.

/// Elementwise non-linearities with a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// max(0, x)
    Relu,
    /// max(0, x) + alpha · min(0, x)
    LeakyRelu(f32),
    /// x · Φ(x), exact (erf) form
    Gelu,
    /// tanh approximation of Gelu
    GeluTanh,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// x · sigmoid(x)
    Silu,
    /// max(0, min(1, alpha · x + beta))
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// x · hard sigmoid with alpha 1/6, beta 1/2
    HardSwish,
    /// tanh x
    Tanh,
    /// x for x > 0, alpha · (e^x − 1) otherwise
    Elu(f32),
    /// gamma · Elu(alpha)
    Selu {
        /// Slope of the exponential at zero.
        alpha: f32,
        /// Factor.
        gamma: f32,
    },
    /// x for x > 0, alpha · (e^(x / alpha) − 1) otherwise
    Celu(f32),
    /// ln(1 + e^x)
    Softplus,
    /// x / (1 + |x|)
    Softsign,
    /// x · tanh(ln(1 + e^x))
    Mish,
    /// Clip to [low, high]
    Clip {
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
}

/// What an operator computes, in terms of the kernels that exist. Operands come in the order of the
/// operator's inputs; axes and extents are those of the graph.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// 2-D convolution of `[N, C, H, W]`: x, weight `[O, I/g, kh, kw]`, optional bias.
    Conv2d {
        /// Channel groups.
        groups: usize,
        /// Strides, height first.
        stride: [usize; 2],
        /// Dilations, height first.
        dilation: [usize; 2],
        /// Pads: top, left, bottom, right.
        pads: [usize; 4],
    },
    /// Batch normalisation: x, gain, shift, mean, variance.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Group normalisation with a gain and shift per channel: x, gain, shift.
    /// One group is layer normalisation over `[C, H, W]`; as many as channels is instance
    /// normalisation.
    GroupNorm {
        /// Channel groups.
        groups: usize,
        /// Added to the variance.
        epsilon: f32,
    },
    /// An elementwise non-linearity: x.
    Activation(Activation),
    /// Sum of two values, or of a value and a weight in either order, with broadcasting.
    Add,
    /// Difference of two values, with broadcasting.
    Sub,
    /// Product, operands as for [`Step::Add`].
    Mul,
    /// `factor · x + offset`: x.
    Scale {
        /// Factor.
        factor: f32,
        /// Offset.
        offset: f32,
    },
    /// Concatenation of any number of operands.
    Concat {
        /// Along this axis.
        axis: usize,
    },
    /// Max pooling: x.
    MaxPool {
        /// Window.
        kernel: [usize; 2],
        /// Strides.
        stride: [usize; 2],
        /// Pads: top, left, bottom, right.
        pads: [usize; 4],
    },
    /// Average pooling: x.
    AveragePool {
        /// Window.
        kernel: [usize; 2],
        /// Strides.
        stride: [usize; 2],
        /// Pads: top, left, bottom, right.
        pads: [usize; 4],
        /// Whether padding counts in the divisor.
        count_include_pad: bool,
    },
    /// Average pooling over equal shares of the image, whatever its size: x.
    AdaptivePool,
    /// Mean over some axes: x.
    Mean {
        /// Whether to average, by axis.
        reduced: Vec<bool>,
    },
    /// Max over height and width: x.
    GlobalMaxPool,
    /// The same elements in the same order at the extents of the result: x.
    Reshape,
    /// Elements at regular distances: that at `[i, j, ...]` of the result is the element
    /// `offset + i · strides[0] + j · strides[1] + ...` of x. Transposition, slice, expansion.
    View {
        /// First element.
        offset: usize,
        /// By axis of the result.
        strides: Vec<usize>,
    },
    /// Consecutive parts, one per output: x.
    Split {
        /// Along this axis.
        axis: usize,
    },
    /// Product of stacks of matrices, as `numpy.matmul`: two values.
    MatMul,
    /// `e^x / Σ e^x`: x.
    Softmax {
        /// Along this axis.
        axis: usize,
    },
    /// Normalisation over the last axis: x, gain, optional shift.
    LayerNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// The last axis times a weight, plus an optional bias: x, weight, bias.
    Linear {
        /// Whether the weight is stored `[O, I]` (else `[I, O]`).
        out_in: bool,
    },
    /// The operand itself (Identity, Dropout in inference mode, no-op reshapes): x.
    Identity,
}
