//! `AdaptiveAvgPool2d` to a size that does not divide the image's, as AlexNet and VGG have it for images that
//! are smaller than ImageNet's. PyTorch gathers the pixels of all windows, masks those that a window lacks,
//! and adds them up one by one. It becomes one operator of our own, since ONNX has none.

use std::ops::Range;

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
    pixels::{Pixels, Windows},
};

/// Longest way from the mean of a window back to its pixels, in nodes.
const LONGEST: usize = 1000;
/// Most pixels of all windows of a channel.
const MOST: usize = 1 << 16;

/// Recognised at its last node, by what that makes of one channel with numbers without a pattern.
pub(super) fn recognise(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    (editor.is(node, "Div") || editor.is(node, "ReduceMean")).then_some(())?;
    let result = Operand::Node { node, slot: 0 };
    let &[_, _, height, width] = editor.shape(result)? else { return None };
    let (image, windows) = behind(editor, node)?;
    let probe: Vec<f32> = (0..windows.rows * windows.columns).map(number).collect();
    let means = means(&probe, [windows.rows, windows.columns], [height, width]);
    let made = Pixels::new(editor, windows, probe).of(result)?;
    let close = |(&made, mean): (&f32, f32)| (made - mean).abs() < 1e-4;
    let fits = made.shape == [1, 1, height, width] && made.data.iter().zip(means).all(close);
    fits.then_some(())?;
    let size = Attribute::Ints([height, width].map(|side| side as i64).to_vec());
    editor.become_operator(node, "AdaptiveAveragePool", &[("output_size", size)], &[image]);
    editor.set_own_domain(node);
    Some(())
}

/// Of no two windows is the mean of these the same.
fn number(index: usize) -> f32 {
    ((index + 1) as f32 * 12.9898).sin()
}

/// The image whose windows a node is made of.
fn behind(editor: &Editor, node: NodeIndex) -> Option<(Operand, Windows)> {
    let mut node = node;
    for _ in 0..LONGEST {
        if let Some(found) = gathered(editor, node) {
            return Some(found);
        }
        let mut inputs = editor.node(node).inputs.iter();
        let computed = inputs.rfind(|&&operand| editor.value(operand).is_none())?;
        let &Operand::Node { node: maker, .. } = computed else { return None };
        node = maker;
    }
    None
}

/// The windows `[batch, channels, height, window, width, window]` that a node makes of an image.
fn gathered(editor: &Editor, node: NodeIndex) -> Option<(Operand, Windows)> {
    (editor.order_of_axes(node)? == [4, 5, 0, 1, 2, 3]).then_some(())?;
    let gather = editor.made_by(editor.input(node, 0), "GatherND")?;
    let turned = editor.made_by(editor.input(gather, 0), "Transpose")?;
    (editor.order_of_axes(turned)? == [2, 3, 0, 1]).then_some(())?;
    let image = editor.input(turned, 0);
    let &[_, _, rows, columns] = editor.shape(image)? else { return None };
    let places = editor.value(editor.input(gather, 1))?;
    let &[height, above, width, beside, 2] = places.shape() else { return None };
    let extents = [height, above, width, beside];
    let few = extents.iter().try_fold(1usize, |product, &it| product.checked_mul(it))? <= MOST;
    let places = places.ints().filter(|_| few)?.chunks_exact(2);
    let index = |row: i64, column: i64| {
        let (row, column) = (usize::try_from(row).ok()?, usize::try_from(column).ok()?);
        (row < rows && column < columns).then_some(row * columns + column)
    };
    let pixels = places.map(|it| index(it[0], it[1])).collect::<Option<_>>()?;
    Some((image, Windows { node, rows, columns, extents, pixels }))
}

/// The mean of each window, row by row.
fn means(image: &[f32], [rows, columns]: [usize; 2], [height, width]: [usize; 2]) -> Vec<f32> {
    let window = |at: usize, from: usize, to: usize| -> Range<usize> {
        at * from / to..((at + 1) * from).div_ceil(to)
    };
    let mean = |at: usize| {
        let (down, across) = (window(at / width, rows, height), window(at % width, columns, width));
        let count = (down.len() * across.len()) as f32;
        down.flat_map(|row| &image[row * columns..][across.clone()]).sum::<f32>() / count
    };
    (0..height * width).map(mean).collect()
}
