//! Diagrams as SVG that needs nothing else.

use crate::{
    evaluate::Summary,
    svg::{Anchor, Axis, Drawing},
};

/// Width of every diagram; pages scale them to the screen.
const WIDTH: f64 = 640.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 14.0;

/// A figure as short as it can be.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{} M", value / 1e6),
        large if large >= 1e3 => format!("{} k", value / 1e3),
        _ => format!("{}", (value * 1e6).round() / 1e6),
    }
}

fn open(title: &str) -> Drawing {
    let mut out = Drawing::default();
    out.title(title);
    out
}

fn close(out: Drawing, height: f64) -> String {
    out.document([WIDTH, height], &[("class", "plot"), ("role", "img")])
}

const GRID: [(&str, &str); 1] = [("class", "grid")];
const MEAN: [(&str, &str); 1] = [("class", "mean")];

fn across(out: &mut Drawing, axis: &Axis, [top, bottom]: [f64; 2], label: &str) {
    for tick in axis.ticks() {
        let x = axis.at(tick);
        out.line([x, top], [x, bottom], &GRID);
        out.text([x, bottom + 15.0], Anchor::Middle, &short(tick), &[]);
    }
    let middle = (axis.pixels[0] + axis.pixels[1]) / 2.0;
    out.text([middle, bottom + 34.0], Anchor::Middle, label, &[]);
}

fn up(out: &mut Drawing, axis: &Axis, [left, right]: [f64; 2], label: &str) {
    for tick in axis.ticks() {
        let y = axis.at(tick);
        out.line([left, y], [right, y], &GRID);
        out.text([left - 6.0, y + 4.0], Anchor::End, &short(tick), &[]);
    }
    let middle = (axis.pixels[0] + axis.pixels[1]) / 2.0;
    out.upward_text([left - 52.0, middle], label);
}

/// A box per row: whiskers from smallest to largest, box from the tenth to the ninetieth
/// percentile, a line at the median and a dot at the mean. Values are shares.
pub(super) fn boxes(title: &str, rows: &[(String, Summary)]) -> String {
    let bottom = TOP + 30.0 * rows.len() as f64;
    let top = rows.iter().map(|(_, summary)| summary.max).fold(0.1, f64::max);
    let axis =
        Axis { from: 0.0, to: 100.0 * top, pixels: [LEFT, WIDTH - RIGHT], logarithmic: false };
    let mut out = open(title);
    across(&mut out, &axis, [TOP, bottom], "top-1 (%)");
    for (index, (name, summary)) in rows.iter().enumerate() {
        let y = TOP + 30.0 * index as f64 + 15.0;
        let at = |share: f64| axis.at(100.0 * share);
        out.text([LEFT - 8.0, y + 4.0], Anchor::End, name, &[]);
        out.line([at(summary.min), y], [at(summary.max), y], &[("class", "whisker")]);
        let width = (at(summary.p90) - at(summary.p10)).max(1.0);
        out.rect([at(summary.p10), y - 8.0], [width, 16.0], &[("class", "box")]);
        let median = at(summary.median);
        out.line([median, y - 8.0], [median, y + 8.0], &[("class", "median")]);
        out.circle([at(summary.mean), y], 3.0, &MEAN);
    }
    close(out, bottom + BOTTOM)
}

/// A dot per graph: parameters, top-1 as a share, and a name that is a tool tip.
pub(super) fn scatter(title: &str, points: &[(f64, f64, String)]) -> String {
    let bottom = 300.0;
    let least = points.iter().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|point| point.0).fold(1.0, f64::max);
    let best = points.iter().map(|point| point.1).fold(0.1, f64::max);
    let from = if least.is_finite() { 0.9 * least } else { 1.0 };
    let columns = Axis {
        from,
        to: (1.1 * most).max(2.0 * from),
        pixels: [80.0, WIDTH - RIGHT],
        logarithmic: true,
    };
    let rows = Axis { from: 0.0, to: 105.0 * best, pixels: [bottom, TOP], logarithmic: false };
    let mut out = open(title);
    across(&mut out, &columns, [TOP, bottom], "parameters");
    up(&mut out, &rows, [80.0, WIDTH - RIGHT], "top-1 (%)");
    for (parameters, top1, name) in points {
        let at = [columns.at(*parameters), rows.at(100.0 * top1)];
        out.with_tip(name, |out| out.circle(at, 4.0, &[("class", "dot")]));
    }
    close(out, bottom + BOTTOM)
}

