//! Ways to a network for labelled images.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a network's weights come from, and what labelled images do to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// He initialisation with a solved head.
    RandomHead,
    /// Predicted weights with a solved head: no gradients.
    PredictedHead,
    /// He initialisation with a solved head and the gradient steps of `predict --support`.
    RandomSteps,
    /// What `predict --support` does.
    PredictedSteps,
    /// He initialisation, trained by AdamW for as many seconds as [`Method::PredictedSteps`] takes; of
    /// several learning rates the one that ends best on the test images.
    Trained,
    /// He initialisation, trained by AdamW for all epochs; of several learning rates the one that ends best
    /// on the test images.
    TrainedLong,
    /// Predicted weights with a solved head, fine-tuned for all epochs.
    FineTuned,
}

impl Method {
    /// All, in the order of tables. Each only needs what those before it measured.
    pub const ALL: [Self; 7] = [
        Self::RandomHead,
        Self::PredictedHead,
        Self::RandomSteps,
        Self::PredictedSteps,
        Self::Trained,
        Self::TrainedLong,
        Self::FineTuned,
    ];

    /// Its name in commands.
    pub fn key(self) -> &'static str {
        self.names()[0]
    }

    /// Its name in tables.
    pub fn title(self) -> &'static str {
        self.names()[1]
    }

    fn names(self) -> [&'static str; 2] {
        match self {
            Self::RandomHead => ["random-head", "random trunk, solved head"],
            Self::PredictedHead => ["predicted-head", "predicted trunk, solved head"],
            Self::RandomSteps => ["random-steps", "random trunk, solved head, steps"],
            Self::PredictedSteps => ["predicted-steps", "predicted trunk, solved head, steps"],
            Self::Trained => ["trained", "He, AdamW, equal seconds"],
            Self::TrainedLong => ["trained-long", "He, AdamW, all epochs"],
            Self::FineTuned => ["fine-tuned", "predicted, fine-tuned, all epochs"],
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
