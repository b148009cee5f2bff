//! All splits in one SVG that needs nothing else: histograms of their sizes above, the share of
//! graphs in which each operator occurs below.

use std::{collections::BTreeSet, fmt::Write};

use crate::svg::{self, Anchor, Drawing};

use super::statistics::{MEASURES, Measure, Statistics};

const MARGIN: f64 = 20.0;
/// Where names end and figures begin.
const LABELS: f64 = 150.0;
const COLUMN: f64 = 200.0;
const GAP: f64 = 24.0;
const ROW: f64 = 46.0;
const BINS: usize = 32;
const CELL: [f64; 2] = [79.0, 17.0];
const HEADER: f64 = 44.0;
const BETWEEN: f64 = 96.0;

const WIDTH: f64 = MARGIN + LABELS + MEASURES.len() as f64 * (COLUMN + GAP);
const BARS: &str = "#2b6fd6";
const REFERENCE: &str = "#d9d9d9";
const SMALL: [(&str, &str); 1] = [("font-size", "11")];

/// Draws splits, each over the histograms of the last one.
pub fn picture(splits: &[Statistics]) -> String {
    let mut out = Drawing::default();
    out.background("white");
    let histograms = HEADER + splits.len() as f64 * ROW;
    for (column, measure) in MEASURES.into_iter().enumerate() {
        let left = MARGIN + LABELS + column as f64 * (COLUMN + GAP);
        Panel::over(splits, measure, left).draw(&mut out, splits);
    }
    for (row, split) in splits.iter().enumerate() {
        let y = HEADER + (row as f64 + 0.75) * ROW;
        out.text([MARGIN + LABELS - 14.0, y - 6.0], Anchor::End, &split.split, &[]);
        let count = format!("{} graphs", grouped(split.sizes.len() as u64));
        out.text([MARGIN + LABELS - 14.0, y + 8.0], Anchor::End, &count, &SMALL);
    }
    let height = operators(&mut out, splits, histograms + BETWEEN) + MARGIN;
    let style = [("font-family", "sans-serif"), ("font-size", "13"), ("fill", "#222")];
    out.document([WIDTH, height], &style)
}

/// The histograms of one measure, one under the other.
struct Panel {
    measure: Measure,
    axis: svg::Axis,
}

impl Panel {
    /// On a logarithmic axis that holds all values.
    fn over(splits: &[Statistics], measure: Measure, left: f64) -> Self {
        let values = splits.iter().flat_map(|split| &split.sizes).map(measure.of);
        let (mut low, mut high) = (f64::MAX, 1.0f64);
        for value in values {
            low = low.min(value.max(1) as f64);
            high = high.max(value as f64);
        }
        let from = low.min(high);
        let to = high.max(from * 10f64.powf(0.1));
        let pixels = [left, left + COLUMN];
        Self { measure, axis: svg::Axis { from, to, pixels, logarithmic: true } }
    }

    fn at(&self, value: u64) -> f64 {
        let [left, right] = self.axis.pixels;
        self.axis.at(value as f64).clamp(left, right)
    }

    /// Round values along the axis, few enough to be labelled.
    fn ticks(&self) -> Vec<f64> {
        match (self.axis.to / self.axis.from).log10() > 2.5 {
            true => self.axis.decades(&[1.0]),
            false => self.axis.ticks(),
        }
    }

    /// The share of graphs in each bin.
    fn histogram(&self, split: &Statistics) -> [f64; BINS] {
        let mut bins = [0.0; BINS];
        for size in &split.sizes {
            let share = (self.at((self.measure.of)(size)) - self.axis.pixels[0]) / COLUMN;
            let bin = (share * BINS as f64) as usize;
            bins[bin.min(BINS - 1)] += 1.0 / split.sizes.len() as f64;
        }
        bins
    }

