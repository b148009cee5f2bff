//! Whether images that a predictor learned from can be told from others: by the losses of predicted networks
//! (Yeom et al. 2018, "Privacy risk in machine learning"), and by the images that the predictor carries to
//! measure statistics on.

use serde::Serialize;

use crate::{
    condition::complete,
    data::Dataset,
    evaluate::{batches, tally},
    fill::Network,
    graph::Weights,
    observer::Observer,
    predictor::{CalibrationImages, Predictor},
};

use super::{Auc, AuditError};

/// Images the predictor learned from, and others of the same kind.
pub struct MembershipAudit<'a> {
    /// The predictor.
    pub predictor: &'a Predictor,
    /// Graphs that networks are predicted for.
    pub networks: &'a [Network],
    /// Images of its training.
    pub members: &'a Dataset,
    /// Images that no training saw.
    pub others: &'a Dataset,
    /// The first so many of each are compared.
    pub images: usize,
    /// Who watches.
    pub observer: &'a dyn Observer,
}

/// What predicted networks tell.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Membership {
    /// Networks.
    pub networks: usize,
    /// Images of each kind.
    pub images: usize,
    /// By the mean loss of an image over the networks: lower for members.
    pub by_loss: Auc,
    /// Mean share of members that is classified right.
    pub top1_members: f64,
    /// Mean share of others.
    pub top1_others: f64,
}

/// What the images tell that the predictor carries.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Recovery {
    /// How many it carries.
    pub carried: usize,
    /// How many of them are more like a member than like any other image; half is chance.
    pub nearer_to_members: usize,
    /// The largest correlation with a member; one is the image itself.
    pub with_members: f64,
    /// With another one.
    pub with_others: f64,
}

/// What was found.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MembershipReport {
    /// By predicted networks.
    pub membership: Membership,
    /// By carried images.
    pub recovery: Recovery,
}

impl MembershipAudit<'_> {
    /// Compares.
    ///
    /// # Errors
    ///
    /// No graph fits the images, or a network cannot be predicted or run.
    pub fn run(&self) -> Result<MembershipReport, AuditError> {
        let count = self.images.min(self.members.len()).min(self.others.len());
        let fits = |network: &&Network| {
            let classes = network.architecture.class_count().ok();
            let channels = network.image_shape().ok().map(|[channels, ..]| channels);
            (classes, channels) == (Some(self.members.classes.len()), Some(self.members.channels))
        };
        let networks: Vec<&Network> = self.networks.iter().filter(fits).collect();
        if networks.is_empty() {
            let (channels, classes) = (self.members.channels, self.members.classes.len());
            return Err(AuditError::NoGraph { channels, classes });
        }
        let input = &self.predictor.config.input;
        let mut sums = [vec![0.0; count], vec![0.0; count]];
        let mut right = [0usize; 2];
        self.observer.begin(networks.len() as u64, 0);
        for network in &networks {
            let weights = self.predicted(network)?;
            for (which, data) in [self.members, self.others].into_iter().enumerate() {
                let Network { architecture, registry, .. } = network;
                let tally = tally(architecture, registry, &weights, data, input, count)?;
                sums[which].iter_mut().zip(tally.losses()).for_each(|(sum, loss)| *sum -= loss);
                right[which] += tally.wrong().iter().filter(|wrong| !**wrong).count();
            }
            self.observer.advance(1);
        }
        self.observer.end();
        let share = |right: usize| right as f64 / (networks.len() * count.max(1)) as f64;
        let membership = Membership {
            networks: networks.len(),
            images: count,
            by_loss: Auc::of(&sums[0], &sums[1]),
            top1_members: share(right[0]),
            top1_others: share(right[1]),
        };
        Ok(MembershipReport { membership, recovery: self.recovery(networks[0], count)? })
    }

    /// Weights as they are written without data.
    fn predicted(&self, network: &Network) -> Result<Weights, AuditError> {
        let Network { architecture, registry, .. } = network;
        let mut prediction = self.predictor.predict(architecture, registry, |_| false)?;
        let images = self.predictor.calibration_images();
        complete(architecture, registry, &mut prediction, self.predictor, &images)?;
        Ok(prediction.weights)
    }

    fn recovery(&self, network: &Network, count: usize) -> Result<Recovery, AuditError> {
        let carried = self.predictor.calibration_images();
        let [own, _, height, width] = carried.shape;
        let [_, rows, columns] = network.image_shape()?;
        let largest = |data: &Dataset| -> Result<Vec<f64>, AuditError> {
            if [rows, columns] != [height, width] {
                return Ok(vec![f64::NAN; own]);
            }
            let batcher = batches(&network.architecture, data, &self.predictor.config.input)?;
            Ok(correlations(&carried, &batcher.range(0..count).0))
        };
        let (members, others) = (largest(self.members)?, largest(self.others)?);
        let most = |of: &[f64]| of.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Ok(Recovery {
            carried: own,
            nearer_to_members: members.iter().zip(&others).filter(|(a, b)| a > b).count(),
            with_members: most(&members),
            with_others: most(&others),
        })
    }
}

/// The largest Pearson correlation of each carried image with any image of some.
fn correlations(carried: &CalibrationImages, images: &[f32]) -> Vec<f64> {
    let length = carried.data.len() / carried.shape[0].max(1);
    let standard = |image: &[f32]| -> Vec<f32> {
        let mean = image.iter().sum::<f32>() / length as f32;
        let centred = image.iter().map(|value| value - mean);
        let norm = centred.clone().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
        centred.map(|value| value / norm).collect()
    };
    let images: Vec<Vec<f32>> = images.chunks_exact(length.max(1)).map(standard).collect();
    let largest = |image: &[f32]| {
        let own = standard(image);
        let with = |other: &Vec<f32>| own.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
        f64::from(images.iter().map(with).fold(f32::NEG_INFINITY, f32::max))
    };
    carried.data.chunks_exact(length.max(1)).map(largest).collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn an_image_correlates_with_itself_however_bright() {
        let carried = CalibrationImages { shape: [1, 1, 2, 2], data: vec![1.0, 2.0, 3.0, 5.0] };
        let brighter = [3.0, 5.0, 7.0, 11.0];
        let other = [1.0, -1.0, 1.0, -1.0];
        assert_abs_diff_eq!(correlations(&carried, &brighter)[0], 1.0, epsilon = 1e-6);
        assert!(correlations(&carried, &other)[0] < 0.0);
    }
}
