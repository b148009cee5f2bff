//! An outcome as a page: no script, no font, nothing to be fetched.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    evaluate::{Interval, Reliability},
    fill::Network,
    page,
    predictor::ByFilling,
    svg::escape,
};

use super::super::{
    BenchmarkError, DiversityResult, GraphResult, HeldOutSet, MethodResult, NoveltyResult, Outcome,
    PREDICTED, SplitResult,
};

use super::diagram;

/// Graphs in the list of the worst.
const WORST: usize = 6;

impl Outcome {
    /// The result as an HTML page that needs nothing else. `sets` are the graphs that it is of, for
    /// drawings of the worst.
    pub fn to_html(&self, sets: &[HeldOutSet]) -> Result<String, BenchmarkError> {
        let drawings = drawings(self, sets)?;
        let mut out = page::open(&format!("Transfer of {}", self.predictor.name));
        let _ = writeln!(
            out,
            "<p>Weights {}, evaluated as exported, in inference mode, on {} test images of {} \
             classes; corrupted: {} images of each kind and severity. Intervals are 95 % bootstrap \
             intervals over graphs.</p>",
            escape(&self.predictor.weights),
            self.data.images,
            self.data.classes,
            self.data.corrupted_images
        );
        for split in &self.splits {
            write_split(&mut out, split, &drawings);
        }
        if let Some(plain) = &self.plain_cnn {
            let _ = writeln!(
                out,
                "<h2>A plain network</h2><p>Three convolutions without normalisation: {:.2} % \
                 top-1.</p>",
                100.0 * plain.scores.top1
            );
        }
        write_cost(&mut out, self);
        Ok(out + page::CLOSE)
    }
}

/// The worst graphs as SVG, by name; without those that no layout is found for.
fn drawings(
    outcome: &Outcome,
    sets: &[HeldOutSet],
) -> Result<BTreeMap<String, String>, BenchmarkError> {
    let mut drawings = BTreeMap::new();
    for result in outcome.splits.iter().flat_map(worst) {
        let mut graphs = sets.iter().flat_map(|set| &set.graphs);
        let Some(graph) = graphs.find(|graph| graph.name == result.name) else { continue };
        let Network { architecture, registry, .. } = graph.network()?;
        if let Ok(svg) = architecture.to_svg(&ByFilling::new(&architecture, &registry)) {
            drawings.insert(graph.name.clone(), svg);
        }
    }
    Ok(drawings)
}

