//! The outlook of one graph, for reports and for people.

use std::fmt;

use serde::Serialize;

use super::Quantity;

/// What to expect of predicted weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// How far the graph is from those of training (a Mahalanobis distance); half of those are nearer
    /// than 1 to their mean.
    pub distance: f64,
    /// Sizes that no training graph had.
    pub beyond: Vec<Beyond>,
    /// What graphs like it achieved.
    pub expected: Expected,
    /// What accuracies were measured on.
    pub images: String,
}

/// A size beyond those of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Beyond {
    /// Which.
    pub quantity: Quantity,
    /// That of the graph.
    pub size: usize,
    /// The smallest and the largest of training.
    pub trained: [usize; 2],
}

/// What predicted weights of held-out graphs achieved that are like a graph and as far from training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Expected {
    /// Their accuracy.
    HeldOut {
        /// How many they are.
        graphs: usize,
        /// Tenth percentile.
        low: f64,
        /// Median.
        median: f64,
        /// Ninetieth percentile.
        high: f64,
    },
    /// No held-out graph was this far from training.
    TooFar,
    /// The graph does not read images into the classes that the predictor was trained for.
    OtherTask,
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { distance, beyond, expected, images } = self;
        write!(f, "distance {distance:.1} from the training graphs (1 is usual among them)")?;
        for (index, beyond) in beyond.iter().enumerate() {
            write!(f, "{} {beyond}", if index == 0 { "; beyond them:" } else { "," })?;
        }
        match expected {
            Expected::HeldOut { graphs, low, median, high } => write!(
                f,
                "; predicted weights of the {graphs} held-out graphs most like it had {:.0} % ({:.0}–{:.0}) on {images}",
                100.0 * median,
                100.0 * low,
                100.0 * high
            ),
            Expected::TooFar => {
                write!(
                    f,
                    "; no held-out graph was this far: use the weights only to start training"
                )
            }
            Expected::OtherTask => write!(
                f,
                "; it does not read images into the classes of the predictor, so no accuracy is known"
            ),
        }
    }
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quantity, size, trained: [low, high] } = self;
        match low == high {
            true => write!(f, "{quantity} {size} ({low})"),
            false => write!(f, "{quantity} {size} ({low}–{high})"),
        }
    }
}
