//! What turns a patch of unit variance into weights of the size a trained network has.

use super::Family;

/// The map from predicted values z to weights, chosen by family (GHN-2, section on parameter
/// normalisation): linear maps are scaled by √(β / fan-in), gains are 2σ(z/2), shifts tanh(z/5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// w = factor · z
    Linear(f32),
    /// w = 2 / (1 + e^(−z/2)), in (0, 2)
    Gain,
    /// w = tanh(z / 5), in (−1, 1)
    Shift,
}

/// The scale of a parameter with the given fan-in.
pub fn scale_of(family: Family, fan_in: usize) -> Scale {
    let by_fan_in = |beta: f32| Scale::Linear((beta / fan_in.max(1) as f32).sqrt());
    match family {
        Family::Stem | Family::Spatial | Family::Pointwise => by_fan_in(2.0),
        Family::Depthwise => by_fan_in(1.0),
        // Small logits at the start: confident nonsense would teach the predictor to say nothing.
        Family::Classifier => by_fan_in(0.1),
        Family::Gain => Scale::Gain,
        Family::Bias | Family::Shift => Scale::Shift,
        Family::Free => Scale::Linear(0.1),
    }
}

/// The scale of a layer that reads each of its channels at several positions and has the same weights
/// for all: that of the layer behind a pool over the positions, shared out among them.
pub fn pooled_scale(family: Family, fan_in: usize, positions: usize) -> Scale {
    let positions = positions.max(1);
    scale_of(family, fan_in / positions).times(1.0 / positions as f32)
}

impl Scale {
    /// The same scale of weights that are so many times as large; bounded ones stay.
    pub fn times(self, factor: f32) -> Self {
        match self {
            Self::Linear(own) => Self::Linear(factor * own),
            bounded => bounded,
        }
    }

    /// The weight a predicted value stands for.
    pub fn apply(self, z: f32) -> f32 {
        match self {
            Self::Linear(factor) => factor * z,
            Self::Gain => 2.0 / (1.0 + (-0.5 * z).exp()),
            Self::Shift => (0.2 * z).tanh(),
        }
    }

    /// Middle and unit of the weights of this scale, by which they are standardised.
    pub fn standard(self) -> (f32, f32) {
        match self {
            Self::Linear(factor) => (0.0, factor),
            Self::Gain => (1.0, 0.5),
            Self::Shift => (0.0, 0.2),
        }
    }

    /// dw/dz, given the weight.
    pub fn slope(self, weight: f32) -> f32 {
        match self {
            Self::Linear(factor) => factor,
            Self::Gain => 0.25 * weight * (2.0 - weight),
            Self::Shift => 0.2 * (1.0 - weight * weight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn slopes_are_derivatives() {
        for scale in [Scale::Linear(0.3), Scale::Gain, Scale::Shift] {
            for z in [-2.0f32, -0.1, 0.0, 0.7, 3.0] {
                let step = 1e-2;
                let numeric = (scale.apply(z + step) - scale.apply(z - step)) / (2.0 * step);
                assert_abs_diff_eq!(scale.slope(scale.apply(z)), numeric, epsilon = 1e-4);
            }
        }
    }
}
