//! Measures what to expect of a CIFAR-10 predictor's weights, for `outlook.json` in its folder. The data set
//! is the one that the predictor was trained on; its validation images count. A run that was cut off goes on
//! where it stopped, by way of the file beside OUT that ends in `.jsonl`.
//! `cargo run --release --example measure_outlook cifar10 ../shared/data/cifar10_jpeg.tar.xz runs/outlook.json`

use std::{env, error::Error, path::Path};

use weightsmith::{
    benchmark::{HeldOutSet, OutlookSurvey, Subject, held_out},
    observer::Silent,
    predictor::{Expected, HeldOutPlace, OutlookTable},
    rank::metrics::spearman,
    spaces::Space,
};

/// Splits of the corpus whose graphs no predictor is trained on.
const SPLITS: [&str; 8] =
    ["named", "id", "wide", "deep", "dense", "norm-free", "new-op", "attention"];
/// Graphs of each.
const GRAPHS: u64 = 40;
/// Graphs that training may have drawn.
const TRAINING: usize = 1024;
/// Images that each held-out graph is evaluated on.
const IMAGES: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [predictor, data, out] = &arguments[..] else {
        return Err("usage: measure_outlook PREDICTOR DATA OUT".into());
    };
    let large = Space::derived("corpus", include_str!("large.toml").parse()?)?;
    let sets: Vec<HeldOutSet> = [
        held_out(&Space::load("corpus")?, &SPLITS.map(str::to_owned), GRAPHS)?,
        held_out(&large, &[], GRAPHS)?,
    ]
    .concat();
    let out = Path::new(out);
    let survey = OutlookSurvey {
        subject: &Subject::open(predictor, None)?,
        data: Path::new(data),
        training: TRAINING,
        sets: &sets,
        images: IMAGES,
        log: &out.with_extension("jsonl"),
    };
    let table = survey.run(&Silent)?;
    table.save(out)?;
    check(&table, &sets);
    Ok(())
}

/// Says how much a distance tells, and what the graphs of each set achieved beside what those of all other
/// sets let expect.
fn check(table: &OutlookTable, sets: &[HeldOutSet]) {
    let distances: Vec<f64> = table.held_out.iter().map(|it| it.distance().into()).collect();
    let accuracies: Vec<f64> = table.held_out.iter().map(|it| it.top1).collect();
    println!("Spearman's ρ of distance and accuracy: {:.2}", spearman(&distances, &accuracies));
    let (mut expected, mut achieved, mut within) = (Vec::new(), Vec::new(), 0);
    for set in sets {
        let is_own = |it: &&HeldOutPlace| set.graphs.iter().any(|graph| graph.name == it.graph);
        let (own, others): (Vec<_>, Vec<_>) = table.held_out.iter().partition(is_own);
        let others =
            OutlookTable { held_out: others.into_iter().cloned().collect(), ..table.clone() };
        for graph in own {
            let Expected::HeldOut { low, median, high, .. } = others.expected(&graph.place())
            else {
                continue;
            };
            expected.push(median);
            achieved.push(graph.top1);
            within += usize::from((low..=high).contains(&graph.top1));
        }
    }
    let errors =
        expected.iter().zip(&achieved).map(|(expected, achieved)| (expected - achieved).abs());
    let count = achieved.len() as f64;
    println!(
        "accuracy of {} of {} graphs, expected from the other sets: mean error {:.1} points, ρ {:.2}, \
         {:.0} % within the interval",
        achieved.len(),
        table.held_out.len(),
        100.0 * errors.sum::<f64>() / count,
        spearman(&expected, &achieved),
        100.0 * within as f64 / count
    );
}
