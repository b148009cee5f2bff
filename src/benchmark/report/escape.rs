//! Text in HTML and SVG.

/// The text with the characters that markup is made of spelled out.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
