//! All splits in one SVG that needs nothing else: histograms of their sizes above, the share of
//! graphs in which each operator occurs below.

use std::{collections::BTreeSet, fmt::Write};

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

/// Draws splits, each over the histograms of the last one.
pub fn picture(splits: &[Statistics]) -> String {
    let mut body = String::new();
    let histograms = HEADER + splits.len() as f64 * ROW;
    for (column, measure) in MEASURES.into_iter().enumerate() {
        let left = MARGIN + LABELS + column as f64 * (COLUMN + GAP);
        Panel { left, measure, axis: Axis::over(splits, measure) }.draw(&mut body, splits);
    }
    for (row, split) in splits.iter().enumerate() {
        let y = HEADER + (row as f64 + 0.75) * ROW;
        text(&mut body, [MARGIN + LABELS - 14.0, y - 6.0], "end", &split.split);
        let count = format!("{} graphs", grouped(split.sizes.len() as u64));
        small(&mut body, [MARGIN + LABELS - 14.0, y + 8.0], "end", &count);
    }
    let height = operators(&mut body, splits, histograms + BETWEEN) + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <rect width=\"{WIDTH:.0}\" height=\"{height:.0}\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// A logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn over(splits: &[Statistics], measure: Measure) -> Self {
        let values = splits.iter().flat_map(|split| &split.sizes).map(measure.of);
        let (mut low, mut high) = (f64::MAX, 1.0f64);
        for value in values {
            low = low.min(value.max(1) as f64);
            high = high.max(value as f64);
        }
        Self { low: low.min(high).log10(), high: high.log10().max(low.min(high).log10() + 0.1) }
    }

    /// From 0 to 1.
    fn place(&self, value: u64) -> f64 {
        let value = (value.max(1) as f64).log10();
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Round values along it, few enough to be labelled.
    fn ticks(&self) -> impl Iterator<Item = u64> {
        let steps: &[u64] = if self.high - self.low > 2.5 { &[1] } else { &[1, 2, 5] };
        let (low, high) = (self.low, self.high);
        let decades = (low.floor() as u32)..=(high.ceil() as u32);
        decades
            .flat_map(move |decade| steps.iter().map(move |step| step * 10u64.pow(decade)))
            .filter(move |&tick| (low..=high).contains(&(tick as f64).log10()))
    }

    /// The share of graphs in each bin.
    fn histogram(&self, split: &Statistics, measure: Measure) -> [f64; BINS] {
        let mut bins = [0.0; BINS];
        for size in &split.sizes {
            let bin = (self.place((measure.of)(size)) * BINS as f64) as usize;
            bins[bin.min(BINS - 1)] += 1.0 / split.sizes.len() as f64;
        }
        bins
    }
}

/// The histograms of one measure, one under the other.
struct Panel {
    left: f64,
    measure: Measure,
    axis: Axis,
}

impl Panel {
    fn draw(&self, out: &mut String, splits: &[Statistics]) {
        let bottom = HEADER + splits.len() as f64 * ROW;
        text(out, [self.left + COLUMN / 2.0, HEADER - 18.0], "middle", self.measure.name);
        for tick in self.axis.ticks() {
            let x = self.left + self.axis.place(tick) * COLUMN;
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "<path d=\"M{x:.1} {HEADER}V{bottom:.1}\" stroke=\"#eee\" fill=\"none\"/>"
            );
            small(out, [x, bottom + 16.0], "middle", &short(tick));
        }
        let reference = splits.last().map(|split| self.axis.histogram(split, self.measure));
        for (row, split) in splits.iter().enumerate() {
            let base = HEADER + (row as f64 + 1.0) * ROW;
            let bins = self.axis.histogram(split, self.measure);
            if let Some(reference) = reference {
                self.bars(out, base, &reference, REFERENCE, 1.0);
            }
            if row + 1 < splits.len() {
                self.bars(out, base, &bins, BARS, 0.75);
            }
            let _ = writeln!(
                out,
                "<path d=\"M{:.1} {base:.1}h{COLUMN}\" stroke=\"#999\" fill=\"none\"/>",
                self.left
            );
            let median = split.quantile(self.measure, 0.5);
            let x = self.left + self.axis.place(median) * COLUMN;
            let _ = writeln!(
                out,
                "<path d=\"M{x:.1} {base:.1}v-{:.1}\" stroke=\"#222\" stroke-dasharray=\"2 2\" \
                 fill=\"none\"/>",
                ROW - 12.0
            );
            let anchor = if self.axis.place(median) > 0.8 { "end" } else { "start" };
            let beside = if anchor == "end" { -4.0 } else { 4.0 };
            small(out, [x + beside, base - ROW + 19.0], anchor, &short(median));
        }
    }

    fn bars(&self, out: &mut String, base: f64, bins: &[f64], colour: &str, opacity: f64) {
        let most = bins.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let width = COLUMN / BINS as f64;
        let mut path = String::new();
        for (bin, share) in bins.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let height = (ROW - 14.0) * share / most;
            let x = self.left + bin as f64 * width;
            let (top, inner) = (base - height, width - 0.6);
            let _ = write!(path, "M{x:.1} {base:.1}V{top:.1}h{inner:.1}V{base:.1}Z");
        }
        let _ = writeln!(out, "<path d=\"{path}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>");
    }
}

/// The table of operators from `top` on; returns where it ends.
fn operators(out: &mut String, splits: &[Statistics], top: f64) -> f64 {
    text(out, [MARGIN, top - 40.0], "start", "Share of graphs (%) in which an operator occurs");
    let names: BTreeSet<&String> = splits.iter().flat_map(|split| split.operators.keys()).collect();
    let mut names: Vec<&String> = names.into_iter().collect();
    let common = |name: &str| splits.last().map_or(0.0, |split| split.share(name));
    names.sort_by(|left, right| common(right).total_cmp(&common(left)));
    let [width, height] = CELL;
    for (column, split) in splits.iter().enumerate() {
        let x = MARGIN + LABELS + (column as f64 + 0.5) * width;
        small(out, [x, top - 8.0], "middle", &split.split);
    }
    for (row, name) in names.iter().enumerate() {
        let y = top + row as f64 * height;
        small(out, [MARGIN + LABELS - 14.0, y + height - 4.5], "end", name);
        for (column, split) in splits.iter().enumerate() {
            let share = split.share(name);
            if share == 0.0 {
                continue;
            }
            let x = MARGIN + LABELS + column as f64 * width;
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{BARS}\" \
                 fill-opacity=\"{:.2}\"/>",
                width - 1.0,
                height - 1.0,
                0.08 + 0.62 * share
            );
            let percent = match 100.0 * share {
                percent if percent < 1.0 => "&lt; 1".to_owned(),
                percent => format!("{percent:.0}"),
            };
            small(out, [x + width / 2.0, y + height - 4.5], "middle", &percent);
        }
    }
    top + names.len() as f64 * height
}

fn text(out: &mut String, [x, y]: [f64; 2], anchor: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn small(out: &mut String, [x, y]: [f64; 2], anchor: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"11\">{text}</text>"
    );
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
