//! Whether a network copies another one of the same graph (Zeng et al. 2025, "Generative modeling of weights:
//! generalization or memorization?").

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    data::Dataset,
    evaluate::{Novelty, blurred, tally, wilson},
    fill::{Network, OpenOptions},
    graph::Weights,
    onnx::folder,
    predictor::InputConfig,
    weights::he_initialisation,
    zoo::align,
};

use super::AuditError;

/// Initialisations that stand for networks of others, beside the references themselves.
const STRANGERS: u64 = 8;
/// The largest distance of a copy; a fine-tuned one is nearer, one trained from elsewhere farther.
const FARTHEST: f64 = 0.5;

/// A network, and what it is compared with.
pub struct CopyAudit<'a> {
    /// The network that is audited.
    pub network: &'a Network,
    /// Folder of trained networks; those of other graphs are passed over.
    pub references: &'a Path,
    /// Images on which mistakes are compared, as many as are used, and how the network reads them.
    pub images: Option<(&'a Dataset, &'a InputConfig, usize)>,
    /// Seed of initialisations and of noise.
    pub seed: u64,
}

/// The reference that is most like the network.
#[derive(Clone, Debug, Serialize)]
pub struct Nearest {
    /// Its file.
    pub file: PathBuf,
    /// Distance of the weights, relative to the norm of the reference, with channels as they are.
    pub before: f64,
    /// The same after the channels have been put in the order of the reference.
    pub after: f64,
}

/// A share of cases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Cases with the property.
    pub hits: usize,
    /// All cases.
    pub of: usize,
    /// The share.
    pub rate: f64,
    /// Upper end of its 95 % interval (Wilson 1927).
    pub high: f64,
}

impl Rate {
    /// Of so many cases.
    pub fn new(hits: usize, of: usize) -> Self {
        let rate = hits as f64 / of.max(1) as f64;
        let high = wilson(rate, of).map_or(1.0, |[_, high]| high);
        Self { hits, of, rate, high }
    }
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct CopyReport {
    /// Networks of the same graph.
    pub references: usize,
    /// Files of other graphs or without weights.
    pub passed_over: usize,
    /// The most similar of them.
    pub nearest: Nearest,
    /// The distance below which a network counts as a copy: one half, or less where independent networks are
    /// nearer than that.
    pub threshold: f64,
    /// Distances of networks that do not descend from each other: of the references among themselves, and of
    /// initialisations from them.
    pub independent: Vec<f64>,
    /// How many of those would count as copies if the least distance were not known.
    pub false_positives: Rate,
    /// Mistakes beside those of the nearest one, and of copies of it with noise; `None` without images.
    pub mistakes: Option<Novelty>,
    /// Whether the network is a copy, by its weights or by its mistakes.
    pub copy: bool,
}

impl CopyAudit<'_> {
    /// Compares.
    ///
    /// # Errors
    ///
    /// The network or the references cannot be read, none of them is of the same graph, or the images do not
    /// fit.
    pub fn run(&self) -> Result<CopyReport, AuditError> {
        // Noise parts what is equal in a reference, which is no other graph for that.
        let apart = OpenOptions { tie: false, ..OpenOptions::default() };
        let network = &Network::resolved(self.network.model.clone(), &apart)?;
        let own = network.stored_weights()?;
        let fingerprint = network.architecture.fingerprint();
        let files = folder::files(self.references)?;
        let weights = |path: &PathBuf| -> Option<(PathBuf, Weights)> {
            let other = Network::open_with(path, &apart).ok()?;
            let same = other.architecture.fingerprint() == fingerprint;
            let weights = same.then(|| other.stored_weights().ok())??;
            let fits = weights.pairs(&own).all(|(_, [a, b])| a.len() == b.len());
            fits.then(|| (path.clone(), weights))
        };
        let references: Vec<(PathBuf, Weights)> = files.iter().filter_map(weights).collect();
        if references.is_empty() {
            let (folder, files) = (self.references.to_owned(), files.len());
            return Err(AuditError::NoReference { folder, files });
        }
        let distances = |weights: &Weights, reference: &Weights| {
            let aligned = align(&network.architecture, &network.registry, weights, reference)?;
            Ok::<_, AuditError>([aligned.before, aligned.after])
        };
        let mut nearest: Option<(usize, [f64; 2])> = None;
        let mut independent = Vec::new();
        for (place, (_, reference)) in references.iter().enumerate() {
            let found = distances(&own, reference)?;
            if nearest.is_none_or(|(_, [_, least])| found[1] < least) {
                nearest = Some((place, found));
            }
            for (_, other) in &references[..place] {
                independent.push(distances(other, reference)?[1]);
            }
        }
        let Some((place, [before, after])) = nearest else { unreachable!("there are references") };
        let (file, reference) = &references[place];
        for seed in 0..STRANGERS {
            let stranger = he_initialisation(&network.architecture, self.seed.wrapping_add(seed));
            independent.push(distances(&stranger, reference)?[1]);
        }
        let least = independent.iter().copied().fold(f64::INFINITY, f64::min);
        let threshold = FARTHEST.min(0.8 * least);
        let close = independent.iter().filter(|&&distance| distance <= FARTHEST).count();
        let mistakes = self.mistakes(network, &own, reference, after)?;
        Ok(CopyReport {
            references: references.len(),
            passed_over: files.len() - references.len(),
            nearest: Nearest { file: file.clone(), before, after },
            threshold,
            false_positives: Rate::new(close, independent.len()),
            independent,
            copy: after <= threshold || mistakes.as_ref().is_some_and(|it| it.copies),
            mistakes,
        })
    }

    /// The mistakes of the network beside those of a reference and of its noisy copies.
    fn mistakes(
        &self,
        network: &Network,
        own: &Weights,
        reference: &Weights,
        distance: f64,
    ) -> Result<Option<Novelty>, AuditError> {
        let Some((data, input, limit)) = self.images else { return Ok(None) };
        let Network { architecture, registry, .. } = network;
        let wrong = |weights: &Weights| -> Result<Vec<bool>, AuditError> {
            let tally = tally(architecture, registry, weights, data, input, limit)?;
            Ok(tally.wrong().to_vec())
        };
        let noisy = |noise| wrong(&blurred(architecture, reference, noise, self.seed));
        Novelty::beside(&wrong(own)?, &wrong(reference)?, Some(distance), noisy).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn rates_of_none_have_an_upper_end() {
        let none = Rate::new(0, 20);
        assert_eq!(none.rate, 0.0);
        assert_abs_diff_eq!(none.high, 0.161, epsilon = 1e-3);
        assert_eq!(Rate::new(5, 5).high, 1.0);
    }
}
