//! Networks from elsewhere as checkpoints of a zoo.

use std::sync::Arc;

use crate::{
    condition::complete,
    graph::{Architecture, Weights},
    ops::Registry,
    predictor::Predictor,
};

use super::{Descent, Origin, Record, Score, Tensors, Zoo, ZooError, align};

/// What is known of a network from elsewhere.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// What it is called.
    pub name: String,
    /// SPDX expression of the licence of its weights.
    pub licence: String,
    /// Its file and what that was made of.
    pub descent: Descent,
    /// How good it is on validation images, if that was measured.
    pub validation: Option<Score>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The record, as it was added.
    pub record: Record,
    /// Relative distance from the predictor's weights before and after alignment.
    pub distances: [f64; 2],
}

/// Adds trained weights to a zoo, with their channels in the order of those that a predictor writes
/// for the same graph (see [`align`]).
///
/// # Errors
///
/// [`ZooError`] if the weights do not fit the graph, the predictor cannot write the graph, or the zoo
/// cannot be written.
pub fn import(
    zoo: &mut Zoo,
    architecture: &Architecture,
    registry: &Arc<Registry>,
    weights: &Weights,
    predictor: &Predictor,
    provenance: Provenance,
) -> Result<Imported, ZooError> {
    if zoo.header().classes != predictor.config.classes {
        return Err(ZooError::Mismatch(format!(
            "the zoo in {} tells other classes apart than the predictor; choose another predictor \
             or zoo",
            zoo.folder().display()
        )));
    }
    let mut gauge = predictor.predict(architecture, registry, |_| false)?;
    // Statistics that cannot be measured keep their defaults, and say nothing of the order.
    let images = predictor.calibration_images();
    complete(architecture, registry, &mut gauge, predictor, &images)?;
    let aligned = align(architecture, registry, weights, &gauge.weights)?;
    let tensors = Tensors::new(architecture, &aligned.weights, zoo.header().precision)
        .map_err(ZooError::Mismatch)?;
    let fingerprint = architecture.fingerprint();
    let record = Record {
        fingerprint,
        origin: Origin::File(provenance.name),
        recipe: None,
        step: 0,
        data_hash: String::new(),
        lineage: None,
        descent: Some(provenance.descent),
        train: None,
        validation: provenance.validation,
        licence: provenance.licence,
        parameters: tensors.values(),
        tensors: tensors.sha256().to_owned(),
        alignment: Some(aligned.after),
    };
    zoo.add(fingerprint, vec![(record.clone(), tensors)])?;
    Ok(Imported { record, distances: [aligned.before, aligned.after] })
}
