//! A scatter plot as an SVG that stands by itself.

use std::fmt::Write;

use super::escape::escape;

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

impl Plot {
    /// The plot as an SVG.
    pub fn svg(&self) -> String {
        let finite =
            || self.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite());
        let [x_range, y_range] = [range(finite().map(|it| it.x)), range(finite().map(|it| it.y))];
        let place = |[low, high]: [f64; 2], value: f64| (value - low) / (high - low);
        let x = |value| LEFT + place(x_range, value) * (WIDTH - LEFT - RIGHT);
        let y = |value| HEIGHT - BOTTOM - place(y_range, value) * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
            escape(self.title)
        );
        // Writing to a String cannot fail.
        for step in 0..=5 {
            let at = |[low, high]: [f64; 2]| low + (high - low) * f64::from(step) / 5.0;
            let (across, up) = (at(x_range), at(y_range));
            let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
            let _ = writeln!(
                svg,
                "<path d=\"M{0:.1} {TOP}V{bottom}M{LEFT} {1:.1}H{right}\" stroke=\"#dddddd\"/>\
                 <text x=\"{0:.1}\" y=\"{2}\" text-anchor=\"middle\">{across:.2}</text>\
                 <text x=\"{3}\" y=\"{4:.1}\" text-anchor=\"end\">{up:.2}</text>",
                x(across),
                y(up),
                bottom + 18.0,
                LEFT - 8.0,
                y(up) + 4.0,
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (WIDTH + LEFT - RIGHT) / 2.0,
            HEIGHT - 14.0,
            escape(self.x),
            (HEIGHT + TOP - BOTTOM) / 2.0,
            escape(self.y),
        );
        let front: Vec<String> = finite()
            .filter(|point| point.front)
            .map(|point| format!("{:.1},{:.1}", x(point.x), y(point.y)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#d62728\"/>",
            front.join(" ")
        );
        for point in finite() {
            let colour = if point.front { "#d62728" } else { "#2b6fd6" };
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{colour}\" \
                 fill-opacity=\"0.6\"><title>{}</title></circle>",
                x(point.x),
                y(point.y),
                escape(&point.label)
            );
        }
        svg + "</svg>\n"
    }
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
