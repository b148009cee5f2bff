//! Arithmetic read back as formulas: what a chain of `Mul`, `Div`, `Add` and their like computes, in whatever
//! order an exporter wrote it.

use super::{
    super::{NodeIndex, Operand},
    edit::Editor,
};

/// Longest chain that is followed.
const LONGEST: usize = 16;
/// How far a number may be from the one that a formula has, relative to it: exporters round.
const PRECISION: f32 = 1e-4;

/// Whether a number is the one that a formula has.
pub(super) fn near(number: f32, expected: f32) -> bool {
    (number - expected).abs() <= PRECISION * expected.abs()
}

/// `scale · Π operand ^ power`
#[derive(Debug)]
pub(super) struct Product {
    pub scale: f32,
    pub powers: Vec<(Operand, f32)>,
}

impl Product {
    /// The product that a value is. Values among `atoms` are not taken apart.
    pub fn of(editor: &Editor, operand: Operand, atoms: &[Operand]) -> Option<Self> {
        let mut product = Self { scale: 1.0, powers: Vec::new() };
        let mut left = LONGEST;
        product.multiply(editor, operand, 1.0, atoms, &mut left)?;
        Some(product)
    }

    /// Whether it is the product of just these powers; the number is left to the caller.
    pub fn is(&self, powers: &[(Operand, f32)]) -> bool {
        self.powers.len() == powers.len() && powers.iter().all(|power| self.powers.contains(power))
    }

    /// Values that are factors themselves.
    pub fn factors(&self) -> impl Iterator<Item = Operand> {
        self.powers.iter().filter(|(_, power)| *power == 1.0).map(|(operand, _)| *operand)
    }

    /// Multiplies it by a value, or divides by it where `power` is −1.
    fn multiply(
        &mut self,
        editor: &Editor,
        operand: Operand,
        power: f32,
        atoms: &[Operand],
        left: &mut usize,
    ) -> Option<()> {
        *left = left.checked_sub(1)?;
        if let Some(number) = editor.number(operand) {
            self.scale *= number.powf(power);
            return Some(());
        }
        let apart = (!atoms.contains(&operand)).then(|| arithmetic(editor, operand)).flatten();
        let Some((node, op_type)) = apart else { return self.raise(operand, power) };
        let [first, second] = [0, 1].map(|slot| editor.input(node, slot));
        match op_type {
            "Mul" | "Div" => {
                let sign = if op_type == "Mul" { 1.0 } else { -1.0 };
                self.multiply(editor, first, power, atoms, left)?;
                self.multiply(editor, second, sign * power, atoms, left)
            }
            "Reciprocal" => self.multiply(editor, first, -power, atoms, left),
            "Sqrt" => self.raise(first, 0.5 * power),
            "Pow" => match editor.number(second) {
                Some(exponent) => self.raise(first, exponent * power),
                None => self.raise(operand, power),
            },
            _ => self.raise(operand, power),
        }
    }

    fn raise(&mut self, operand: Operand, power: f32) -> Option<()> {
        match self.powers.iter_mut().find(|(other, _)| *other == operand) {
            Some((_, total)) => *total += power,
            None => self.powers.push((operand, power)),
        }
        self.powers.retain(|(_, power)| *power != 0.0);
        Some(())
    }
}

/// `factor · of + offset`
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub factor: f32,
    pub offset: f32,
    pub of: Operand,
}

impl Affine {
    /// All ways to see a value so: as itself, and as what each further operator behind it makes of its
    /// operand.
    pub fn all(editor: &Editor, operand: Operand) -> Vec<Self> {
        let mut all = vec![Self { factor: 1.0, offset: 0.0, of: operand }];
        while let Some(next) = all.last().and_then(|last| last.behind(editor)) {
            all.push(next);
            if all.len() == LONGEST {
                break;
            }
        }
        all
    }

    fn behind(&self, editor: &Editor) -> Option<Self> {
        let Self { factor, offset, of } = *self;
        let (node, op_type) = arithmetic(editor, of)?;
        let [first, second] = [0, 1].map(|slot| editor.input(node, slot));
        if op_type == "Neg" {
            return Some(Self { factor: -factor, offset, of: first });
        }
        let (of, number, number_first) = match (editor.number(first), editor.number(second)) {
            (Some(number), None) => (second, number, true),
            (None, Some(number)) => (first, number, false),
            _ => return None,
        };
        let (times, plus) = match (op_type, number_first) {
            ("Mul", _) => (number, 0.0),
            ("Div", false) => (1.0 / number, 0.0),
            ("Add", _) => (1.0, number),
            ("Sub", false) => (1.0, -number),
            ("Sub", true) => (-1.0, number),
            _ => return None,
        };
        Some(Self { factor: factor * times, offset: offset + factor * plus, of })
    }

    /// What the value is with this factor and offset, if it can be seen so.
    pub fn with(editor: &Editor, operand: Operand, factor: f32, offset: f32) -> Option<Operand> {
        let fits = |it: &Self| {
            near(it.factor, factor) && (it.offset - offset).abs() <= PRECISION * offset.abs()
        };
        Self::all(editor, operand).into_iter().find(fits).map(|it| it.of)
    }
}

/// The operator that makes a value, if it broadcasts as in new files.
fn arithmetic<'a>(editor: &'a Editor, operand: Operand) -> Option<(NodeIndex, &'a str)> {
    let Operand::Node { node: index, slot: 0 } = operand else { return None };
    let node = editor.node(index);
    let plain = node.opset >= 7 || !node.attributes.0.contains_key("axis");
    (node.domain.is_empty() && plain).then_some((index, node.op_type.as_str()))
}
