//! `Col2Im`, which the dynamo exporter writes for `fold`: patches that lie side by side, as MobileViT's second version
//! has them, are put together by moving axes.

use super::{
    super::{Attribute, NodeIndex},
    edit::Editor,
};

/// Takes a `Col2Im` of patches that neither overlap nor reach beyond the image apart.
pub(super) fn put_together(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Col2Im").then_some(())?;
    let patches = editor.input(node, 0);
    let &[batch, values, _] = editor.shape(patches)? else { return None };
    let sides = |slot| -> Option<[usize; 2]> {
        let &[height, width] = editor.ints(editor.input(node, slot))? else { return None };
        Some([usize::try_from(height).ok()?, usize::try_from(width).ok()?])
    };
    let ([height, width], [rows, columns]) = (sides(1)?, sides(2)?);
    let strides = editor.node(node).attributes.ints("strides").ok()??;
    let side_by_side = strides == [rows as i64, columns as i64]
        && editor.is_all(node, "pads", 0)
        && editor.is_all(node, "dilations", 1);
    let area = rows.checked_mul(columns).filter(|&area| area > 0)?;
    let whole = values % area == 0 && height % rows == 0 && width % columns == 0;
    (side_by_side && whole).then_some(())?;
    let [channels, down, across] = [values / area, height / rows, width / columns];
    let apart = [batch, channels, rows, columns, down, across];
    let turned = [batch, channels, down, rows, across, columns];
    let target = editor.extents(&apart);
    let apart = editor.insert(node, "Reshape", &[], &[patches, target], Some(apart.to_vec()));
    let order = [("perm", Attribute::Ints(vec![0, 1, 4, 2, 5, 3]))];
    let turned = editor.insert(node, "Transpose", &order, &[apart], Some(turned.to_vec()));
    let target = editor.extents(&[batch, channels, height, width]);
    editor.become_operator(node, "Reshape", &[], &[turned, target]);
    Some(())
}
