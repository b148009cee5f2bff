//! The divisor of `LayerNormalization` and `RMSNormalization`: `√(mean(v²) + ε)` over some axes.

use super::{
    super::{NodeIndex, Operand},
    edit::Editor,
    formula::{Affine, Product},
    permutation,
};

/// A value divided by its root mean square.
pub(super) struct Normalised {
    /// What is divided.
    pub value: Operand,
    /// The mean square, with ε.
    pub power: Operand,
    pub epsilon: f32,
    /// The axes of the mean, in order.
    pub axes: Vec<usize>,
}

impl Normalised {
    /// The one among the factors of a product.
    pub fn among(editor: &Editor, product: &Product) -> Option<Self> {
        product.powers.iter().filter(|(_, power)| *power == -0.5).find_map(|&(power, _)| {
            Affine::all(editor, power).into_iter().find_map(|affine| {
                let mean = editor.made_by(affine.of, "ReduceMean")?;
                let value = squared(editor, editor.input(mean, 0))?;
                let axes = mean_axes(editor, mean)?;
                let epsilon = affine.offset;
                (affine.factor == 1.0 && epsilon > 0.0).then_some(Self {
                    value,
                    power,
                    epsilon,
                    axes,
                })
            })
        })
    }

    /// What the mean over the same axes was subtracted from.
    pub fn centred(&self, editor: &Editor) -> Option<Operand> {
        let difference = editor.made_by(self.value, "Sub")?;
        let x = editor.input(difference, 0);
        let mean = editor.made_by(editor.input(difference, 1), "ReduceMean")?;
        (editor.input(mean, 0) == x && mean_axes(editor, mean)? == self.axes).then_some(x)
    }

    /// The factors besides the value and its divisor, of a product without a number.
    pub fn rest(&self, editor: &Editor, output: Operand) -> Option<Vec<Operand>> {
        let product = Product::of(editor, output, &[self.value, self.power])?;
        let mut rest = product.powers;
        for part in [(self.value, 1.0), (self.power, -0.5)] {
            rest.remove(rest.iter().position(|other| *other == part)?);
        }
        let factors = rest.iter().all(|(_, power)| *power == 1.0) && product.scale == 1.0;
        factors.then(|| rest.into_iter().map(|(operand, _)| operand).collect())
    }
}

/// What is multiplied with itself.
fn squared(editor: &Editor, square: Operand) -> Option<Operand> {
    if let Some(node) = editor.made_by(square, "Pow") {
        let exponent = editor.number(editor.input(node, 1));
        return (exponent == Some(2.0)).then(|| editor.input(node, 0));
    }
    let node = editor.made_by(square, "Mul")?;
    let (first, second) = (editor.input(node, 0), editor.input(node, 1));
    (first == second).then_some(first)
}

/// The axes of a mean that keeps them.
fn mean_axes(editor: &Editor, mean: NodeIndex) -> Option<Vec<usize>> {
    let node = editor.node(mean);
    let rank = editor.shape(editor.input(mean, 0))?.len();
    let given = match node.attributes.ints("axes").ok()? {
        Some(axes) => axes,
        None => editor.ints(editor.input(mean, 1))?,
    };
    let place = |&axis: &i64| permutation::axis(axis, rank);
    let mut axes = given.iter().map(place).collect::<Option<Vec<usize>>>()?;
    axes.sort_unstable();
    let keeps = node.attributes.int("keepdims", 1) == Ok(1);
    keeps.then_some(axes)
}
