//! A mark in predicted weights that only the holder of a key can see, after spread-spectrum watermarks (Cox et al. 1997;
//! for networks Uchida et al. 2017). Every weight of a layer is made a little larger or smaller, as the key says: the
//! scale of its channels and their order do not touch that.

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::{
    FileError,
    graph::{Architecture, ParameterId, Role},
    onnx::sha256,
};

use super::{Prediction, PredictorError, ValueSource};

/// Part of its size by which a weight is changed.
const STRENGTH: f32 = 0.02;
/// Fewest bytes of a key.
const LEAST_BYTES: usize = 16;

/// A mark, by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    key: [u8; 32],
}

impl Watermark {
    /// The mark of a random and secret key.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The mark of the SHA-256 of a file of at least 16 bytes, which should be random and secret.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is shorter.
    pub fn open(path: &Path) -> Result<Self, PredictorError> {
        let key = std::fs::read(path).map_err(FileError::at(path))?;
        match key.len() {
            bytes if bytes < LEAST_BYTES => {
                Err(PredictorError::ShortKey { path: path.to_owned(), bytes, least: LEAST_BYTES })
            }
            _ => Ok(Self::new(Sha256::digest(&key).into())),
        }
    }

    /// What may be published of the key, to tell it from others.
    pub fn id(&self) -> String {
        sha256(&self.key)[..16].to_owned()
    }

    /// Marks the layers that a predictor wrote.
    pub fn mark(&self, architecture: &Architecture, prediction: &mut Prediction) {
        for (id, weights) in prediction.weights.tensors_mut() {
            if prediction.labels[id.0] == ValueSource::Predicted && is_layer(architecture, id) {
                for (weight, sign) in weights.iter_mut().zip(self.signs(id)) {
                    *weight *= 1.0 + STRENGTH * sign;
                }
            }
        }
    }

    /// Whether each weight of a parameter becomes larger, 1, or smaller, -1.
    pub fn signs(&self, ParameterId(index): ParameterId) -> impl Iterator<Item = f32> {
        let mut random = ChaCha8Rng::from_seed(self.key);
        random.set_stream(index as u64);
        std::iter::repeat_with(move || if random.random() { 1.0 } else { -1.0 })
    }
}

/// Whether a parameter is the matrix or kernel of a layer.
fn is_layer(architecture: &Architecture, ParameterId(index): ParameterId) -> bool {
    let parameter = &architecture.parameters[index];
    let axes = parameter.shape.as_ref().map_or(0, Vec::len);
    parameter.role() == Some(Role::Weight) && axes > 1
}
