//! What an audit found, as a page.

use std::fmt::Write;

use crate::{
    evaluate::Novelty,
    page,
    svg::{Anchor, Axis, Drawing, escape},
};

use super::{CopyReport, MembershipReport};

impl CopyReport {
    /// The report as an HTML page that needs nothing else. `file` is the network that was audited.
    pub fn to_html(&self, file: &str) -> String {
        let Self { nearest, threshold, false_positives, .. } = self;
        let verdict = if self.copy { "is a copy" } else { "is no copy" };
        let mut out = page::open(&format!("{file} {verdict}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<p>It was compared with {} networks of its graph; {} files of other graphs or without weights were \
             passed over. The nearest one is <code>{}</code>, at a distance of {:.3}, {:.3} once channels are in one \
             order. Networks nearer than {threshold:.3} are copies.</p>",
            self.references,
            self.passed_over,
            escape(&nearest.file.display().to_string()),
            nearest.before,
            nearest.after,
        );
        let _ = writeln!(
            out,
            "<h2>Weights</h2>{}<p>Of {} pairs of networks that do not descend from each other {} are nearer than one \
             half: with 95 % confidence at most {:.1} % of independent networks are.</p>",
            self.distances(),
            false_positives.of,
            false_positives.hits,
            100.0 * false_positives.high,
        );
        if let Some(mistakes) = &self.mistakes {
            write_mistakes(&mut out, mistakes);
        }
        out + page::CLOSE
    }

    /// Distances on a line: independent pairs as dots, the network as the large one, the threshold as a line.
    fn distances(&self) -> String {
        let own = self.nearest.after;
        let most = self.independent.iter().copied().fold(own.max(self.threshold), f64::max);
        let axis = Axis { from: 0.0, to: 1.05 * most, pixels: [20.0, 620.0], logarithmic: false };
        let mut out = Drawing::default();
        out.title("Distances of weights");
        for tick in axis.ticks() {
            let x = axis.at(tick);
            out.line([x, 14.0], [x, 60.0], &[("class", "grid")]);
            out.text([x, 75.0], Anchor::Middle, &format!("{tick:.1}"), &[]);
        }
        let x = axis.at(self.threshold);
        out.line([x, 14.0], [x, 60.0], &[("class", "diagonal")]);
        let mut dot = |distance: f64, radius, class, name: &str| {
            out.with_tip(&format!("{name}: {distance:.3}"), |out| {
                out.circle([axis.at(distance), 37.0], radius, &[("class", class)]);
            });
        };
        self.independent.iter().for_each(|&it| dot(it, 4.0, "dot", "independent networks"));
        dot(own, 7.0, "mean", "this network");
        let label = "distance of weights, channels in one order";
        out.text([320.0, 94.0], Anchor::Middle, label, &[]);
        out.document([640.0, 104.0], &[("class", "plot"), ("role", "img")])
    }
}

fn write_mistakes(out: &mut String, mistakes: &Novelty) {
    let _ = writeln!(
        out,
        "<h2>Mistakes</h2><p>{:.3} of the mistakes on test images are shared with the nearest network. Copies of that \
         one with noise share:</p><div class=\"wide\"><table><tr><th>noise</th><th>top-1 (%)</th>\
         <th>shared mistakes</th></tr>",
        mistakes.overlap
    );
    for point in &mistakes.curve {
        let _ = writeln!(
            out,
            "<tr><td>{:.0} %</td><td>{:.2}</td><td>{:.3}</td></tr>",
            100.0 * point.noise,
            100.0 * point.top1,
            point.overlap
        );
    }
    out.push_str("</table></div>\n");
}

impl MembershipReport {
    /// The report as an HTML page that needs nothing else. `predictor` is the name of the one that was audited.
    pub fn to_html(&self, predictor: &str) -> String {
        let Self { membership, recovery } = self;
        let auc = membership.by_loss;
        let mut out = page::open(&format!("What {predictor} gives away of its training images"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<h2>By the networks that it writes</h2>\
             <p>{} networks, {} images that it learned from and as many others. Told apart by loss, the area under \
             the curve is {:.3} ({:.3} to {:.3}); 0.5 is chance, 1 tells all of them apart.</p>\
             <table><tr><th>images</th><th>top-1 (%)</th></tr>\
             <tr><td>learned from</td><td>{:.2}</td></tr><tr><td>others</td><td>{:.2}</td></tr></table>",
            membership.networks,
            membership.images,
            auc.auc,
            auc.low,
            auc.high,
            100.0 * membership.top1_members,
            100.0 * membership.top1_others,
        );
        let _ = writeln!(
            out,
            "<h2>By the images that it carries</h2>\
             <p>{} of {} are more like an image that it learned from than like any other; half is chance. The largest \
             correlation with an image that it learned from is {:.3}, with another one {:.3}; 1 is the image \
             itself.</p>",
            recovery.nearer_to_members,
            recovery.carried,
            recovery.with_members,
            recovery.with_others,
        );
        out + page::CLOSE
    }
}
