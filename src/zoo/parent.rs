//! The predictors that networks start from.

use burn::tensor::Device;

use crate::{
    data::Dataset,
    graph::{Architecture, Weights},
    ops::Registry,
    predictor::{InputConfig, Predictor, bundled},
};

use super::{Lineage, ParentConfig, ZooError};

/// A predictor, ready to write starting weights for images of one size.
#[derive(Debug)]
pub(super) struct Parent {
    pub lineage: Lineage,
    /// Training steps after which snapshots are taken, ascending.
    pub finetune: Vec<u64>,
    /// Its calibration batch at the size of the images, NCHW.
    pub calibration: Vec<f32>,
    predictor: Predictor,
}

impl Parent {
    /// Loads a predictor for square images of the given size.
    pub(super) fn load(config: &ParentConfig, size: usize) -> Result<Self, ZooError> {
        let ParentConfig { predictor: name, finetune } = config;
        let predictor = bundled(name, &Device::flex())?;
        let calibration = predictor.calibration_images().resized(usize::MAX, [size, size]).data;
        let lineage = Lineage { predictor: name.clone(), hash: predictor.hash.clone() };
        Ok(Self { lineage, finetune: finetune.clone(), calibration, predictor })
    }

    /// The images that its networks expect.
    pub(super) fn input(&self) -> &InputConfig {
        &self.predictor.config.input
    }

    /// Its networks and those of the other parents must read the same images and tell the same
    /// classes apart as the data set does.
    pub(super) fn check(&self, first: &Self, data: &Dataset) -> Result<(), ZooError> {
        let name = &self.lineage.predictor;
        let [own, input] = [self.input(), first.input()];
        let other = &first.lineage.predictor;
        if (&own.mean, &own.std) != (&input.mean, &input.std) {
            return Err(ZooError::Mismatch(format!(
                "predictor '{name}' normalises images differently from predictor '{other}'"
            )));
        }
        if own.channels() != data.channels {
            return Err(ZooError::Mismatch(format!(
                "predictor '{name}' reads {} channels, the space's images have {}",
                own.channels(),
                data.channels
            )));
        }
        if self.predictor.config.classes != data.classes {
            return Err(ZooError::Mismatch(format!(
                "predictor '{name}' has other classes than the data set"
            )));
        }
        Ok(())
    }

    /// Weights; running statistics have their defaults.
    pub(super) fn weights(
        &self,
        architecture: &Architecture,
        registry: &Registry,
    ) -> Result<Weights, ZooError> {
        Ok(self.predictor.predict(architecture, registry, |_| false)?.weights)
    }
}