// Writing to a String cannot fail.
fn write_split(out: &mut String, split: &SplitResult, drawings: &BTreeMap<String, String>) {
    let _ = writeln!(
        out,
        "<h2>{}: {} graphs of ‘{}’</h2>",
        escape(&split.split),
        split.graphs.len(),
        escape(&split.space)
    );
    write_methods(out, split);
    let mut rows: Vec<_> =
        split.methods.iter().map(|method| (method.method.clone(), method.spread)).collect();
    if let Some(training) = &split.training {
        for trained in &training.trained {
            let values = split.graphs.iter().filter_map(|graph| graph.trained.get(&trained.epochs));
            let summary = crate::evaluate::Summary::of(values.copied());
            rows.push((format!("SGD, {} epochs", trained.epochs), summary));
        }
    }
    let _ = writeln!(
        out,
        "{}<p class=\"small\">Whiskers: smallest and largest; boxes: tenth to ninetieth percentile; \
         line: median; dot: mean.</p>",
        diagram::boxes("Top-1 by method", &rows)
    );
    let points: Vec<(f64, f64, String)> = split
        .graphs
        .iter()
        .map(|graph| (graph.parameters as f64, predicted(graph), graph.name.clone()))
        .collect();
    let _ = writeln!(
        out,
        "<h3>Accuracy against parameters</h3>{}",
        diagram::scatter("Top-1 of predicted weights against parameters", &points)
    );
    if let Some(method) = split.method(PREDICTED) {
        write_calibration(out, method);
        write_corruptions(out, method);
    }
    if let Some(novelty) = &split.novelty {
        write_novelty(out, novelty);
    }
    if let Some(diversity) = &split.diversity {
        write_diversity(out, diversity);
    }
    let worst = worst(split);
    let _ = writeln!(
        out,
        "<h3>The worst graphs</h3><div class=\"wide\"><table><tr><th>graph</th><th>top-1 (%)</th>\
         <th>family</th><th>norm</th><th>activation</th><th>parameters</th></tr>"
    );
    for graph in &worst {
        let style = graph.style.as_ref();
        let style = style.map(|style| [&style.family, &style.norm, &style.activation]);
        let [family, norm, activation] =
            style.map_or_else(Default::default, |style| style.map(|part| escape(part)));
        let failure = graph.methods.get(PREDICTED).and_then(|axes| axes.failure.as_deref());
        let figure = match failure {
            None => format!("{:.2}", 100.0 * predicted(graph)),
            Some(why) => escape(why),
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{figure}</td><td>{family}</td><td>{norm}</td><td>{activation}</td>\
             <td>{}</td></tr>",
            escape(&graph.name),
            graph.parameters
        );
    }
    out.push_str("</table></div>\n");
    for graph in worst {
        if let Some(drawing) = drawings.get(&graph.name) {
            let name = escape(&graph.name);
            let _ = writeln!(out, "<details><summary>{name}</summary>{drawing}</details>");
        }
    }
}

/// The graphs whose predicted weights are least accurate, the worst first.
fn worst(split: &SplitResult) -> Vec<&GraphResult> {
    let mut graphs: Vec<&GraphResult> = split.graphs.iter().collect();
    graphs.sort_by(|a, b| predicted(a).total_cmp(&predicted(b)));
    graphs.truncate(WORST);
    graphs
}

fn predicted(graph: &GraphResult) -> f64 {
    graph.methods.get(PREDICTED).map_or(0.0, |axes| axes.scores.top1)
}

fn write_methods(out: &mut String, split: &SplitResult) {
    out.push_str(
        "<div class=\"wide\"><table><tr><th></th><th>top-1 (%)</th><th>cross-entropy</th>\
         <th>Brier</th><th>ECE</th><th>corrupted (%)</th><th>at chance</th><th>unfilled</th>\
         <th>non-finite</th><th>s a graph</th><th>p</th></tr>\n",
    );
    for method in &split.methods {
        let p = split.comparisons.get(&method.method);
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{:.3}</td><td>{:.3}</td><td>{:.3}</td><td>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&method.method),
            percent(&method.top1),
            method.cross_entropy.mean,
            method.brier.mean,
            method.ece.mean,
            method.corrupted.as_ref().map_or("–".to_owned(), percent),
            method.failures.at_chance,
            method.failures.unfilled,
            method.failures.non_finite,
            method.seconds.map_or("–".to_owned(), |seconds| format!("{:.3}", seconds.mean)),
            p.map_or("–".to_owned(), |comparison| format!("{:.4}", comparison.p))
        );
    }
    if let Some(training) = &split.training {
        for trained in &training.trained {
            let _ = writeln!(
                out,
                "<tr><td>SGD, {} epochs ({} graphs)</td><td>{}</td>{}<td>{:.4}</td></tr>",
                trained.epochs,
                trained.comparison.graphs,
                percent(&trained.top1),
                "<td>–</td>".repeat(8),
                trained.comparison.p
            );
        }
    }
    out.push_str(
        "</table></div><p class=\"small\">p: sign-flip permutation test of predicted weights \
         against the row, graph by graph.</p>\n",
    );
    if let Some(training) = &split.training {
        let Interval { mean, low, high } = training.worth;
        let _ = writeln!(
            out,
            "<p>On the {} graphs that were also trained, predicted weights reach {} %, which is \
             {} % of the longest training and worth {mean:.2} [{low:.2}, {high:.2}] epochs of \
             SGD.</p>",
            training.graphs,
            percent(&training.predicted),
            percent(&training.ratio)
        );
    }
}

