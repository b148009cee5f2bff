//! `Clip` with its bounds as attributes, as before opset 11: so the operator's response to a number is known
//! from the node alone, and one that no predictor was trained on is taken for its nearest relative. Newer files
//! hold the bounds as inputs (PyTorch's dynamo exporter casts them first); older PyTorch and other frameworks
//! write ReLU6 as `Min(Max(x, 0), 6)` or as a `Clip` of a `Relu`. Bounds that bound nothing go, and what is
//! clipped at zero from below alone is a `Relu`.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
};

/// The opset in which bounds are attributes.
const OPSET: i64 = 6;

/// Bounds of a value, infinite where there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clipped {
    pub of: Operand,
    pub low: f32,
    pub high: f32,
}

impl Clipped {
    /// What a node clips, if it does no more.
    pub fn by(editor: &Editor, node: NodeIndex) -> Option<Self> {
        let it = editor.node(node);
        if !it.domain.is_empty() {
            return None;
        }
        let unbounded =
            Self { of: editor.input(node, 0), low: f32::NEG_INFINITY, high: f32::INFINITY };
        let clipped = match it.op_type.as_str() {
            "Relu" => Self { low: 0.0, ..unbounded },
            "Clip" if it.opset < 11 => {
                let bound = |name, default| it.attributes.float(name, default).ok();
                Self { low: bound("min", f32::MIN)?, high: bound("max", f32::MAX)?, ..unbounded }
            }
            "Clip" => {
                let bound = |slot, default| match editor.input(node, slot) {
                    Operand::Absent => Some(default),
                    operand => editor.number(operand),
                };
                Self { low: bound(1, f32::MIN)?, high: bound(2, f32::MAX)?, ..unbounded }
            }
            "Max" | "Min" if it.inputs.len() == 2 => {
                let numbered = |(of, number)| Some((of, editor.number(number)?));
                let (of, number) = editor.both_ways(node).into_iter().find_map(numbered)?;
                match it.op_type.as_str() {
                    "Max" => Self { of, low: number, ..unbounded },
                    _ => Self { of, high: number, ..unbounded },
                }
            }
            _ => return None,
        };
        let low = if clipped.low <= f32::MIN { f32::NEG_INFINITY } else { clipped.low };
        let high = if clipped.high >= f32::MAX { f32::INFINITY } else { clipped.high };
        (low <= high).then_some(Self { low, high, ..clipped })
    }

    /// The same of what is clipped already.
    fn of_clipped(self, inner: Self) -> Self {
        let within = |bound: f32| bound.max(self.low).min(self.high);
        Self { of: inner.of, low: within(inner.low), high: within(inner.high) }
    }
}

pub(super) fn recognise(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let output = Operand::Node { node, slot: 0 };
    let float = editor.architecture.fact(output)?.dtype.is_some_and(|dtype| dtype.is_float());
    let mut clipped = Clipped::by(editor, node)?;
    let same_shape = editor.shape(clipped.of)? == editor.shape(output)?;
    if !float || !same_shape || editor.value(output).is_some() {
        return None;
    }
    if let Operand::Node { node: inner, slot: 0 } = clipped.of
        && !(editor.is(node, "Relu") && editor.is(inner, "Relu"))
        && let Some(inner) = Clipped::by(editor, inner)
        && editor.shape(inner.of) == editor.shape(clipped.of)
    {
        clipped = clipped.of_clipped(inner);
    }
    let Clipped { of, low, high } = clipped;
    let mut attributes = Vec::new();
    if low.is_finite() {
        attributes.push(("min", Attribute::Float(low)));
    }
    if high.is_finite() {
        attributes.push(("max", Attribute::Float(high)));
    }
    let op_type = match &attributes[..] {
        [] if matches!(of, Operand::Node { .. }) => {
            editor.replace(output, of);
            return Some(());
        }
        [("min", Attribute::Float(0.0))] => "Relu",
        _ => "Clip",
    };
    if op_type == "Relu" {
        attributes.clear();
    }
    let it = editor.node(node);
    let is_so = it.op_type == op_type
        && it.inputs == [of]
        && it.attributes.0.len() == attributes.len()
        && attributes.iter().all(|(name, value)| it.attributes.0.get(*name) == Some(value));
    if is_so {
        return None;
    }
    editor.become_operator(node, op_type, &attributes, &[of]);
    editor.set_opset(node, OPSET);
    Some(())
}
