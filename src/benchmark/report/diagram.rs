//! Diagrams as SVG that needs nothing else.

use std::fmt::Write;

use crate::evaluate::Summary;

/// Width of every diagram; pages scale them to the screen.
const WIDTH: f64 = 640.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 14.0;

/// A scale from values to pixels.
struct Axis {
    from: f64,
    to: f64,
    pixels: [f64; 2],
    logarithmic: bool,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let place = |value: f64| if self.logarithmic { value.max(1e-300).log10() } else { value };
        let (from, to) = (place(self.from), place(self.to));
        let share = (place(value) - from) / (to - from).max(1e-12);
        self.pixels[0] + share * (self.pixels[1] - self.pixels[0])
    }

    /// Round values within the axis.
    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
            return decades
                .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(decade)))
                .filter(|tick| (self.from..=self.to).contains(tick))
                .collect();
        }
        let rough = (self.to - self.from).max(1e-9) / 5.0;
        let decade = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade);
        let step = steps.into_iter().find(|&step| step >= rough).unwrap_or(steps[3]);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).map(|tick| tick as f64 * step).collect()
    }
}

/// A figure as short as it can be.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{} M", value / 1e6),
        large if large >= 1e3 => format!("{} k", value / 1e3),
        _ => format!("{}", (value * 1e6).round() / 1e6),
    }
}

fn open(height: f64, title: &str) -> String {
    format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">\
         <title>{title}</title>"
    )
}

// Writing to a String cannot fail.
fn across(out: &mut String, axis: &Axis, [top, bottom]: [f64; 2], label: &str) {
    for tick in axis.ticks() {
        let x = axis.at(tick);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 15.0,
            short(tick)
        );
    }
    let _ = write!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
        (axis.pixels[0] + axis.pixels[1]) / 2.0,
        bottom + 34.0
    );
}

fn up(out: &mut String, axis: &Axis, [left, right]: [f64; 2], label: &str) {
    for tick in axis.ticks() {
        let y = axis.at(tick);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + 4.0,
            short(tick)
        );
    }
    let middle = (axis.pixels[0] + axis.pixels[1]) / 2.0;
    let _ = write!(
        out,
        "<text transform=\"translate({:.1} {middle:.1}) rotate(-90)\" \
         text-anchor=\"middle\">{label}</text>",
        left - 52.0
    );
}

/// A box per row: whiskers from smallest to largest, box from the tenth to the ninetieth
/// percentile, a line at the median and a dot at the mean. Values are shares.
pub(super) fn boxes(title: &str, rows: &[(String, Summary)]) -> String {
    let bottom = TOP + 30.0 * rows.len() as f64;
    let top = rows.iter().map(|(_, summary)| summary.max).fold(0.1, f64::max);
    let axis =
        Axis { from: 0.0, to: 100.0 * top, pixels: [LEFT, WIDTH - RIGHT], logarithmic: false };
    let mut out = open(bottom + BOTTOM, title);
    across(&mut out, &axis, [TOP, bottom], "top-1 (%)");
    for (index, (name, summary)) in rows.iter().enumerate() {
        let y = TOP + 30.0 * index as f64 + 15.0;
        let at = |share: f64| axis.at(100.0 * share);
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\
             <line class=\"whisker\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\"/>\
             <rect class=\"box\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"16\"/>\
             <line class=\"median\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <circle class=\"mean\" cx=\"{:.1}\" cy=\"{y}\" r=\"3\"/>",
            LEFT - 8.0,
            y + 4.0,
            at(summary.min),
            at(summary.max),
            at(summary.p10),
            y - 8.0,
            (at(summary.p90) - at(summary.p10)).max(1.0),
            at(summary.median),
            at(summary.median),
            y - 8.0,
            y + 8.0,
            at(summary.mean)
        );
    }
    out + "</svg>"
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
    let mut out = open(bottom + BOTTOM, title);
    across(&mut out, &columns, [TOP, bottom], "parameters");
    up(&mut out, &rows, [80.0, WIDTH - RIGHT], "top-1 (%)");
    for (parameters, top1, name) in points {
        let _ = write!(
            out,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"><title>{name}</title></circle>",
            columns.at(*parameters),
            rows.at(100.0 * top1)
        );
    }
    out + "</svg>"
}

/// A line through points, each a share of a share, beside the diagonal; areas of dots are `weight`.
pub(super) fn calibration(title: &str, points: &[(f64, f64, f64)]) -> String {
    let bottom = 400.0;
    let columns =
        Axis { from: 0.0, to: 1.0, pixels: [100.0, 100.0 + bottom - TOP], logarithmic: false };
    let rows = Axis { from: 0.0, to: 1.0, pixels: [bottom, TOP], logarithmic: false };
    let mut out = open(bottom + BOTTOM, title);
    across(&mut out, &columns, [TOP, bottom], "confidence");
    up(&mut out, &rows, columns.pixels, "share that is right");
    let _ = write!(
        out,
        "<line class=\"diagonal\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        columns.at(0.0),
        rows.at(0.0),
        columns.at(1.0),
        rows.at(1.0)
    );
    let line: Vec<String> = points
        .iter()
        .map(|(confidence, right, _)| {
            format!("{:.1},{:.1}", columns.at(*confidence), rows.at(*right))
        })
        .collect();
    let _ = write!(out, "<polyline class=\"curve\" points=\"{}\"/>", line.join(" "));
    let heaviest = points.iter().map(|point| point.2).fold(1.0, f64::max);
    for (confidence, right, weight) in points {
        let _ = write!(
            out,
            "<circle class=\"mean\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{:.1}\"/>",
            columns.at(*confidence),
            rows.at(*right),
            2.0 + 7.0 * (weight / heaviest).sqrt()
        );
    }
    out + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let linear = Axis { from: 0.0, to: 63.0, pixels: [0.0, 1.0], logarithmic: false };
        assert_eq!(linear.ticks(), [0.0, 20.0, 40.0, 60.0]);
        let logarithmic = Axis { from: 3e4, to: 6e5, pixels: [0.0, 1.0], logarithmic: true };
        assert_eq!(logarithmic.ticks().len(), 4);
        assert_eq!(short(2e5), "200 k");
    }

    #[test]
    fn nothing_gives_an_empty_diagram() {
        for svg in [boxes("a", &[]), scatter("b", &[]), calibration("c", &[])] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
