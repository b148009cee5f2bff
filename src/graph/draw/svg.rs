//! The graph as an SVG.

use std::fmt::Write;

use petgraph::visit::{EdgeRef, IntoEdgeReferences};

use super::{
    TooTangled,
    layout::{Layout, Stop, layout},
    shape_text,
};
use crate::{
    graph::{Architecture, Node, Operand, ParameterId, Role},
    svg::{Anchor, Drawing},
};

/// A colour and what it says, for the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink {
    /// What it says.
    pub name: &'static str,
    /// A colour of CSS.
    pub colour: &'static str,
}

/// The colours of a drawing.
pub trait Paint {
    /// The colour of a node; `None` of one that is not supported.
    fn node(&self, node: &Node) -> Option<Ink>;

    /// The colour of a parameter, wherever it is read.
    fn parameter(&self, parameter: ParameterId) -> Ink;
}

/// What nodes without support are drawn in.
const UNSUPPORTED: Ink = Ink { name: "not supported", colour: "#d62728" };
const MARGIN: f32 = 24.0;
const CHIP: f32 = 17.0;
const LINE: f32 = 14.0;
/// Mean width of a letter, and of a bold one.
const LETTER: f32 = 6.3;
const BOLD: f32 = 7.2;
const LEGEND: f32 = 170.0;

/// A box of the drawing.
struct Vertex {
    lines: [String; 2],
    title: String,
    ink: Option<Ink>,
    parameters: Vec<ParameterId>,
}

impl Vertex {
    fn size(&self) -> [f32; 2] {
        let [first, second] = self.lines.each_ref().map(|line| line.chars().count() as f32);
        let text = (first * BOLD).max(second * LETTER);
        let chips = self.parameters.len() as f32;
        let row = if self.parameters.is_empty() { 0.0 } else { CHIP + 2.0 };
        let width = (text + 16.0).max(chips * (CHIP + 2.0) + 10.0);
        [width.max(64.0), 2.0 * LINE + 8.0 + row]
    }
}

impl Architecture {
    /// An SVG: operators with their output shapes in layers from the inputs down, a chip for every
    /// parameter an operator reads, and a legend of the colours that occur. Names and shapes of
    /// tensors are tool tips.
    pub fn to_svg(&self, paint: &dyn Paint) -> Result<String, TooTangled> {
        let (vertices, edges) = self.vertices(paint);
        let sizes: Vec<[f32; 2]> = vertices.iter().map(Vertex::size).collect();
        let Layout { places, routes, size: [width, height] } = layout(&sizes, &edges)?;
        let mut inks: Vec<Ink> = Vec::new();
        let mut graph = Drawing::default();
        for route in &routes {
            draw_route(&mut graph, route);
        }
        for ((vertex, place), size) in vertices.iter().zip(&places).zip(&sizes) {
            self.draw_vertex(&mut graph, vertex, *place, *size, paint);
            let used = vertex.ink.into_iter();
            for ink in used.chain(vertex.parameters.iter().map(|&id| paint.parameter(id))) {
                if !inks.contains(&ink) {
                    inks.push(ink);
                }
            }
        }
        inks.sort_by_key(|ink| ink.name);
        let columns = (((width + 2.0 * MARGIN) / LEGEND) as usize).clamp(1, inks.len().max(1));
        let rows = inks.len().div_ceil(columns);
        let legend = rows as f32 * 20.0 + MARGIN;
        let total = [
            (width + 2.0 * MARGIN).max(columns as f32 * LEGEND + MARGIN).round(),
            (height + 2.0 * MARGIN + legend).round(),
        ];
        let mut out = Drawing::default();
        out.title(&self.name);
        draw_tip(&mut out);
        out.background("#ffffff");
        for (index, ink) in inks.iter().enumerate() {
            let x = MARGIN + (index % columns) as f32 * LEGEND;
            let y = 0.6 * MARGIN + (index / columns) as f32 * 20.0;
            out.rect([x, y], [12.0, 12.0], &[("rx", "2"), ("fill", ink.colour)]);
            out.text([x + 18.0, y + 10.0], Anchor::Start, ink.name, &[]);
        }
        let moved = format!("translate({MARGIN} {})", MARGIN + legend);
        out.group("g", &[("transform", &moved)], |out| out.append(&graph));
        let [width, height] = total.map(|length| length.to_string());
        let style = [
            ("width", width.as_str()),
            ("height", height.as_str()),
            ("font-family", "Helvetica, Arial, sans-serif"),
            ("font-size", "11"),
        ];
        Ok(out.document(total, &style))
    }

