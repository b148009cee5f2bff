//! What is said of a merged network.

use std::path::Path;

use serde_json::json;

use crate::{
    fill::{Filled, Judged, MergeRecord, ParentRecord, SCHEMA, WriteOptions},
    merge::diagram,
};

use super::super::{
    Common, Exit, Failure, flags::with_flags, output, print, print_json, sign::Signing, written,
};

/// Writes a merged network, signs it if it is to be signed, and says how it did.
pub(in crate::cli) fn tell(
    filled: &Filled,
    out: &Path,
    force: bool,
    signing: Option<Signing>,
    common: &Common,
) -> Result<Exit, Failure> {
    let mut files =
        filled.write_with(out, &WriteOptions { overwrite: force }).map_err(with_flags)?;
    let report = filled.report();
    let lineage = report.provenance.merged.as_ref();
    if let Some(MergeRecord { path, parents, .. }) =
        lineage.filter(|lineage| !lineage.path.is_empty())
        && let [first, second, ..] = &parents[..]
    {
        let file = out.join("path.svg");
        output::write(&file, &diagram(path, [&first.file, &second.file]))?;
        files.push(file);
    }
    files.extend(signing.map(Signing::sign).transpose()?);
    if common.json {
        print_json(&json!({
            "schema": SCHEMA,
            "seed": common.seed,
            "merged": lineage,
            "classes": report.classes,
            "notices": report.notices,
            "sanity_checks": [&report.sanity_check],
            "files": files,
        }))?;
    } else {
        for line in lineage.map(lines).unwrap_or_default() {
            print(&line)?;
        }
    }
    written::tell(report, &files, common)
}

fn lines(lineage: &MergeRecord) -> Vec<String> {
    let top1 = |judged: &Option<Judged>| {
        judged.as_ref().map_or(String::new(), |it| format!(", top-1 {:.2} %", 100.0 * it.top1))
    };
    let base = lineage.base.iter().map(|base| format!("base {}{}", base.file, top1(&base.judged)));
    let mut lines: Vec<String> = base.collect();
    let recipe = &lineage.recipe;
    let weight = if recipe.method.adds_to_base() { recipe.weight.clone() } else { recipe.shares() };
    for (parent, weight) in lineage.parents.iter().zip(weight) {
        let ParentRecord { file, widened, distance: [before, after], judged, .. } = parent;
        let widened = if widened.is_some() { ", widened" } else { "" };
        let moved = if before == after {
            format!("{before:.3}")
        } else {
            format!("{before:.3}, aligned {after:.3}")
        };
        lines.push(format!("{file} times {weight:.3}{widened}, distance {moved}{}", top1(judged)));
    }
    let (method, repair) = (recipe.method, lineage.repair);
    lines.push(format!("{method}, repaired by {repair}{}", top1(&lineage.judged)));
    let before = lineage.base.as_ref().and_then(|base| base.judged.as_ref());
    lines.extend(before.zip(lineage.judged.as_ref()).map(|(before, after)| table(before, after)));
    for curve in &lineage.path {
        let points = curve.points.iter().map(|point| format!("{:.1}", 100.0 * point.top1));
        let points: Vec<String> = points.collect();
        lines.push(format!(
            "{}: barrier {:.1} points ({})",
            curve.name,
            100.0 * curve.barrier,
            points.join(", ")
        ));
    }
    lines
}

/// Top-1 of every class before and after.
fn table(before: &Judged, after: &Judged) -> String {
    let classes = || before.by_class.iter().zip(&after.by_class);
    let widest = classes().map(|(it, _)| it.class.chars().count()).max().unwrap_or(0).max(5);
    let mut rows =
        vec![format!("{:<widest$}  {:>6}  {:>8}  {:>8}", "class", "images", "before", "after")];
    rows.extend(classes().map(|(before, after)| {
        let [before_top1, after_top1] = [before, after]
            .map(|it| it.top1.map_or("-".to_owned(), |top1| format!("{:.2} %", 100.0 * top1)));
        let (class, images) = (&before.class, before.images);
        format!("{class:<widest$}  {images:>6}  {before_top1:>8}  {after_top1:>8}")
    }));
    rows.join("\n")
}
