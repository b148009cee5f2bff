//! An adaptation benchmark as a page: no script, no font, nothing to be fetched.

use std::{collections::BTreeMap, fmt::Write};

use crate::{page, svg::escape};

use super::{
    super::{AdaptationOutcome, Method},
    diagram,
};

impl AdaptationOutcome {
    /// The result as an HTML page that needs nothing else.
    pub fn to_html(&self) -> String {
        let mut out = page::open(&format!("{} on labelled images", self.predictor.name));
        let _ = writeln!(
            out,
            "<p>Accuracy on test images; means over graphs, data \
             sets and seeds. Seconds are those of {} threads.</p>",
            self.threads
        );
        self.write_curves(&mut out);
        self.write_means(&mut out);
        self.write_epochs(&mut out);
        self.write_data(&mut out);
        let _ = writeln!(out, "<p class=\"small\"><code>{}</code></p>", escape(&self.command));
        out + page::CLOSE
    }

    /// Labelled images that stand for a number that was asked for.
    fn typical(&self, images: usize) -> f64 {
        let all = self.data.iter().map(|data| data.training as f64);
        match images {
            0 => all.clone().sum::<f64>() / all.count().max(1) as f64,
            images => images as f64,
        }
    }

    fn write_curves(&self, out: &mut String) {
        let summaries = self.summaries();
        let curve = |method: Method| {
            let of = summaries.iter().filter(|it| it.method == method);
            let points: Vec<(f64, f64)> =
                of.map(|it| (self.typical(it.images), it.top1.mean)).collect();
            (!points.is_empty()).then(|| (method.title(), points))
        };
        let curves: Vec<_> = Method::ALL.into_iter().filter_map(curve).collect();
        out.push_str(&diagram::curves("Accuracy by labelled images", "labelled images", &curves));
    }

    // Writing to a String cannot fail.
    fn write_means(&self, out: &mut String) {
        out.push_str(
            "<h2>Means</h2><div class=\"wide\"><table><tr><th>method</th><th>images</th>\
             <th>top-1 %</th><th>worst</th><th>± seeds</th><th>seconds</th><th>gradients</th></tr>",
        );
        for it in self.summaries() {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{:.1}</td><td>{:.1}</td><td>{:.1}</td>\
                 <td>{:.1}</td><td>{:.0}</td></tr>",
                it.method.title(),
                it.images_title(),
                100.0 * it.top1.mean,
                100.0 * it.top1.min,
                100.0 * it.seed_deviation,
                it.seconds,
                it.image_gradients
            );
        }
        out.push_str("</table></div>\n");
    }

    /// Means over everything that was trained for all epochs on the most images.
    fn write_epochs(&self, out: &mut String) {
        let mut curves = Vec::new();
        for method in [Method::TrainedLong, Method::FineTuned] {
            let of_method = || self.results.iter().filter(|it| it.method == method);
            let mut sums: BTreeMap<usize, [f64; 2]> = BTreeMap::new();
            for (epoch, top1) in of_method().flat_map(|it| it.epochs.iter().enumerate()) {
                let [sum, count] = sums.entry(epoch).or_default();
                *sum += top1;
                *count += 1.0;
            }
            let points: Vec<(f64, f64)> = sums
                .into_iter()
                .skip(1)
                .map(|(epoch, [sum, count])| (epoch as f64, sum / count))
                .collect();
            if !points.is_empty() {
                curves.push((method.title(), points));
            }
        }
        if !curves.is_empty() {
            out.push_str("<h2>Epoch by epoch</h2>\n");
            out.push_str(&diagram::curves("Accuracy by epochs", "epochs", &curves));
        }
    }

    fn write_data(&self, out: &mut String) {
        out.push_str(
            "<h2>Data sets</h2><div class=\"wide\"><table><tr><th>data set</th><th>classes</th>\
             <th>training images</th><th>test images</th></tr>",
        );
        for data in &self.data {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&data.name),
                data.classes,
                data.training,
                data.test
            );
        }
        out.push_str("</table></div>\n");
        for (pair, why) in &self.left_out {
            let _ = writeln!(out, "<p>Left out: {}: {}</p>", escape(pair), escape(why));
        }
    }
}
