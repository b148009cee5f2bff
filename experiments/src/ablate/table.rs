//! The table of an ablation, for people.

use super::result::Report;

/// Rows and splits as Markdown.
pub(super) fn table(report: &Report) -> String {
    let splits: Vec<&String> =
        report.rows.first().map(|row| row.splits.keys().collect()).unwrap_or_default();
    let names: Vec<&str> = splits.iter().map(|split| split.as_str()).collect();
    let mut lines = vec![
        format!("| | mean | {} | against the first | overlap | s |", names.join(" | ")),
        format!("|---|---|{}---|---|---|", "---|".repeat(splits.len())),
    ];
    for row in &report.rows {
        let of_splits: Vec<String> =
            row.splits.values().map(|top1| format!("{:.1}", 100.0 * top1)).collect();
        let against = row.comparison.as_ref().map_or_else(String::new, |comparison| {
            let difference = &comparison.difference;
            format!(
                "{:+.2} [{:+.2}, {:+.2}]",
                100.0 * difference.mean,
                100.0 * difference.low,
                100.0 * difference.high
            )
        });
        lines.push(format!(
            "| {} | {:.2} ± {:.2} | {} | {against} | {} | {:.3} |",
            row.name,
            100.0 * row.top1.mean,
            100.0 * row.draw_spread,
            of_splits.join(" | "),
            row.overlap.map_or_else(String::new, |overlap| format!("{overlap:.3}")),
            row.seconds
        ));
    }
    if let Some(control) = report.quality_control {
        lines.push(format!("\nquality asked for and reached: Spearman {control:.2}"));
    }
    lines.push(format!("{:.0} s", report.seconds));
    lines.join("\n")
}
