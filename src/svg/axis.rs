//! Scales of diagrams.

/// A scale from values to pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    /// The value at the first pixel.
    pub from: f64,
    /// The value at the last one.
    pub to: f64,
    /// The first pixel and the last one.
    pub pixels: [f64; 2],
    pub logarithmic: bool,
}

impl Axis {
    /// The pixel of a value.
    pub fn at(&self, value: f64) -> f64 {
        let place = |value: f64| if self.logarithmic { value.max(1e-300).log10() } else { value };
        let (from, to) = (place(self.from), place(self.to));
        let share = (place(value) - from) / (to - from).max(1e-12);
        self.pixels[0] + share * (self.pixels[1] - self.pixels[0])
    }

    /// Round values within the axis.
    pub fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            return self.decades(&[1.0, 2.0, 5.0]);
        }
        let rough = (self.to - self.from).max(1e-9) / 5.0;
        let decade = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade);
        let step = steps.into_iter().find(|&step| step >= rough).unwrap_or(steps[3]);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).map(|tick| tick as f64 * step).collect()
    }

    /// The given multiples of powers of ten within a logarithmic axis.
    pub fn decades(&self, digits: &[f64]) -> Vec<f64> {
        let decades = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
        decades
            .flat_map(|decade| digits.iter().map(move |digit| digit * 10f64.powi(decade)))
            .filter(|tick| (self.from..=self.to).contains(tick))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let linear = Axis { from: 0.0, to: 63.0, pixels: [0.0, 1.0], logarithmic: false };
        assert_eq!(linear.ticks(), [0.0, 20.0, 40.0, 60.0]);
        let logarithmic = Axis { from: 3e4, to: 6e5, pixels: [0.0, 1.0], logarithmic: true };
        assert_eq!(logarithmic.ticks(), [5e4, 1e5, 2e5, 5e5]);
        assert_eq!(logarithmic.decades(&[1.0]), [1e5]);
    }
}