    /// Inputs, operators in topological order, outputs; and the edges between them.
    fn vertices(&self, paint: &dyn Paint) -> (Vec<Vertex>, Vec<[usize; 2]>) {
        let plain = |name: &str, shape: Option<&[usize]>| Vertex {
            lines: [name.to_owned(), shape_text(shape)],
            title: name.to_owned(),
            ink: None,
            parameters: Vec::new(),
        };
        let inputs = self.inputs.iter();
        let mut vertices: Vec<Vertex> =
            inputs.map(|input| plain(&input.name, input.shape.as_deref())).collect();
        let mut number = vec![0; self.dag.node_count()];
        let mut edges = Vec::new();
        for &index in &self.order {
            let node = &self.dag[index];
            number[index.index()] = vertices.len();
            let mut parameters = Vec::new();
            for operand in &node.inputs {
                match *operand {
                    Operand::Parameter(id) => parameters.push(id),
                    Operand::Input(input) => edges.push([input, vertices.len()]),
                    _ => {}
                }
            }
            let shape = node.outputs.first().and_then(|fact| fact.shape.as_deref());
            vertices.push(Vertex {
                lines: [node.op_type.clone(), shape_text(shape)],
                title: self.describe(index),
                ink: Some(paint.node(node).unwrap_or(UNSUPPORTED)),
                parameters,
            });
        }
        for edge in self.dag.edge_references() {
            edges.push([edge.source(), edge.target()].map(|node| number[node.index()]));
        }
        for (name, operand) in &self.outputs {
            let from = match *operand {
                Operand::Node { node, .. } => Some(number[node.index()]),
                Operand::Input(input) => Some(input),
                _ => None,
            };
            edges.extend(from.map(|from| [from, vertices.len()]));
            let fact = self.fact(*operand);
            vertices.push(plain(name, fact.as_ref().and_then(|fact| fact.shape.as_deref())));
        }
        edges.sort_unstable();
        edges.dedup();
        (vertices, edges)
    }

    fn draw_vertex(
        &self,
        out: &mut Drawing,
        vertex: &Vertex,
        [x, y]: [f32; 2],
        size: [f32; 2],
        paint: &dyn Paint,
    ) {
        let (fill, stroke) = match vertex.ink {
            Some(UNSUPPORTED) => ("#fdecea", UNSUPPORTED.colour),
            Some(ink) => ("#ffffff", ink.colour),
            None => ("#eeeeee", "#999999"),
        };
        let middle = x + 0.5 * size[0];
        out.with_tip(&vertex.title, |out| {
            let style = [("rx", "5"), ("fill", fill), ("stroke", stroke), ("stroke-width", "1.6")];
            out.rect([x, y], size, &style);
            let [first, second] = &vertex.lines;
            let bold = [("font-weight", "600")];
            out.text([middle, y + LINE], Anchor::Middle, first, &bold);
            out.text([middle, y + 2.0 * LINE], Anchor::Middle, second, &[("fill", "#555")]);
        });
        let row = vertex.parameters.len() as f32 * (CHIP + 2.0) - 2.0;
        for (position, &id) in vertex.parameters.iter().enumerate() {
            let left = middle - 0.5 * row + position as f32 * (CHIP + 2.0);
            let up = y + 2.0 * LINE + 5.0;
            let parameter = &self.parameters[id.0];
            let ink = paint.parameter(id);
            let shape = shape_text(parameter.shape.as_deref());
            out.with_tip(&format!("{}: {shape}, {}", parameter.name, ink.name), |out| {
                out.rect([left, up], [CHIP; 2], &[("rx", "3"), ("fill", ink.colour)]);
                let at = [left + 0.5 * CHIP, up + 12.5];
                let white = [("fill", "#ffffff")];
                out.text(at, Anchor::Middle, letter(parameter.role()), &white);
            });
        }
    }
}

/// A letter for a role, as papers write it.
fn letter(role: Option<Role>) -> &'static str {
    match role {
        None => "?",
        Some(Role::Weight) => "W",
        Some(Role::Bias) => "b",
        Some(Role::Gain) => "γ",
        Some(Role::Shift) => "β",
        Some(Role::RunningMean) => "μ",
        Some(Role::RunningVariance) => "σ²",
        Some(Role::Slope) => "a",
        Some(Role::Free) => "θ",
    }
}

/// Defines the tip of arrows.
fn draw_tip(out: &mut Drawing) {
    let marker = [
        ("id", "tip"),
        ("viewBox", "0 0 8 8"),
        ("refX", "8"),
        ("refY", "4"),
        ("markerWidth", "6"),
        ("markerHeight", "6"),
        ("orient", "auto"),
    ];
    out.group("defs", &[], |out| {
        out.group("marker", &marker, |out| out.path("M0 0L8 4L0 8z", &[("fill", "#777")]));
    });
}

fn draw_route(out: &mut Drawing, route: &[Stop]) {
    let mut path = String::new();
    let mut before = [0.0; 2];
    for (index, &Stop { at: [x, y], straight }) in route.iter().enumerate() {
        let middle = 0.5 * (before[1] + y);
        // Writing to a String cannot fail.
        let _ = match (index, straight) {
            (0, _) => write!(path, "M{x:.1} {y:.1}"),
            (_, true) => write!(path, "L{x:.1} {y:.1}"),
            (_, false) => {
                write!(path, "C{:.1} {middle:.1} {x:.1} {middle:.1} {x:.1} {y:.1}", before[0])
            }
        };
        before = [x, y];
    }
    let style = [
        ("fill", "none"),
        ("stroke", "#777"),
        ("stroke-linejoin", "round"),
        ("marker-end", "url(#tip)"),
    ];
    out.path(&path, &style);
}
