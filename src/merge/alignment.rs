//! Putting the channels of a network in the order of another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    choice::{chosen, name_of},
    condition::Fitting,
    graph::Weights,
    zoo::{Aligned, Groups, align},
};

use super::{MergeError, Method, correlation::matched};

/// What tells which channels correspond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Alignment {
    /// Their weights (Ainsworth et al. 2023, arXiv:2209.04836).
    #[default]
    Weights,
    /// How their activations on images correlate (Li et al. 2016, arXiv:1511.07543).
    Activations,
    /// Nothing: channels stay as they are.
    None,
}

/// Distance of weights below which networks descend from one another; those of separate starts are about 1 apart.
const RELATED: f64 = 0.5;

const NAMES: [(&str, Alignment); 3] = [
    ("weights", Alignment::Weights),
    ("activations", Alignment::Activations),
    ("none", Alignment::None),
];

impl Alignment {
    /// The one that is best where nothing is said: by activations between networks that were trained apart,
    /// by weights where there are no images, or networks come from one start.
    pub fn usual(method: Method, data: bool) -> Self {
        match method {
            Method::Mean | Method::Slerp if data => Self::Activations,
            _ => Self::Weights,
        }
    }

    /// A network with its channels in the order of a reference. Where activations would take the weights of a relative
    /// of the reference, such as another child of one network, farther from it than they are, weights tell.
    ///
    /// # Errors
    ///
    /// Weights do not fit the graph, or the network does not run on the images.
    pub fn align(
        self,
        fitting: &Fitting,
        weights: &Weights,
        reference: &Weights,
    ) -> Result<Aligned, MergeError> {
        let Fitting { architecture, registry, .. } = *fitting;
        let by_weights = || Ok(align(architecture, registry, weights, reference)?);
        if self == Self::Weights {
            return by_weights();
        }
        let groups = Groups::of(architecture, registry);
        let permutations = match self {
            Self::Activations => matched(fitting, &groups, weights, reference)?,
            _ => groups.identity(),
        };
        let aligned = Aligned::of(architecture, &groups, weights, reference, permutations)?;
        let related = aligned.before < RELATED;
        if related && aligned.after > aligned.before { by_weights() } else { Ok(aligned) }
    }
}

impl FromStr for Alignment {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        chosen(&NAMES, name)
    }
}

impl fmt::Display for Alignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&NAMES, self))
    }
}
