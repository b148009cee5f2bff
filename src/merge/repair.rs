//! Bringing a merged network's activations back.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    choice::{chosen, name_of},
    condition::Fitting,
    graph::{Architecture, Weights},
    ops::Registry,
    predictor::{Prediction, calibrate},
};

use super::{
    MergeError, Method, Parents,
    closed_form::{correct, norms},
    regression::regress,
    rescale::rescale,
};

/// What is done about the activations of a merged network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Repair {
    /// Statistics of batch normalisations are measured on images.
    Statistics,
    /// The same, and channels without such a normalisation get the mean and the deviation that they have in the
    /// parents, on average (Jordan et al. 2023, arXiv:2211.08403).
    Rescale,
    /// Layer by layer, weights are fitted to return what the parents' layers return on average, given what the
    /// merged network's earlier layers return (RegMean, Jin et al. 2023, arXiv:2212.09849, on the merged network's own
    /// activations).
    Regression,
    /// Statistics follow from those of the parents and from norms of filters, without images.
    ClosedForm,
    /// Nothing: statistics are merged like weights.
    None,
}

const NAMES: [(&str, Repair); 5] = [
    ("regression", Repair::Regression),
    ("statistics", Repair::Statistics),
    ("rescale", Repair::Rescale),
    ("closed-form", Repair::ClosedForm),
    ("none", Repair::None),
];

impl Repair {
    /// The one that does most with what there is.
    pub fn usual(
        method: Method,
        data: bool,
        architecture: &Architecture,
        registry: &Registry,
    ) -> Self {
        match (data, method.adds_to_base()) {
            (true, true) => Self::Statistics,
            // Learned shares bring means and deviations of channels along.
            (true, false) if method == Method::LearnedSoup => Self::Statistics,
            // A soup is tried out again and again, and its networks are relatives.
            (true, false) if method == Method::Soup => Self::Rescale,
            (true, false) => Self::Regression,
            (false, false) if !norms(architecture, registry).is_empty() => Self::ClosedForm,
            (false, _) => Self::None,
        }
    }

    /// Whether statistics are measured on images.
    pub fn measures(self) -> bool {
        matches!(self, Self::Statistics | Self::Rescale | Self::Regression)
    }

    /// Whether it fits a method, with or without images.
    ///
    /// # Errors
    ///
    /// [`MergeError::NeedsData`], [`MergeError::NothingBetween`].
    pub fn check(self, method: Method, data: bool) -> Result<(), MergeError> {
        if self.measures() && !data {
            return Err(MergeError::NeedsData {
                what: format!("repair '{self}' measures on images"),
            });
        }
        match self {
            Self::Rescale | Self::Regression | Self::ClosedForm if method.adds_to_base() => {
                Err(MergeError::NothingBetween { repair: self.to_string(), method })
            }
            _ => Ok(()),
        }
    }

    /// Repairs a merged network.
    ///
    /// # Errors
    ///
    /// The network does not run on the images, or there is nothing to repair it by.
    pub fn repair(
        self,
        fitting: &Fitting,
        mut merged: Weights,
        parents: &Parents,
    ) -> Result<Weights, MergeError> {
        match self {
            Self::None => {}
            Self::ClosedForm => correct(fitting, &mut merged, parents)?,
            Self::Statistics => merged = measured(fitting, merged)?,
            Self::Regression => regress(fitting, &mut merged, parents)?,
            Self::Rescale => {
                rescale(fitting, &mut merged, parents)?;
                merged = measured(fitting, merged)?;
            }
        }
        fitting.architecture.constrain(&mut merged);
        Ok(merged)
    }
}

/// With statistics of batch normalisations measured on images.
fn measured(fitting: &Fitting, weights: Weights) -> Result<Weights, MergeError> {
    let Fitting { architecture, registry, images, .. } = *fitting;
    let mut prediction = Prediction::from_elsewhere(architecture, weights);
    match calibrate(architecture, registry, &mut prediction, images)? {
        None => Ok(prediction.weights),
        Some(why) => Err(MergeError::Unmeasured { needs: "'statistics'", why }),
    }
}

impl FromStr for Repair {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        chosen(&NAMES, name)
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&NAMES, self))
    }
}
