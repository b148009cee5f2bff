//! Rankings as text and as comma-separated values.

use std::collections::BTreeMap;

use crate::rank::RankedGraph;

/// The agreement below which the order says that it leans on counting.
const DISAGREEMENT: f64 = 0.5;

/// A line for each graph, with what keeps it from scores, and how far the ingredients agree.
pub(super) fn text(rows: &[RankedGraph], agreement: Option<f64>) -> String {
    let mut text = format!(
        "{:>5}  {:>5}  {:>8}  {:>12}  {:>8}  {:>7}  graph\n",
        "rank", "±", "score", "parameters", "MFLOPs", "seconds"
    );
    for row in rows {
        text += &format!(
            "{:>5}  {:>5.1}  {:>8}  {:>12}  {:>8.1}  {:>7.2}  {}{}\n",
            row.rank,
            row.rank_spread,
            row.score.map_or_else(|| "–".to_owned(), |score| format!("{score:.4}")),
            row.parameters,
            row.flops as f64 / 1e6,
            row.seconds,
            row.file,
            notes(row),
        );
    }
    if let Some(agreement) = agreement {
        text += &format!("The scores behind 'auto' agree by {agreement:.2} on these graphs");
        text += match agreement < DISAGREEMENT {
            true => ": little, so take the order with care.\n",
            false => ".\n",
        };
    }
    text
}

/// What is to be known of a graph beside its place.
fn notes(row: &RankedGraph) -> String {
    let mut notes = String::new();
    if let Some(first) = &row.duplicate_of {
        notes += &format!("  = {first}");
    }
    if row.dead_nodes > 0 {
        notes += &format!("  ({} dead nodes)", row.dead_nodes);
    }
    if let Some(why) = row.unranked {
        return notes + &format!("  (not ranked: {why})");
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (score, why) in &row.missing {
        reasons.entry(why).or_default().push(score);
    }
    for (why, scores) in reasons {
        notes += &format!("  (no {}: {why})", scores.join(", "));
    }
    notes
}

/// A line for each graph, with all of its scores.
pub(super) fn csv(rows: &[RankedGraph]) -> String {
    let mut names: Vec<&String> = rows.iter().flat_map(|row| row.scores.keys()).collect();
    names.sort();
    names.dedup();
    let mut text = "file,rank,rank_spread,score,parameters,flops,dead_nodes,seconds".to_owned();
    names.iter().for_each(|name| text += &format!(",{name}"));
    text.push('\n');
    for row in rows {
        let RankedGraph { rank, rank_spread, parameters, flops, dead_nodes, seconds, .. } = row;
        let file = row.file.replace('"', "\"\"");
        let score = row.score.map(number).unwrap_or_default();
        text += &format!(
            "\"{file}\",{rank},{rank_spread},{score},{parameters},{flops},{dead_nodes},{seconds}"
        );
        text += &score_cells(&row.scores, names.iter().copied());
        text.push('\n');
    }
    text
}

/// Cells of a CSV line, each behind its comma; that of a score there is not is empty.
pub(in crate::cli) fn score_cells<'a>(
    scores: &BTreeMap<String, f64>,
    names: impl Iterator<Item = &'a String>,
) -> String {
    let cell =
        |name| scores.get(name).map_or(",".to_owned(), |value| format!(",{}", number(*value)));
    names.map(cell).collect()
}

/// A number that a reader can take in: very large and very small ones with an exponent.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (1e-5..1e15).contains(&size) => value.to_string(),
        _ => format!("{value:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(file: &str, score: Option<f64>) -> RankedGraph {
        RankedGraph {
            file: file.to_owned(),
            rank: 1,
            rank_spread: 0.0,
            score,
            unranked: None,
            scores: BTreeMap::new(),
            missing: BTreeMap::new(),
            parameters: 7,
            flops: 8,
            cost: None,
            dead_nodes: 0,
            duplicate_of: None,
            seconds: 0.0,
        }
    }

    #[test]
    fn reasons_stand_beside_the_graphs() {
        let missing = [("nwot", "no images"), ("zen", "no images"), ("zico", "no labels")];
        let partly = RankedGraph {
            missing: missing.map(|(score, why)| (score.to_owned(), why.to_owned())).into(),
            ..row("partly.onnx", Some(-0.5))
        };
        let dead = RankedGraph { unranked: Some("it is dead"), ..row("dead.onnx", None) };
        let text = text(&[partly, dead], None);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].ends_with("partly.onnx  (no nwot, zen: no images)  (no zico: no labels)"));
        assert!(
            lines[2].ends_with("dead.onnx  (not ranked: it is dead)") && lines[2].contains('–')
        );
    }

    #[test]
    fn no_number_has_hundreds_of_digits() {
        let scores = BTreeMap::from([("zen".to_owned(), 1e300)]);
        let first = RankedGraph { scores, ..row("a.onnx", Some(-0.25)) };
        let text = csv(&[row("b.onnx", None), first]);
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            ["\"b.onnx\",1,0,,7,8,0,0,", "\"a.onnx\",1,0,-0.25,7,8,0,0,1e300"]
        );
        assert_eq!([0.0, 1.5, -2e-9].map(number), ["0", "1.5", "-2e-9"]);
    }
}
