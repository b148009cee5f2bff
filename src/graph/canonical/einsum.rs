//! Products of matrices in Einstein's notation, as attention is often written: a `MatMul` between the
//! transpositions that bring rows and columns to their places.

use super::{
    super::{NodeIndex, Operand},
    edit::Editor,
    permutation,
};

/// The letters of two operands and of their product.
struct Equation {
    operands: [Vec<char>; 2],
    result: Vec<char>,
}

/// The order of axes in which each operand is multiplied, and that of the product.
struct Orders {
    operands: [Vec<char>; 2],
    product: Vec<char>,
}

/// A sum over one letter, of matrices or of stacks of them.
pub(super) fn multiply(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Einsum").then_some(())?;
    let equation = Equation::parse(editor.node(node).attributes.string("equation", "").ok()?)?;
    let orders = equation.orders()?;
    let mut factors = [Operand::Absent; 2];
    for (slot, (term, order)) in equation.operands.iter().zip(&orders.operands).enumerate() {
        factors[slot] = arranged(editor, node, editor.input(node, slot), term, order)?;
    }
    if orders.product == equation.result {
        editor.become_operator(node, "MatMul", &[], &factors);
        return Some(());
    }
    let extents = editor.shape(Operand::Node { node, slot: 0 })?;
    let place = |letter: &char| equation.result.iter().position(|other| other == letter);
    let shape = orders.product.iter().map(|letter| Some(*extents.get(place(letter)?)?));
    let shape = shape.collect::<Option<_>>()?;
    let product = editor.insert(node, "MatMul", &[], &factors, Some(shape));
    let order = places(&orders.product, &equation.result)?;
    let perm = ("perm", permutation::attribute(&order));
    editor.become_operator(node, "Transpose", &[perm], &[product]);
    Some(())
}

/// An operand with its axes in an order.
fn arranged(
    editor: &mut Editor,
    node: NodeIndex,
    operand: Operand,
    term: &[char],
    order: &[char],
) -> Option<Operand> {
    let shape = editor.shape(operand).filter(|shape| shape.len() == term.len())?;
    if term == order {
        return Some(operand);
    }
    let axes = places(term, order)?;
    let moved = Some(permutation::take(&axes, shape));
    let perm = ("perm", permutation::attribute(&axes));
    Some(editor.insert(node, "Transpose", &[perm], &[operand], moved))
}

/// Where each letter of one term stands in another.
fn places(term: &[char], order: &[char]) -> Option<Vec<usize>> {
    order.iter().map(|letter| term.iter().position(|other| other == letter)).collect()
}

impl Equation {
    fn parse(text: &str) -> Option<Self> {
        let text: String = text.split_whitespace().collect();
        let (left, right) = text.split_once("->")?;
        let (first, second) = left.split_once(',')?;
        let [first, second, result] =
            [first, second, right].map(|term| -> Vec<char> { term.chars().collect() });
        let distinct = |term: &[char]| {
            let letters = term.iter().all(char::is_ascii_alphabetic);
            letters && (1..term.len()).all(|at| !term[..at].contains(&term[at]))
        };
        [&first, &second, &result].into_iter().all(|term| distinct(term)).then_some(())?;
        Some(Self { operands: [first, second], result })
    }

    /// As `MatMul` has it: the stack, rows, the summed letter, columns. Where the second operand is a
    /// plain matrix, the first may have any number of rows.
    fn orders(&self) -> Option<Orders> {
        let ([left, right], result) = (&self.operands, &self.result);
        let letters = |term: &[char], wanted: &dyn Fn(&char) -> bool| -> Vec<char> {
            term.iter().filter(|letter| wanted(letter)).copied().collect()
        };
        let stack = letters(result, &|it| left.contains(it) && right.contains(it));
        let rows = letters(result, &|it| left.contains(it) && !right.contains(it));
        let columns = letters(result, &|it| right.contains(it) && !left.contains(it));
        let summed = letters(left, &|it| right.contains(it) && !result.contains(it));
        let operands =
            [[&stack[..], &rows, &summed].concat(), [&stack[..], &summed, &columns].concat()];
        let product = [&stack[..], &rows, &columns].concat();
        let whole = [left, right, result].into_iter().zip([&operands[0], &operands[1], &product]);
        let is_whole = whole.into_iter().all(|(term, order)| term.len() == order.len());
        let plain = stack.is_empty() && !rows.is_empty();
        let fits = summed.len() == 1 && columns.len() == 1 && (plain || rows.len() == 1);
        (is_whole && fits).then_some(Orders { operands, product })
    }
}

#[cfg(test)]
mod tests {
    use super::Equation;

    fn orders(text: &str) -> Option<[String; 3]> {
        let orders = Equation::parse(text)?.orders()?;
        let [left, right] = orders.operands;
        Some([left, right, orders.product].map(|term| term.into_iter().collect()))
    }

    #[test]
    fn matrices_in_any_order_are_multiplied() {
        let expected = |terms: [&str; 3]| Some(terms.map(str::to_owned));
        assert_eq!(orders("bhid, bhjd -> bhij"), expected(["bhid", "bhdj", "bhij"]));
        assert_eq!(orders("bhij,bhjd->bihd"), expected(["bhij", "bhjd", "bhid"]));
        assert_eq!(orders("btd,do->bto"), expected(["btd", "do", "bto"]));
        assert_eq!(orders("nchw,kc->nkhw"), expected(["nhwc", "ck", "nhwk"]));
    }

    #[test]
    fn what_is_no_product_of_matrices_stays() {
        for text in
            ["bi,bi->b", "i,j->ij", "bhij,bh->bij", "ij->ji", "ii,ij->ij", "bij,bjk,bkl->bil"]
        {
            assert_eq!(orders(text), None, "{text}");
        }
    }
}
