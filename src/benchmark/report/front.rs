//! Ranked graphs by what they cost: a plot, and a page with drawings of those that no cheaper graph beats.

use std::fmt::Write;

use crate::{fill::Network, page, predictor::ByFilling, rank::RankedGraph, svg::escape};

use super::{Plot, Point};

/// Drawings on a page, the best graphs first.
const DRAWN: usize = 12;

/// A ranking by cost: what the user measured where every graph has it, multiply-accumulates otherwise.
#[derive(Debug)]
pub struct Front<'a> {
    /// The cheapest first, each with its cost and whether no cheaper graph beats it.
    rows: Vec<(&'a RankedGraph, f64, bool)>,
    /// Whether costs are the user's.
    measured: bool,
}

impl<'a> Front<'a> {
    /// Of a ranking; graphs without a score are left out.
    pub fn new(ranking: &'a [RankedGraph]) -> Self {
        let scored = || ranking.iter().filter(|row| row.score.is_some());
        let measured = scored().all(|row| row.cost.is_some());
        let cost = |row: &RankedGraph| match row.cost.filter(|_| measured) {
            Some(cost) => cost,
            None => row.flops as f64,
        };
        let mut rows: Vec<_> = scored().map(|row| (row, cost(row), false)).collect();
        rows.sort_by(|(a, one, _), (b, other, _)| one.total_cmp(other).then(a.rank.cmp(&b.rank)));
        let mut best = usize::MAX;
        for (row, _, front) in &mut rows {
            *front = row.rank < best;
            best = best.min(row.rank);
        }
        Self { rows, measured }
    }

    /// The plot as an SVG that stands by itself.
    pub fn svg(&self) -> String {
        let point = |&(row, cost, front): &(&RankedGraph, f64, bool)| Point {
            x: if self.measured { cost } else { cost.max(1.0).log10() },
            y: row.score.unwrap_or(f64::NAN),
            front,
            label: format!("{}: rank {}", row.file, row.rank),
        };
        let points = self.rows.iter().map(point).collect();
        let x = if self.measured { "cost" } else { "FLOPs (multiply-accumulates), log₁₀" };
        Plot { title: "Score by cost", x, y: "score of the ranking", points }.svg()
    }

    /// The plot, a table of the front and drawings of its best graphs, as an HTML page that needs nothing
    /// else. A graph that is too tangled to draw, or whose file has gone, has none.
    pub fn to_html(&self) -> String {
        let mut out = page::open("Ranking by cost");
        let plot = self.svg();
        let cost = if self.measured { "cost" } else { "MFLOPs" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<p>{} graphs; the line joins those that no cheaper graph beats.</p>\n{plot}\n\
             <h2>The front</h2><div class=\"wide\"><table><tr><th>graph</th><th>rank</th><th>±</th>\
             <th>score</th><th>parameters</th><th>{cost}</th></tr>",
            self.rows.len()
        );
        let mut front: Vec<_> = self.rows.iter().filter(|(.., front)| *front).collect();
        front.sort_by_key(|(row, ..)| row.rank);
        for (row, cost, _) in &front {
            let cost = if self.measured { *cost } else { cost / 1e6 };
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{:.1}</td><td>{:.4}</td><td>{}</td><td>{cost:.2}</td></tr>",
                escape(&row.file),
                row.rank,
                row.rank_spread,
                row.score.unwrap_or(f64::NAN),
                row.parameters,
            );
        }
        out.push_str("</table></div>\n");
        for (row, ..) in front.iter().take(DRAWN) {
            if let Some(drawing) = drawing(&row.file) {
                let file = escape(&row.file);
                let _ = writeln!(out, "<details><summary>{file}</summary>{drawing}</details>");
            }
        }
        out + page::CLOSE
    }
}

fn drawing(file: &str) -> Option<String> {
    let network = Network::open(file).ok()?;
    let paint = ByFilling::new(&network.architecture, &network.registry);
    network.architecture.to_svg(&paint).ok()
}
