//! Accuracy along the way from one parent to the other, as SVG.

use crate::svg::{Anchor, Axis, Drawing};

use super::{Curve, Point};

const SIZE: [f64; 2] = [640.0, 400.0];
const LEFT: f64 = 70.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 300.0;
const COLOURS: [&str; 3] = ["#1f4e9e", "#c9510f", "#9a9a9a"];
const GRID: [(&str, &str); 1] = [("stroke", "#e5e5e5")];

/// Draws ways between the same parents; `files` are the names of these.
pub fn diagram(curves: &[Curve], files: [&str; 2]) -> String {
    let columns = Axis { from: 0.0, to: 1.0, pixels: [LEFT, RIGHT], logarithmic: false };
    let rows = Axis { from: 0.0, to: 100.0, pixels: [BOTTOM, TOP], logarithmic: false };
    let mut out = Drawing::default();
    out.title("Accuracy between two networks");
    out.background("white");
    for tick in columns.ticks() {
        let x = columns.at(tick);
        out.line([x, TOP], [x, BOTTOM], &GRID);
        out.text([x, BOTTOM + 18.0], Anchor::Middle, &format!("{tick:.1}"), &[]);
    }
    for tick in rows.ticks() {
        let y = rows.at(tick);
        out.line([LEFT, y], [RIGHT, y], &GRID);
        out.text([LEFT - 8.0, y + 4.0], Anchor::End, &format!("{tick}"), &[]);
    }
    let [first, second] = files;
    let label = format!("share of {second} beside {first}");
    out.text([(LEFT + RIGHT) / 2.0, BOTTOM + 38.0], Anchor::Middle, &label, &[]);
    out.upward_text([LEFT - 44.0, (TOP + BOTTOM) / 2.0], "top-1 (%)");
    for (number, curve) in curves.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let at = |point: &Point| [columns.at(point.alpha), rows.at(100.0 * point.top1)];
        let line = [("fill", "none"), ("stroke", colour), ("stroke-width", "2")];
        out.polyline(curve.points.iter().map(at), &line);
        for point in &curve.points {
            let tip = format!("{}, {:.2}: {:.1} %", curve.name, point.alpha, 100.0 * point.top1);
            out.with_tip(&tip, |out| out.circle(at(point), 3.5, &[("fill", colour)]));
        }
        let y = BOTTOM + 60.0 + 17.0 * number as f64;
        out.line([LEFT, y - 4.0], [LEFT + 24.0, y - 4.0], &line);
        let label = format!("{} (barrier {:.1} points)", curve.name, 100.0 * curve.barrier);
        out.text([LEFT + 32.0, y], Anchor::Start, &label, &[]);
    }
    out.document(SIZE, &[("font-family", "sans-serif"), ("font-size", "13"), ("fill", "#222")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_has_its_line_and_its_name() {
        let points = vec![Point { alpha: 0.0, top1: 0.5 }, Point { alpha: 1.0, top1: 0.75 }];
        let curves = [Curve::new("aligned", points.clone()), Curve::new("as they are", points)];
        let svg = diagram(&curves, ["a.onnx", "<b>.onnx"]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(
            svg.contains("aligned (barrier 0 points)")
                || svg.contains("aligned (barrier 0.0 points)")
        );
        assert!(svg.contains("&lt;b&gt;.onnx") && !svg.contains("NaN"));
        // Half and three quarters of the way up.
        assert!(svg.contains("70,160 620,90"), "{svg}");
    }
}
