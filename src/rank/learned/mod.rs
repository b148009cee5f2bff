//! A ranking that is learned. What carries over from one space to another is where a graph stands among its
//! companions, so scores enter as places within the pool ([`Scale`]). A [`Ranker`] weighs them, those of cells of one
//! skeleton otherwise than those of networks of many sizes; weights are fitted by [`fit`] to pairs of labelled graphs and
//! held against spaces that were left out ([`left_out`]). Where its ingredients contradict each other on a pool, it leans on counting.
//! A few trained accuracies of the pool itself refine it ([`refine`]).

mod few;
mod fit;
mod kernels;
mod left_out;
mod pairs;
mod pool;
mod ranker;

pub use few::{FEWEST_LABELS, Refined, refine};
pub use fit::{Fit, fit};
pub use left_out::{LEARNED, LeftOut, Rival, Scoring, left_out};
pub use pool::{SKELETON, Scale, of_one_skeleton, skeletons, standings, standings_by_counts};
pub use ranker::{Ingredient, RankedPool, Ranker, Weighing};