fn write_calibration(out: &mut String, method: &MethodResult) {
    let points: Vec<(f64, f64, f64)> = method
        .reliability
        .iter()
        .filter(|bin| bin.images > 0)
        .map(|Reliability { images, confidence, correct }| {
            let count = *images as f64;
            (confidence / count, *correct as f64 / count, count)
        })
        .collect();
    let _ = writeln!(
        out,
        "<h3>Calibration</h3>{}<p class=\"small\">Images of all graphs by confidence; the area of \
         a dot is their number.</p>",
        diagram::calibration("Share of right answers by confidence", &points)
    );
}

fn write_corruptions(out: &mut String, method: &MethodResult) {
    if method.corruptions.is_empty() {
        return;
    }
    out.push_str(
        "<h3>Corruptions</h3><div class=\"wide\"><table><tr><th>top-1 (%) at severity</th>\
         <th>1</th><th>2</th><th>3</th><th>4</th><th>5</th></tr>\n",
    );
    for (kind, accuracies) in &method.corruptions {
        let cells: String =
            accuracies.iter().map(|accuracy| format!("<td>{:.2}</td>", 100.0 * accuracy)).collect();
        let _ = writeln!(out, "<tr><td>{kind}</td>{cells}</tr>");
    }
    out.push_str("</table></div>\n");
}

fn write_novelty(out: &mut String, novelty: &NoveltyResult) {
    let _ = writeln!(
        out,
        "<h3>New or copied</h3><p>Beside trained networks of {} graphs: {} of mistakes are the same, \
         weights are {:.2} of their norm away, {} networks are copies. {} of {} are more accurate \
         than the trained network with noise that makes as many of the same mistakes.</p>",
        novelty.graphs,
        percent(&novelty.overlap),
        novelty.distance.mean,
        novelty.copies,
        novelty.above_noise[0],
        novelty.above_noise[1]
    );
}

fn write_diversity(out: &mut String, diversity: &DiversityResult) {
    let _ = writeln!(
        out,
        "<h3>Diversity</h3><p>Two samples of the same graph, over {} graphs: {} % of mistakes are the \
         same; one is right and the other wrong on {} % of images.</p>",
        diversity.graphs,
        percent(&diversity.overlap),
        percent(&diversity.disagreement)
    );
}

fn write_cost(out: &mut String, outcome: &Outcome) {
    let Outcome { cost, guard, .. } = outcome;
    let memory = cost
        .peak_memory_bytes
        .map_or("unknown".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
    let _ = writeln!(
        out,
        "<h2>Cost</h2><p>The benchmark took {:.0} s on {} threads, peak memory {memory}; predicting \
         took no gradient evaluations.</p>\n\
         <h2>What was refused</h2><p>{} graphs, known by {}; {} images, known by {}.</p>\n\
         <h2>How to reproduce</h2><p><code>{}</code></p>\n\
         <p class=\"small\">{}, seed {}; predictor <code>{}</code>, SHA-256 <code>{}</code>; test \
         images SHA-256 <code>{}</code>; schema {}.</p>",
        cost.seconds,
        cost.threads,
        guard.graphs_refused.len(),
        escape(&guard.graphs),
        guard.images_refused,
        escape(&guard.images),
        escape(&outcome.command),
        escape(&outcome.tool),
        outcome.seed,
        escape(&outcome.predictor.name),
        escape(&outcome.predictor.hash),
        escape(&outcome.data.hash),
        outcome.schema
    );
}

fn percent(interval: &Interval) -> String {
    let [mean, low, high] = [interval.mean, interval.low, interval.high].map(|share| 100.0 * share);
    format!("{mean:.2} [{low:.2}, {high:.2}]")
}
