use super::*;

#[test]
fn a_document_holds_its_elements_in_order() {
    let mut drawing = Drawing::default();
    drawing.background("#fff");
    drawing.with_tip("a < b", |group| {
        group.circle([1.04f32, -0.01], 2.5, &[("class", "dot")]);
        group.text([3.0, 4.25], Anchor::End, "\"x\" & \u{7}y", &[]);
    });
    drawing.polyline([[0.0, 1.0], [2.0, 3.96]], &[("fill", "none")]);
    let expected = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 10 20.5\" role=\"img\">\n\
        <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
        <g><title>a &lt; b</title>\n\
        <circle cx=\"1\" cy=\"0\" r=\"2.5\" class=\"dot\"/>\n\
        <text x=\"3\" y=\"4.3\" text-anchor=\"end\">&quot;x&quot; &amp;  y</text>\n\
        </g>\n\
        <polyline points=\"0,1 2,4\" fill=\"none\"/>\n\
        </svg>\n";
    assert_eq!(drawing.document([10.0, 20.5], &[("role", "img")]), expected);
}
