//! The graph as a picture: Graphviz DOT for tools, and an SVG that stands by itself.

mod dot;
mod layout;
mod svg;

pub use layout::TooTangled;
pub use svg::{Ink, Paint};

fn shape_text(shape: Option<&[usize]>) -> String {
    match shape {
        None => "?".to_owned(),
        Some([]) => "a number".to_owned(),
        Some(shape) => shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × "),
    }
}
