//! Gains that are stored as their logarithms, perhaps within bounds, such as the temperature of cosine
//! attention: `exp(min(logit_scale, ln 100))`. The gain is predicted; its logarithm is stored.

use super::{
    super::{Form, NodeIndex, Operand, StorageMap},
    clip::Clipped,
    edit::Editor,
};

pub(super) fn solve(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Exp").then_some(())?;
    let exponent = editor.input(node, 0);
    let bounded = match exponent {
        Operand::Node { node, slot: 0 } => Clipped::by(editor, node)?,
        _ => Clipped { of: exponent, low: f32::NEG_INFINITY, high: f32::INFINITY },
    };
    let id = editor.parameter(bounded.of)?;
    editor.only_reader(bounded.of)?;
    editor.only_reader(exponent)?;
    let same_shape = editor.shape(bounded.of) == editor.shape(Operand::Node { node, slot: 0 });
    (same_shape && editor.is_plain(id)).then_some(())?;
    let map = Logarithm { low: bounded.low, high: bounded.high };
    let gain = editor.architecture.parameters[id.0].clone();
    let gain = editor.compose_one(id, gain, map, Form::Tensors);
    editor.replace(Operand::Node { node, slot: 0 }, gain);
    Some(())
}

/// Gains as logarithms within bounds; what is not positive becomes the smallest gain there is.
#[derive(Debug)]
struct Logarithm {
    low: f32,
    high: f32,
}

impl StorageMap for Logarithm {
    fn parameters(&self, tensors: &[&[f32]]) -> Vec<Vec<f32>> {
        vec![tensors[0].iter().map(|it| it.max(self.low).min(self.high).exp()).collect()]
    }

    fn tensor(&self, _: usize, parameters: &[&[f32]]) -> Vec<f32> {
        let logarithm = |gain: &f32| gain.max(f32::MIN_POSITIVE).ln();
        parameters[0].iter().map(|gain| logarithm(gain).max(self.low).min(self.high)).collect()
    }

    fn makes_all(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn gains_come_back_from_their_logarithms_within_bounds() {
        let map = Logarithm { low: f32::NEG_INFINITY, high: 100f32.ln() };
        let stored = map.tensor(0, &[&[1.0, 0.25, 200.0, -1.0]]);
        assert_relative_eq!(stored[0], 0.0);
        let gains = map.parameters(&[&stored]).swap_remove(0);
        assert_relative_eq!(gains[..], [1.0, 0.25, 100.0, 0.0], epsilon = 1e-4);
    }
}
