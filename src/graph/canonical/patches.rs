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
    let attributes = &editor.node(node).attributes;
    let given = |name| attributes.ints(name).ok().flatten();
    let side_by_side = given("strides")? == [rows as i64, columns as i64]
        && given("pads").is_none_or(|pads| pads.iter().all(|&pad| pad == 0))
        && given("dilations").is_none_or(|dilations| dilations.iter().all(|&it| it == 1));
    let area = rows.checked_mul(columns).filter(|&area| area > 0)?;
    let whole = values % area == 0 && height % rows == 0 && width % columns == 0;
    (side_by_side && whole).then_some(())?;
    let [channels, down, across] = [values / area, height / rows, width / columns];
    let apart = [batch, channels, rows, columns, down, across];
    let turned = [batch, channels, down, rows, across, columns];
    let list = |editor: &mut Editor, extents: &[usize]| {
        editor.int_list(extents.iter().map(|&extent| extent as i64).collect())
    };
    let target = list(editor, &apart);
    let apart = editor.insert(node, "Reshape", &[], &[patches, target], Some(apart.to_vec()));
    let order = [("perm", Attribute::Ints(vec![0, 1, 4, 2, 5, 3]))];
    let turned = editor.insert(node, "Transpose", &order, &[apart], Some(turned.to_vec()));
    let target = list(editor, &[batch, channels, height, width]);
    editor.become_operator(node, "Reshape", &[], &[turned, target]);
    Some(())
}
