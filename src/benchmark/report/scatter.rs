//! A scatter plot as an SVG that stands by itself.

use crate::svg::{self, Anchor, Drawing};

/// One graph.
#[derive(Clone, Debug)]
pub struct Point {
    /// Across.
    pub x: f64,
    /// Up.
    pub y: f64,
    /// Whether it is on the front that is drawn as a line.
    pub front: bool,
    /// Shown when it is pointed at.
    pub label: String,
}

/// A scatter plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Above it.
    pub title: &'static str,
    /// Name of the axis across.
    pub x: &'static str,
    /// Name of the axis up.
    pub y: &'static str,
    /// In the order in which a front joins them; those that are not finite are left out.
    pub points: Vec<Point>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 56.0;
const FRONT: &str = "#d62728";

/// Parts that grid lines divide a diagram into.
const PARTS: u32 = 5;

impl Plot {
    /// The plot as an SVG.
    pub fn svg(&self) -> String {
        let finite =
            || self.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite());
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let across = axis(finite().map(|point| point.x), [LEFT, right]);
        let up = axis(finite().map(|point| point.y), [bottom, TOP]);
        let mut out = Drawing::default();
        out.background("#ffffff");
        out.text([LEFT, 22.0], Anchor::Start, self.title, &[("font-size", "15")]);
        let grid = [("stroke", "#dddddd")];
        for part in 0..=PARTS {
            let share = f64::from(part) / f64::from(PARTS);
            let value = |axis: &svg::Axis| axis.from + (axis.to - axis.from) * share;
            let (x, y) = (across.at(value(&across)), up.at(value(&up)));
            out.line([x, TOP], [x, bottom], &grid);
            out.line([LEFT, y], [right, y], &grid);
            let label = |axis| format!("{:.2}", value(axis));
            out.text([x, bottom + 18.0], Anchor::Middle, &label(&across), &[]);
            out.text([LEFT - 8.0, y + 4.0], Anchor::End, &label(&up), &[]);
        }
        let below = [(LEFT + right) / 2.0, HEIGHT - 14.0];
        out.text(below, Anchor::Middle, self.x, &[]);
        out.upward_text([16.0, (TOP + bottom) / 2.0], self.y);
        let at = |point: &Point| [across.at(point.x), up.at(point.y)];
        let front = finite().filter(|point| point.front).map(at);
        out.polyline(front, &[("fill", "none"), ("stroke", FRONT)]);
        for point in finite() {
            let colour = if point.front { FRONT } else { "#2b6fd6" };
            let style = [("fill", colour), ("fill-opacity", "0.6")];
            out.with_tip(&point.label, |out| out.circle(at(point), 2.5, &style));
        }
        out.document([WIDTH, HEIGHT], &[("font-family", "sans-serif"), ("font-size", "12")])
    }
}

/// From the smallest to the largest value, with some room if they are the same.
fn axis(values: impl Iterator<Item = f64> + Clone, pixels: [f64; 2]) -> svg::Axis {
    let [from, to] = range(values);
    svg::Axis { from, to, pixels, logarithmic: false }
}

fn range(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    match low < high {
        true => [low, high],
        false if low.is_finite() => [low - 0.5, low + 0.5],
        false => [0.0, 1.0],
    }
}