/// A line through points, each a share of a share, beside the diagonal; areas of dots are `weight`.
pub(super) fn calibration(title: &str, points: &[(f64, f64, f64)]) -> String {
    let bottom = 400.0;
    let columns =
        Axis { from: 0.0, to: 1.0, pixels: [100.0, 100.0 + bottom - TOP], logarithmic: false };
    let rows = Axis { from: 0.0, to: 1.0, pixels: [bottom, TOP], logarithmic: false };
    let mut out = open(title);
    across(&mut out, &columns, [TOP, bottom], "confidence");
    up(&mut out, &rows, columns.pixels, "share that is right");
    let at = |confidence, right| [columns.at(confidence), rows.at(right)];
    out.line(at(0.0, 0.0), at(1.0, 1.0), &[("class", "diagonal")]);
    let curve = points.iter().map(|(confidence, right, _)| at(*confidence, *right));
    out.polyline(curve, &[("class", "curve")]);
    let heaviest = points.iter().map(|point| point.2).fold(1.0, f64::max);
    for (confidence, right, weight) in points {
        let radius = 2.0 + 7.0 * (weight / heaviest).sqrt();
        out.circle(at(*confidence, *right), radius, &MEAN);
    }
    close(out, bottom + BOTTOM)
}

/// Colours of curves.
const COLOURS: [&str; 7] =
    ["#9a9a9a", "#1f4e9e", "#c9a227", "#c9510f", "#2e8b57", "#7a3b8f", "#111111"];

/// Curves of shares over a logarithmic axis, each with its name.
pub(super) fn curves(title: &str, label: &str, curves: &[(&str, Vec<(f64, f64)>)]) -> String {
    let bottom = 320.0;
    let points = || curves.iter().flat_map(|(_, points)| points);
    let least = points().map(|point| point.0).fold(f64::INFINITY, f64::min).clamp(1.0, 1e9);
    let most = points().map(|point| point.0).fold(1.0, f64::max);
    let best = points().map(|point| point.1).fold(0.1, f64::max);
    let columns = Axis {
        from: least,
        to: most.max(1.1 * least),
        pixels: [80.0, WIDTH - RIGHT],
        logarithmic: true,
    };
    let rows = Axis { from: 0.0, to: 105.0 * best, pixels: [bottom, TOP], logarithmic: false };
    let mut out = open(title);
    across(&mut out, &columns, [TOP, bottom], label);
    up(&mut out, &rows, columns.pixels, "top-1 (%)");
    for (index, (name, points)) in curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let at = |&(x, y): &(f64, f64)| [columns.at(x.max(least)), rows.at(100.0 * y)];
        out.polyline(points.iter().map(at), &[("fill", "none"), ("stroke", colour)]);
        for point in points {
            out.with_tip(&format!("{name}: {:.1} %", 100.0 * point.1), |out| {
                out.circle(at(point), 3.0, &[("fill", colour)]);
            });
        }
        let y = bottom + BOTTOM + 16.0 * index as f64;
        out.line([80.0, y - 4.0], [104.0, y - 4.0], &[("stroke", colour), ("stroke-width", "2")]);
        out.text([110.0, y], Anchor::Start, name, &[]);
    }
    close(out, bottom + BOTTOM + 16.0 * curves.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!([2e5, 1.5e6, 0.25].map(short), ["200 k", "1.5 M", "0.25"]);
    }

    #[test]
    fn nothing_gives_an_empty_diagram() {
        for svg in [boxes("a", &[]), scatter("b", &[]), calibration("c", &[])] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
