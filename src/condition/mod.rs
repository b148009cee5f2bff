//! What labelled images say of a network's weights. The last linear map of a network, its head, is solved
//! on the features that the predicted layers in front of it make of a support set: logistic regression, with
//! a penalty that left-out images choose. A few gradient steps then move all weights along, and images that
//! were held out say whether to keep them. Fine-tuning goes on from there as people train.

mod adapter;
mod checkpoint;
mod cholesky;
mod distil;
mod distilled_head;
mod error;
mod finetune;
mod head;
mod learned_soup;
mod left_out;
mod logistic;
mod loss;
mod solve;
mod standard;
mod steps;
mod support;
mod tuning;

pub use adapter::{Adapter, LowRank};
pub(crate) use cholesky::Cholesky;
pub use distil::{Completed, Distilled, complete};
pub use distilled_head::{DistilledGradient, DistilledHead};
pub use error::{ConditionError, HeadError};
pub use finetune::{FineTuned, TuningRun};
pub use head::Head;
pub use learned_soup::LearnedSoup;
pub use left_out::LeftOut;
pub use loss::Fitting;
pub use solve::{SolvedHead, solve_head};
pub use steps::Steering;
pub use support::{Fitted, HeldOut, Support, check_classes};
pub use tuning::{Epoch, FineTuning, Optimiser};