    fn draw(&self, out: &mut Drawing, splits: &[Statistics]) {
        let bottom = HEADER + splits.len() as f64 * ROW;
        let [left, right] = self.axis.pixels;
        let above = [(left + right) / 2.0, HEADER - 18.0];
        out.text(above, Anchor::Middle, self.measure.name, &[]);
        for tick in self.ticks() {
            let x = self.axis.at(tick);
            out.line([x, HEADER], [x, bottom], &[("stroke", "#eee")]);
            out.text([x, bottom + 16.0], Anchor::Middle, &short(tick as u64), &SMALL);
        }
        let reference = splits.last().map(|split| self.histogram(split));
        for (row, split) in splits.iter().enumerate() {
            let base = HEADER + (row as f64 + 1.0) * ROW;
            let bins = self.histogram(split);
            if let Some(reference) = reference {
                self.bars(out, base, &reference, [("fill", REFERENCE), ("fill-opacity", "1")]);
            }
            if row + 1 < splits.len() {
                self.bars(out, base, &bins, [("fill", BARS), ("fill-opacity", "0.75")]);
            }
            out.line([left, base], [right, base], &[("stroke", "#999")]);
            let median = split.quantile(self.measure, 0.5);
            let x = self.at(median);
            let dashed = [("stroke", "#222"), ("stroke-dasharray", "2 2")];
            out.line([x, base], [x, base - ROW + 12.0], &dashed);
            let (anchor, beside) = match x > left + 0.8 * COLUMN {
                true => (Anchor::End, -4.0),
                false => (Anchor::Start, 4.0),
            };
            out.text([x + beside, base - ROW + 19.0], anchor, &short(median), &SMALL);
        }
    }

    fn bars(&self, out: &mut Drawing, base: f64, bins: &[f64], style: [(&str, &str); 2]) {
        let most = bins.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let width = COLUMN / BINS as f64;
        let mut path = String::new();
        for (bin, share) in bins.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let height = (ROW - 14.0) * share / most;
            let x = self.axis.pixels[0] + bin as f64 * width;
            let (top, inner) = (base - height, width - 0.6);
            // Writing to a String cannot fail.
            let _ = write!(path, "M{x:.1} {base:.1}V{top:.1}h{inner:.1}V{base:.1}Z");
        }
        out.path(&path, &style);
    }
}

/// The table of operators from `top` on; returns where it ends.
fn operators(out: &mut Drawing, splits: &[Statistics], top: f64) -> f64 {
    let heading = "Share of graphs (%) in which an operator occurs";
    out.text([MARGIN, top - 40.0], Anchor::Start, heading, &[]);
    let names: BTreeSet<&String> = splits.iter().flat_map(|split| split.operators.keys()).collect();
    let mut names: Vec<&String> = names.into_iter().collect();
    let common = |name: &str| splits.last().map_or(0.0, |split| split.share(name));
    names.sort_by(|left, right| common(right).total_cmp(&common(left)));
    let [width, height] = CELL;
    for (column, split) in splits.iter().enumerate() {
        let x = MARGIN + LABELS + (column as f64 + 0.5) * width;
        out.text([x, top - 8.0], Anchor::Middle, &split.split, &SMALL);
    }
    for (row, name) in names.iter().enumerate() {
        let y = top + row as f64 * height;
        out.text([MARGIN + LABELS - 14.0, y + height - 4.5], Anchor::End, name, &SMALL);
        for (column, split) in splits.iter().enumerate() {
            let share = split.share(name);
            if share == 0.0 {
                continue;
            }
            let x = MARGIN + LABELS + column as f64 * width;
            let opacity = format!("{:.2}", 0.08 + 0.62 * share);
            let style = [("fill", BARS), ("fill-opacity", &*opacity)];
            out.rect([x, y], [width - 1.0, height - 1.0], &style);
            let percent = match 100.0 * share {
                percent if percent < 1.0 => "< 1".to_owned(),
                percent => format!("{percent:.0}"),
            };
            out.text([x + width / 2.0, y + height - 4.5], Anchor::Middle, &percent, &SMALL);
        }
    }
    top + names.len() as f64 * height
}

/// A number in three digits or so.
fn short(value: u64) -> String {
    let scaled = |divisor: f64, unit: &str| {
        let value = value as f64 / divisor;
        let digits = usize::from(value < 10.0 && value.fract() >= 0.05);
        format!("{value:.digits$} {unit}")
    };
    match value {
        0..1_000 => value.to_string(),
        1_000..1_000_000 => scaled(1e3, "k"),
        _ => scaled(1e6, "M"),
    }
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}
