//! What nodes make of the pixels of one channel of one image, as far as they gather, mask, add and average.

use std::{collections::HashMap, rc::Rc};

use super::{
    super::{Constant, NodeIndex, Operand},
    edit::Editor,
    permutation,
};

/// Most nodes on the way back to the pixels.
const DEEPEST: usize = 1000;

/// Windows of an image, gathered side by side.
pub(super) struct Windows {
    /// What makes them.
    pub node: NodeIndex,
    /// Rows of the image.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
    /// Windows down, rows of a window, windows across, columns of a window.
    pub extents: [usize; 4],
    /// The pixel at each place, by its number in the image.
    pub pixels: Vec<usize>,
}

/// A value for one channel of one image; batch and channels are the first axes, of extent one.
#[derive(Debug, PartialEq)]
pub(super) struct Value {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Value {
    fn of(constant: &Constant) -> Self {
        let data = match constant {
            Constant::Float(tensor) => tensor.data.clone(),
            Constant::Int { data, .. } => data.iter().map(|&it| it as f32).collect(),
        };
        Self { shape: constant.shape().to_vec(), data }
    }

    /// The number of the element that stands at a place of the shape this is broadcast to.
    fn element(&self, shape: &[usize], mut place: usize) -> usize {
        let (mut number, mut stride) = (0, 1);
        for (axis, &extent) in shape.iter().enumerate().rev() {
            let at = place % extent;
            place /= extent;
            let missing = shape.len() - self.shape.len();
            if let Some(&own) = axis.checked_sub(missing).and_then(|axis| self.shape.get(axis)) {
                number += if own == 1 { 0 } else { at * stride };
                stride *= own;
            }
        }
        number
    }

    /// Whether this is broadcast to a shape.
    fn fits(&self, shape: &[usize]) -> bool {
        let mut axes = self.shape.iter().rev().zip(shape.iter().rev());
        self.shape.len() <= shape.len() && axes.all(|(&own, &extent)| own == 1 || own == extent)
    }

    /// What is left of one axis: outer extents, its own, inner ones.
    fn around(&self, axis: i64) -> Option<(usize, [usize; 3])> {
        let axis = permutation::axis(axis, self.shape.len())?;
        let own = self.shape[axis];
        let outer = self.shape[..axis].iter().product();
        Some((axis, [outer, own, self.shape[axis + 1..].iter().product()]))
    }

    /// One slice along an axis, which goes.
    fn slice(&self, axis: i64, at: i64) -> Option<Self> {
        let (axis, [outer, own, inner]) = self.around(axis)?;
        let at = usize::try_from(if at < 0 { at + own as i64 } else { at }).ok()?;
        (at < own).then_some(())?;
        let mut shape = self.shape.clone();
        shape.remove(axis);
        let row = |outer: usize| &self.data[(outer * own + at) * inner..][..inner];
        Some(Self { shape, data: (0..outer).flat_map(row).copied().collect() })
    }

    /// The mean along an axis, which stays with an extent of one.
    fn mean(&self, axis: i64) -> Option<Self> {
        let (axis, [_, own, _]) = self.around(axis)?;
        let slices = (0..own as i64).map(|at| self.slice(axis as i64, at));
        let slices: Vec<Self> = slices.collect::<Option<_>>()?;
        let mut shape = self.shape.clone();
        shape[axis] = 1;
        let count = slices.first()?.data.len();
        let mean = |at: usize| slices.iter().map(|it| it.data[at]).sum::<f32>() / own as f32;
        Some(Self { shape, data: (0..count).map(mean).collect() })
    }
}

/// Nodes behind the windows of an image.
pub(super) struct Pixels<'a, 'b> {
    editor: &'a Editor<'b>,
    windows: Windows,
    image: Vec<f32>,
    known: HashMap<Operand, Rc<Value>>,
}

impl<'a, 'b> Pixels<'a, 'b> {
    /// With the pixels of one channel, row by row.
    pub fn new(editor: &'a Editor<'b>, windows: Windows, image: Vec<f32>) -> Self {
        Self { editor, windows, image, known: HashMap::new() }
    }

    /// A value; `None` if it is made of anything else, or in a way that is not followed.
    pub fn of(&mut self, operand: Operand) -> Option<Rc<Value>> {
        self.within(operand, DEEPEST)
    }

    fn within(&mut self, operand: Operand, depth: usize) -> Option<Rc<Value>> {
        if let Some(known) = self.known.get(&operand) {
            return Some(Rc::clone(known));
        }
        let value = match (self.editor.value(operand), operand) {
            (Some(constant), _) => Value::of(constant),
            (None, Operand::Node { node, slot: 0 }) if node == self.windows.node => {
                let Windows { extents, pixels, .. } = &self.windows;
                let shape = [1, 1].iter().chain(extents).copied().collect();
                Value { shape, data: pixels.iter().map(|&pixel| self.image[pixel]).collect() }
            }
            (None, Operand::Node { node, slot: 0 }) => self.made(node, depth.checked_sub(1)?)?,
            _ => return None,
        };
        let value = Rc::new(value);
        self.known.insert(operand, Rc::clone(&value));
        Some(value)
    }

    fn made(&mut self, node: NodeIndex, depth: usize) -> Option<Value> {
        let editor = self.editor;
        let attributes = &editor.node(node).attributes;
        let own = |op_type: &str| editor.is(node, op_type);
        if own("Gather") {
            let value = self.within(editor.input(node, 0), depth)?;
            let at = editor.value(editor.input(node, 1)).filter(|it| it.shape().is_empty())?;
            return value.slice(attributes.int("axis", 0).ok()?, *at.ints()?.first()?);
        }
        if own("ReduceMean") {
            let value = self.within(editor.input(node, 0), depth)?;
            let axes = editor.ints(editor.input(node, 1))?;
            let rank = value.shape.len() as i64;
            let mut axes: Vec<i64> = axes.iter().map(|&it| (it + rank) % rank.max(1)).collect();
            axes.sort_unstable();
            let mut mean = Value { shape: value.shape.clone(), data: value.data.clone() };
            for &axis in axes.iter().rev() {
                mean = mean.mean(axis)?;
                if attributes.int("keepdims", 1).ok()? == 0 {
                    mean.shape.remove(usize::try_from(axis).ok()?);
                }
            }
            return Some(mean);
        }
        let combine: fn(&[f32]) -> f32 = match () {
            () if own("Add") => |it| it[0] + it[1],
            () if own("Mul") => |it| it[0] * it[1],
            () if own("Div") => |it| it[0] / it[1],
            () if own("Where") => |it| if it[0] == 0.0 { it[2] } else { it[1] },
            () => return None,
        };
        let operands = editor.node(node).inputs.clone().into_iter();
        let operands: Vec<_> = operands.map(|it| self.within(it, depth)).collect::<Option<_>>()?;
        let shape = operands
            .iter()
            .map(|it| &it.shape)
            .max_by_key(|shape| (shape.len(), shape.iter().product::<usize>()))?;
        operands.iter().all(|it| it.fits(shape)).then_some(())?;
        let at = |place: usize| {
            let values: Vec<f32> =
                operands.iter().map(|it| it.data[it.element(shape, place)]).collect();
            combine(&values)
        };
        let data = (0..shape.iter().product()).map(at).collect();
        Some(Value { shape: shape.clone(), data })
    }
}
