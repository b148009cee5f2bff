//! The ways to merge.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::choice::{chosen, name_of};

/// How tensors of several networks become one. A *task vector* is what a network has learned beyond its
/// base: the difference of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// Weighted mean.
    Mean,
    /// The way from the first network to the second on the sphere (Shoemake 1985), tensor by tensor.
    Slerp,
    /// The base and the weighted sum of task vectors (Ilharco et al. 2023, arXiv:2212.04089).
    TaskArithmetic,
    /// Task vectors without their smallest values, and without those whose sign is outvoted (Yadav et al.
    /// 2023, arXiv:2306.01708).
    Ties,
    /// As [`Method::Ties`], with values dropped at random and the rest scaled up (Yu et al. 2024,
    /// arXiv:2311.03099).
    DareTies,
    /// As [`Method::DareTies`], without the vote.
    DareLinear,
    /// Mean of the networks that make it better, from the best one on (Wortsman et al. 2022,
    /// arXiv:2203.05482).
    Soup,
    /// As [`Method::Soup`], with a share of each network in each tensor that is learned (the same).
    LearnedSoup,
}

/// By name; mergekit's names, too.
const NAMES: [(&str, Method); 10] = [
    ("mean", Method::Mean),
    ("slerp", Method::Slerp),
    ("task-arithmetic", Method::TaskArithmetic),
    ("ties", Method::Ties),
    ("dare-ties", Method::DareTies),
    ("dare-linear", Method::DareLinear),
    ("soup", Method::Soup),
    ("learned-soup", Method::LearnedSoup),
    ("linear", Method::Mean),
    ("dare", Method::DareTies),
];

impl Method {
    /// Whether it adds task vectors to a base.
    pub fn adds_to_base(self) -> bool {
        !matches!(self, Self::Mean | Self::Slerp) && !self.is_soup()
    }

    /// Whether labelled images say how much each network counts.
    pub fn is_soup(self) -> bool {
        matches!(self, Self::Soup | Self::LearnedSoup)
    }

    /// Whether signs of task vectors are voted on.
    pub(super) fn votes(self) -> bool {
        matches!(self, Self::Ties | Self::DareTies)
    }

    /// Whether sums are divided by the sum of weights if nothing else is said, as in mergekit.
    pub(super) fn normalizes(self) -> bool {
        matches!(self, Self::Mean | Self::Ties) || self.is_soup()
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        chosen(&NAMES, name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&NAMES, self))
    }
}
