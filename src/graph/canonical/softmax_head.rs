//! Classifiers that return probabilities or their logarithms: the canonical graph returns what goes into the
//! softmax, as PyTorch's networks do, and [`Scores`] says what the file returns. TensorFlow, PaddlePaddle and
//! networks made for deployment end with a softmax.

use super::{
    super::{NodeIndex, Operand, Scores},
    edit::Editor,
};

/// Takes the softmax over the classes from the end of a classifier.
pub(super) fn take_off(editor: &mut Editor) -> Option<()> {
    let &(_, output) = editor.architecture.outputs.first()?;
    let (softmax, scores) = match output {
        Operand::Node { node, slot: 0 } if editor.is(node, "LogSoftmax") => {
            (node, Scores::LogProbabilities)
        }
        Operand::Node { node, slot: 0 } if editor.is(node, "Log") => {
            (editor.made_by(editor.input(node, 0), "Softmax")?, Scores::LogProbabilities)
        }
        _ => (editor.made_by(output, "Softmax")?, Scores::Probabilities),
    };
    let logits = editor.input(softmax, 0);
    let computed = matches!(logits, Operand::Node { .. });
    if !computed || !is_over_classes(editor, softmax) {
        return None;
    }
    editor.set_output(0, logits);
    editor.architecture.scores = scores;
    Some(())
}

/// Whether it is the softmax of each row of a matrix.
fn is_over_classes(editor: &Editor, softmax: NodeIndex) -> bool {
    let node = editor.node(softmax);
    let default = if node.opset < 13 { 1 } else { -1 };
    let rank = editor.shape(editor.input(softmax, 0)).map(<[usize]>::len);
    rank == Some(2) && matches!(node.attributes.int("axis", default), Ok(1 | -1))
}
