//! What one kernel invocation computes.

/// Elementwise non-linearities with a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Clip to [low, high]
    Clip {
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
}

/// One kernel invocation: operands come in the order of the ONNX inputs it replaces.
/// Activations are 4-D `[N, C, H, W]` or 2-D `[N, C]` in the graph's terms.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// 2-D convolution: x, weight `[O, I/g, kh, kw]`, optional bias.
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
    /// Sum of two equal shapes, or of `[N, C, H, W]` and `[N, C, 1, 1]` in either order.
    Add,
    /// Product, shapes as for [`Step::Add`].
    Mul,
    /// Concatenation of any number of operands along the channel axis.
    Concat,
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
    /// Mean over height and width: x; the result is `[N, C, 1, 1]` or `[N, C]`.
    GlobalAveragePool,
    /// Max over height and width: x.
    GlobalMaxPool,
    /// `[N, C, H, W]` to `[N, C·H·W]`: x.
    Flatten,
    /// `[N, I]` times a weight, plus an optional bias: x, weight, bias.
    Linear {
        /// Whether the weight is stored `[O, I]` (else `[I, O]`).
        out_in: bool,
    },
    /// The operand itself (Identity, Dropout in inference mode, no-op reshapes): x.
    Identity,
}
