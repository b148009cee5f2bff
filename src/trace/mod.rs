//! Whether a network descends from a predictor: not from what its file says, but from its weights. The predictor writes
//! weights for the graph of the file again. Both are brought into one gauge: channels of every layer are scaled to
//! one size, and put in one order. What they then have in common is compared with what is left when the connections of
//! the file's layers are shuffled, which is all that a network from elsewhere has in common with a prediction.

mod balance;
mod candidate;
mod error;
mod mark;
mod reference;
mod shuffle;
mod student;

pub use candidate::Candidate;
pub use error::TraceError;
pub use mark::Mark;

use crate::{
    fill::Network,
    predictor::{Predictor, Watermark},
};

use self::{candidate::Suspect, reference::references};

/// Values that have to be compared before anything is said.
const LEAST_VALUES: usize = 2_000;
/// Similarity beyond chance from which on a network descends from a predictor.
const LEAST_EXCESS: f64 = 0.15;
/// Probability of such a similarity by chance up to which a network descends from a predictor. Shuffled networks of few
/// channels differ much, so that less would miss small networks that are predicted.
const MOST_CHANCE: f64 = 1e-2;

/// What is known of the descent of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Weights that were compared.
    pub values: usize,
    /// Every predictor, or group of predictors that write the same; the most similar first.
    pub candidates: Vec<Candidate>,
}

/// What follows from a [`Trace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The network descends from the first candidate.
    Descends,
    /// Nothing in its weights speaks for any of the candidates.
    NoSign,
    /// It has too few weights that a predictor writes.
    CannotSay,
}

impl Trace {
    /// What follows.
    pub fn verdict(&self) -> Verdict {
        let descends =
            |it: &Candidate| it.excess() >= LEAST_EXCESS && it.probability <= MOST_CHANCE;
        match self.candidates.first() {
            _ if self.values < LEAST_VALUES => Verdict::CannotSay,
            Some(first) if descends(first) => Verdict::Descends,
            _ => Verdict::NoSign,
        }
    }
}

/// Compares the weights of a network with those that predictors write for its graph, and looks for marks in what
/// differs. The same arguments always give the same result.
///
/// # Errors
///
/// A parameter of the network has no value or one that is no number, or a predictor cannot write for its graph.
pub fn trace(
    network: &Network,
    predictors: &[Predictor],
    watermarks: &[Watermark],
) -> Result<Trace, TraceError> {
    let suspect = Suspect::new(network)?;
    let references = references(network, predictors)?;
    let count = references.len();
    let values = references.iter().map(|reference| suspect.values(reference)).max();
    let candidates =
        references.into_iter().map(|reference| suspect.compare(reference, count, watermarks));
    let mut candidates: Vec<Candidate> = candidates.collect::<Result<_, _>>()?;
    candidates.sort_by(|a, b| b.excess().total_cmp(&a.excess()));
    Ok(Trace { values: values.unwrap_or(0), candidates })
}
