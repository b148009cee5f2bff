//! Standardised kernels (Qiao et al. 2019): a kernel minus the mean of each of its rows, divided by their
//! spread. PyTorch computes it by a batch normalisation in training mode, and TorchScript writes that as a
//! `BatchNormalization` that is given the mean and the variance of what it reads, behind a `Transpose`: it is
//! one in evaluation mode, of statistics without the `Transpose`.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
};

pub(super) fn in_evaluation_mode(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let trains = editor.is(node, "BatchNormalization")
        && editor.node(node).attributes.int("training_mode", 0).ok()? == 1;
    trains.then_some(())?;
    let [data, gain, shift, mean, variance] = [0, 1, 2, 3, 4].map(|slot| editor.input(node, slot));
    let kernel = kernel(editor, data);
    let fixed = !editor.follows_input(data);
    let measured = fixed
        && is_mean(editor, mean, kernel)
        && is_variance(editor, variance, kernel)
        && (1..editor.node(node).outputs.len()).all(|slot| {
            let statistic = Operand::Node { node, slot };
            editor.readers(statistic).is_empty() && !editor.is_returned(statistic)
        });
    measured.then_some(())?;
    let epsilon = editor.node(node).attributes.float("epsilon", 1e-5).ok()?;
    let epsilon = [("epsilon", Attribute::Float(epsilon))];
    let [mean, variance] = statistics(editor, node, data)?;
    let inputs = [data, gain, shift, mean, variance];
    editor.become_operator(node, "BatchNormalization", &epsilon, &inputs);
    Some(())
}

/// The mean and the variance of each row of a value, computed beside a node.
fn statistics(editor: &mut Editor, node: NodeIndex, data: Operand) -> Option<[Operand; 2]> {
    let shape = editor.shape(data)?.to_vec();
    let rows = vec![*shape.get(1)?];
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| axis != 1).collect();
    let kept = (0..shape.len()).map(|axis| if axis == 1 { shape[1] } else { 1 }).collect();
    let mean_of = |editor: &mut Editor, data: Operand, keeps: bool, shape: Vec<usize>| {
        let attributes = [
            ("axes", Attribute::Ints(axes.iter().map(|&axis| axis as i64).collect())),
            ("keepdims", Attribute::Int(keeps.into())),
        ];
        editor.insert(node, "ReduceMean", &attributes, &[data], Some(shape))
    };
    let mean = mean_of(editor, data, false, rows.clone());
    let centre = mean_of(editor, data, true, kept);
    let distance = editor.insert(node, "Sub", &[], &[data, centre], Some(shape.clone()));
    let square = editor.insert(node, "Mul", &[], &[distance, distance], Some(shape));
    let variance = mean_of(editor, square, false, rows);
    Some([mean, variance])
}

/// What a value is before its axes are named or sorted anew.
fn kernel(editor: &Editor, mut operand: Operand) -> Operand {
    let moved = |operand| {
        ["Reshape", "Transpose"].iter().find_map(|op_type| editor.made_by(operand, op_type))
    };
    while let Some(node) = moved(operand) {
        operand = editor.input(node, 0);
    }
    operand
}

fn is_mean(editor: &Editor, operand: Operand, of: Operand) -> bool {
    let mean = editor.made_by(operand, "ReduceMean");
    mean.is_some_and(|mean| kernel(editor, editor.input(mean, 0)) == of)
}

fn is_variance(editor: &Editor, operand: Operand, of: Operand) -> bool {
    let distances = || {
        let mean = editor.made_by(operand, "ReduceMean")?;
        let square = editor.made_by(editor.input(mean, 0), "Mul")?;
        let distance = editor.made_by(editor.input(square, 0), "Sub")?;
        let squared = editor.input(square, 0) == editor.input(square, 1);
        let [value, centre] = [0, 1].map(|slot| editor.input(distance, slot));
        Some(squared && kernel(editor, value) == of && is_mean(editor, centre, of))
    };
    distances().unwrap_or(false)
}
