//! Sums of products in Einstein's notation, of one or two operands: what attention is spelled in.

use burn::tensor::{Device, Tensor};

use crate::graph::{Fact, Layout, Node, Role};

use super::{
    Array, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{array, bad, maybe_shape, output, required},
};

/// `Einsum`.
struct Einsum;

/// The letters of each operand and of the result.
struct Equation {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

impl Equation {
    fn of(node: &Node) -> Result<Self, OpError> {
        let text: String =
            node.attributes.string("equation", "")?.chars().filter(|c| *c != ' ').collect();
        let refuse = |why: &str| Err(OpError::Unsupported(format!("equation '{text}': {why}")));
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let operands: Vec<Vec<char>> = left.split(',').map(|term| term.chars().collect()).collect();
        let letters: Vec<char> = operands.concat();
        let times = |letter: char| letters.iter().filter(|&&other| other == letter).count();
        let result: Vec<char> = match right {
            Some(right) => right.chars().collect(),
            // Letters that occur once, in alphabetical order.
            None => {
                let mut once: Vec<char> =
                    letters.iter().copied().filter(|&letter| times(letter) == 1).collect();
                once.sort_unstable();
                once
            }
        };
        if operands.len() > 2 {
            return refuse("more than two operands");
        }
        if !letters.iter().chain(&result).all(char::is_ascii_alphabetic) {
            return refuse("only letters are supported");
        }
        let distinct = |term: &[char]| (1..term.len()).all(|at| !term[..at].contains(&term[at]));
        if !operands.iter().all(|term| distinct(term)) || !distinct(&result) {
            return refuse("a letter occurs twice in a term");
        }
        if !result.iter().all(|letter| letters.contains(letter)) {
            return refuse("the result has a letter of its own");
        }
        Ok(Self { operands, result })
    }

    /// The extent of every letter.
    fn extent(&self, shapes: &[&[usize]], letter: char) -> Result<usize, OpError> {
        let mut found = None;
        for (input, (term, shape)) in self.operands.iter().zip(shapes).enumerate() {
            if term.len() != shape.len() {
                let term: String = term.iter().collect();
                return Err(bad(input, format!("shape {shape:?} does not fit '{term}'")));
            }
            let Some(at) = term.iter().position(|&other| other == letter) else { continue };
            match found.replace(shape[at]) {
                Some(before) if before != shape[at] => {
                    let problem = format!("extent {} of '{letter}' is not {before}", shape[at]);
                    return Err(bad(input, problem));
                }
                _ => {}
            }
        }
        found.ok_or_else(|| OpError::Unsupported(format!("letter '{letter}' has no extent")))
    }

    fn shape(&self, shapes: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        if shapes.len() != self.operands.len() {
            let (given, asked) = (shapes.len(), self.operands.len());
            return Err(OpError::Unsupported(format!("{given} operands for {asked} terms")));
        }
        self.result.iter().map(|&letter| self.extent(shapes, letter)).collect()
    }
}

/// An operand's axes in the given order, those of other letters summed.
fn arranged(array: &Array, term: &[char], order: &[char], input: usize) -> Result<Array, OpError> {
    let at = |letter: &char| term.iter().position(|other| other == letter);
    let rest = term.iter().filter(|letter| !order.contains(letter));
    let axes: Vec<usize> = order.iter().chain(rest).filter_map(at).collect();
    let moved = array.permuted(&axes)?;
    let kept = moved.shape()[..order.len()].to_vec();
    let summed: usize = moved.shape()[order.len()..].iter().product();
    if summed == 1 {
        return Ok(moved.renamed(kept));
    }
    let view: Tensor<2> = moved.view(input, [kept.iter().product(), summed])?;
    Ok(Array::flat(view.sum_dim(1), kept))
}

impl Operator for Einsum {
    fn op_type(&self) -> &'static str {
        "Einsum"
    }

    fn since(&self) -> &'static [i64] {
        &[12]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Linear
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let equation = Equation::of(node)?;
        let dtype = required(inputs, 0)?.dtype;
        let shapes: Option<Vec<&[usize]>> =
            (0..inputs.len()).map(|input| maybe_shape(inputs, input)).collect();
        let shape = shapes.map(|shapes| equation.shape(&shapes)).transpose()?;
        Ok(output(node, dtype, shape))
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let equation = Equation::of(node)?;
        let rule = |(input, term): (usize, &Vec<char>)| {
            let summed = |at: usize| !equation.result.contains(&term[at]);
            let shape = maybe_shape(inputs, input).filter(|shape| shape.len() == term.len());
            let sums = (0..term.len()).filter(|&at| summed(at));
            let fan_in = shape.map(|shape| sums.map(|at| shape[at]).product());
            let layout = match term.len() {
                2 if summed(0) && !summed(1) => Layout::InOut,
                2 if summed(1) && !summed(0) => Layout::OutIn,
                _ => Layout::Free,
            };
            let role = if layout == Layout::Free { Role::Free } else { Role::Weight };
            SlotRule { input, role, layout, groups: 1, fan_in, shape: None }
        };
        Ok(equation.operands.iter().enumerate().map(rule).collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let equation = Equation::of(node)?;
        let arrays: Vec<&Array> =
            (0..inputs.len()).map(|input| array(inputs, input)).collect::<Result<_, _>>()?;
        let shapes: Vec<&[usize]> = arrays.iter().map(|array| array.shape()).collect();
        equation.shape(&shapes)?;
        let Equation { operands, result } = &equation;
        let [left, right] = operands.as_slice() else {
            return Ok(vec![arranged(arrays[0], &operands[0], result, 0)?]);
        };
        let both = |letter: &&char| left.contains(letter) && right.contains(letter);
        let only = |mine: &[char], other: &[char]| -> Vec<char> {
            result.iter().copied().filter(|l| mine.contains(l) && !other.contains(l)).collect()
        };
        let stack: Vec<char> = result.iter().filter(both).copied().collect();
        let depth: Vec<char> =
            left.iter().filter(both).filter(|letter| !result.contains(letter)).copied().collect();
        let (rows, columns) = (only(left, right), only(right, left));
        let count = |letters: &[char]| -> Result<usize, OpError> {
            letters.iter().try_fold(1, |count, &l| Ok(count * equation.extent(&shapes, l)?))
        };
        let (stacked, summed) = (count(&stack)?, count(&depth)?);
        let (high, wide) = (count(&rows)?, count(&columns)?);
        let a = arranged(arrays[0], left, &[&stack[..], &rows, &depth].concat(), 0)?;
        let b = arranged(arrays[1], right, &[&stack[..], &depth, &columns].concat(), 1)?;
        let a: Tensor<3> = a.view(0, [stacked, high, summed])?;
        let product = a.matmul(b.view(1, [stacked, summed, wide])?);
        let order = [stack, rows, columns].concat();
        let extents: Vec<usize> = order
            .iter()
            .map(|&letter| equation.extent(&shapes, letter))
            .collect::<Result<_, _>>()?;
        Ok(vec![arranged(&Array::flat(product, extents), &order, result, 0)?])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Einsum)]
}
