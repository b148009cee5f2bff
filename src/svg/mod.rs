//! Drawings as SVG that needs nothing else: no script, no font, no style sheet. Coordinates are
//! written with one decimal; texts and values of attributes are escaped.

mod axis;
#[cfg(test)]
mod tests;

pub(crate) use axis::Axis;

/// Names and values of attributes.
pub(crate) type Attributes<'a> = &'a [(&'a str, &'a str)];

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Elements in the order in which they are painted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drawing {
    elements: String,
}

impl Drawing {
    /// The document of that width and height.
    pub fn document(self, size: [impl Into<f64>; 2], style: Attributes) -> String {
        let [width, height] = size.map(number);
        let view = format!("0 0 {width} {height}");
        let mut document = Self::default();
        let namespace = ("xmlns", "http://www.w3.org/2000/svg");
        document.start("svg", &[namespace, ("viewBox", &view)], style);
        document.elements.push_str(">\n");
        document.elements.push_str(&self.elements);
        document.elements.push_str("</svg>\n");
        document.elements
    }

    /// Fills the whole document.
    pub fn background(&mut self, colour: &str) {
        self.element("rect", &[("width", "100%"), ("height", "100%"), ("fill", colour)], &[]);
    }

    /// The name of the document.
    pub fn title(&mut self, text: &str) {
        self.content("title", &[], &[], text);
    }

    /// A straight line.
    pub fn line(&mut self, from: [impl Into<f64>; 2], to: [impl Into<f64>; 2], style: Attributes) {
        let ([x1, y1], [x2, y2]) = (from.map(number), to.map(number));
        self.element("line", &[("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)], style);
    }

    /// A rectangle by its upper left corner.
    pub fn rect(&mut self, at: [impl Into<f64>; 2], size: [impl Into<f64>; 2], style: Attributes) {
        let ([x, y], [width, height]) = (at.map(number), size.map(number));
        let place: Attributes = &[("x", &x), ("y", &y), ("width", &width), ("height", &height)];
        self.element("rect", place, style);
    }

    /// A circle by its centre.
    pub fn circle(&mut self, at: [impl Into<f64>; 2], radius: f64, style: Attributes) {
        let ([x, y], radius) = (at.map(number), number(radius));
        self.element("circle", &[("cx", &x), ("cy", &y), ("r", &radius)], style);
    }

    /// A path, as its attribute `d` describes it.
    pub fn path(&mut self, description: &str, style: Attributes) {
        self.element("path", &[("d", description)], style);
    }

    /// Straight lines from point to point.
    pub fn polyline(&mut self, points: impl IntoIterator<Item = [f64; 2]>, style: Attributes) {
        let points: Vec<String> =
            points.into_iter().map(|point| point.map(number).join(",")).collect();
        self.element("polyline", &[("points", &points.join(" "))], style);
    }

    /// A line of text; its place is on the base line.
    pub fn text(&mut self, at: [impl Into<f64>; 2], anchor: Anchor, text: &str, style: Attributes) {
        let [x, y] = at.map(number);
        let place: Attributes = &[("x", &x), ("y", &y), ("text-anchor", anchor.name())];
        self.content("text", place, style, text);
    }

    /// A line of text that reads upwards, with its middle at a place.
    pub fn upward_text(&mut self, at: [impl Into<f64>; 2], text: &str) {
        let [x, y] = at.map(number);
        let turned = format!("translate({x} {y}) rotate(-90)");
        let place: Attributes = &[("transform", &turned), ("text-anchor", Anchor::Middle.name())];
        self.content("text", place, &[], text);
    }

    /// Elements that share a tool tip.
    pub fn with_tip(&mut self, tip: &str, draw: impl FnOnce(&mut Self)) {
        self.group("g", &[], |group| {
            group.title(tip);
            draw(group);
        });
    }

    /// Elements inside of another.
    pub fn group(&mut self, name: &str, attributes: Attributes, draw: impl FnOnce(&mut Self)) {
        self.start(name, attributes, &[]);
        self.elements.push('>');
        draw(self);
        self.end(name);
    }

    /// Appends another drawing.
    pub fn append(&mut self, other: &Self) {
        self.elements.push_str(&other.elements);
    }

    fn element(&mut self, name: &str, place: Attributes, style: Attributes) {
        self.start(name, place, style);
        self.elements.push_str("/>\n");
    }

    fn content(&mut self, name: &str, place: Attributes, style: Attributes, text: &str) {
        self.start(name, place, style);
        self.elements.push('>');
        self.elements.push_str(&escape(text));
        self.end(name);
    }

    fn start(&mut self, name: &str, place: Attributes, style: Attributes) {
        self.elements.push('<');
        self.elements.push_str(name);
        for (attribute, value) in place.iter().chain(style) {
            self.elements.extend([" ", attribute, "=\"", &escape(value), "\""]);
        }
    }

    fn end(&mut self, name: &str) {
        self.elements.extend(["</", name, ">\n"]);
    }
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A coordinate with at most one decimal.
fn number(value: impl Into<f64>) -> String {
    // Without the sign of a negative zero.
    format!("{}", (value.into() * 10.0).round() / 10.0 + 0.0)
}

/// Text as XML and HTML write it; what XML forbids becomes a space.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                out.push(' ');
            }
            letter => out.push(letter),
        }
    }
    out
}
