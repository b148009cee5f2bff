//! What was seen, as tables.

use std::{error::Error, path::PathBuf};

use weightsmith::{audit::Auc, evaluate::wilson};

use super::{
    changes::Change,
    trace::{Line, Origin, Seen, lines},
};

const ORIGINS: [(Origin, &str); 5] = [
    (Origin::Predicted, "predicted"),
    (Origin::AnotherSample, "another seed and sample"),
    (Origin::HeInitialisation, "He initialisation"),
    (Origin::TrainedFromHe, "trained from He initialisation"),
    (Origin::AnotherTool, "trained by other tools"),
];

pub fn print(files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let mut all: Vec<Line> = Vec::new();
    for file in files {
        all.extend(lines(file)?);
    }
    let networks: Vec<&Seen> = all.iter().flat_map(|line| &line.networks).collect();
    println!(
        "| network | change | number | taken for ours | excess, least to most |\n|---|---|--:|--:|---|"
    );
    for (origin, name) in ORIGINS {
        for change in Change::ALL {
            let of = |it: &&&Seen| it.origin == origin && it.change == change;
            let seen: Vec<&Seen> = networks.iter().filter(of).copied().collect();
            if seen.is_empty() {
                continue;
            }
            let (count, found) = (seen.len(), seen.iter().filter(|it| it.descends).count());
            let excess = |it: &&Seen| it.excess;
            let least = seen.iter().map(excess).fold(f64::INFINITY, f64::min);
            let most = seen.iter().map(excess).fold(f64::NEG_INFINITY, f64::max);
            println!(
                "| {name} | {} | {count} | {found} | {least:.3} to {most:.3} |",
                change.name()
            );
        }
    }
    let side = |ours: bool| -> Vec<f64> {
        let of = networks.iter().filter(|it| it.origin.is_ours() == ours);
        of.map(|it| it.excess).collect()
    };
    let (ours, others) = (side(true), side(false));
    let auc = Auc::of(&ours, &others);
    println!("\nAUC {:.4} ({:.4} to {:.4})", auc.auc, auc.low, auc.high);
    for ours in [true, false] {
        let of: Vec<&&Seen> = networks.iter().filter(|it| it.origin.is_ours() == ours).collect();
        rate(
            if ours { "of ours taken for ours" } else { "of others taken for ours" },
            of.iter().filter(|it| it.descends).count(),
            of.len(),
        );
    }
    let found: Vec<&[bool; 2]> = all.iter().flat_map(|line| &line.found).collect();
    for (key, name) in
        ["marked: own key found", "marked: another key found"].into_iter().enumerate()
    {
        rate(name, found.iter().filter(|it| it[key]).count(), found.len());
    }
    let marks: Vec<&[f64; 2]> = all.iter().flat_map(|line| &line.marks).collect();
    let told = marks.iter().filter(|[own, other]| own > other).count();
    rate("marked: own key ahead of the other", told, marks.len());
    Ok(())
}

/// A share with its interval.
pub fn rate(name: &str, hits: usize, of: usize) {
    let rate = hits as f64 / of.max(1) as f64;
    let [low, high] = wilson(rate, of).unwrap_or([0.0, 1.0]);
    println!(
        "{name}: {hits} of {of}, {:.2} % ({:.2} to {:.2})",
        100.0 * rate,
        100.0 * low,
        100.0 * high
    );
}
