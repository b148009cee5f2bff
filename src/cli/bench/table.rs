//! The result of `bench transfer` for people.

use crate::{benchmark::Outcome, evaluate::Interval};

/// Every method and axis of every split.
pub(super) fn table(outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    let percent = |interval: &Interval| {
        let [mean, low, high] = [interval.mean, interval.low, interval.high].map(|v| 100.0 * v);
        format!("{mean:5.2} [{low:5.2}, {high:5.2}]")
    };
    for split in &outcome.splits {
        lines.push(format!("{}, {} graphs of '{}'", split.split, split.graphs.len(), split.space));
        lines.push(format!(
            "{:16} {:>21} {:>7} {:>7} {:>6} {:>6} {:>9} {:>9}",
            "", "top-1 % [95 %]", "min", "max", "Brier", "ECE", "corrupted", "at chance"
        ));
        for method in &split.methods {
            let corrupted = method
                .corrupted
                .map_or("–".to_owned(), |corrupted| format!("{:.2}", 100.0 * corrupted.mean));
            lines.push(format!(
                "{:16} {:>21} {:7.2} {:7.2} {:6.3} {:6.3} {:>9} {:>9}",
                method.method,
                percent(&method.top1),
                100.0 * method.spread.min,
                100.0 * method.spread.max,
                method.brier.mean,
                method.ece.mean,
                corrupted,
                method.failures.at_chance
            ));
        }
        if let Some(training) = &split.training {
            for trained in &training.trained {
                let name = format!("SGD, {} epochs", trained.epochs);
                lines.push(format!(
                    "{name:16} {:>21}  on {} graphs; predicted {:+.2} points, p {:.4}",
                    percent(&trained.top1),
                    trained.comparison.graphs,
                    100.0 * trained.comparison.difference.mean,
                    trained.comparison.p
                ));
            }
            lines.push(format!(
                "predicted weights are worth {:.2} [{:.2}, {:.2}] epochs, {} % of the longest training",
                training.worth.mean,
                training.worth.low,
                training.worth.high,
                percent(&training.ratio)
            ));
        }
    }
    for split in &outcome.splits {
        if let Some(diversity) = &split.diversity {
            lines.push(format!(
                "{}: samples of {} graphs: overlap of mistakes {:.3}, disagreement {:.3}",
                split.split, diversity.graphs, diversity.overlap.mean, diversity.disagreement.mean
            ));
        }
        let Some(novelty) = &split.novelty else { continue };
        lines.push(format!(
            "{}: beside {} references: overlap of mistakes {:.3}, distance {:.2}, {} copies, {} of {} \
             better than noise",
            split.split,
            novelty.graphs,
            novelty.overlap.mean,
            novelty.distance.mean,
            novelty.copies,
            novelty.above_noise[0],
            novelty.above_noise[1]
        ));
    }
    if let Some(plain) = &outcome.plain_cnn {
        lines.push(format!("plain three-convolution CNN: {:.2}", 100.0 * plain.scores.top1));
    }
    let guard = &outcome.guard;
    let refused = guard.graphs_refused.len() + guard.images_refused;
    if refused > 0 {
        lines.push(format!(
            "refused, since training saw them: {} graphs, {} images",
            guard.graphs_refused.len(),
            guard.images_refused
        ));
    }
    lines.push(format!(
        "{:.0} s, {:.0} MB",
        outcome.cost.seconds,
        outcome.cost.peak_memory_bytes.unwrap_or(0) as f64 / 1e6
    ));
    lines.join("\n")
}
