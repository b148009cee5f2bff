//! How good predicted weights are on graphs that no training saw. A [`Subject`] (a predictor, a [`Baseline`],
//! or files that another program filled) gives weights for the graphs of a [`HeldOutSet`]; a [`LeakGuard`]
//! takes out what was trained on; an [`Evaluator`] says what each network gets right, clean and corrupted.
//! A [`Transfer`] does all of it, beside He initialisation, other predictors and plain SGD ([`SgdTable`]),
//! and returns an [`Outcome`]: JSON, a page ([`Outcome::to_html`]), or one side of a comparison
//! ([`Outcome::compare`]). A [`ScoreTest`] holds label-free scores against trained accuracies;
//! an [`OutlookSurvey`] measures what to expect of predictions.
//! [`Adaptation`] asks what a predictor is worth to someone with labelled images of their own.

mod adaptation;
mod candidate;
mod comparison;
mod error;
mod evaluator;
mod export;
mod guard;
mod held_out;
mod novelty;
mod outcome;
mod outlook;
pub mod report;
mod score_test;
mod sgd;
mod split;
mod step;
mod subject;
mod summary;
mod trained;
mod transfer;

pub use adaptation::{
    Adaptation, AdaptationOutcome, AdaptationResult, AdaptedData, Method, MethodSummary,
    PairComparison,
};
pub use candidate::{Attempt, Candidate};
pub use comparison::SplitComparison;
pub use error::BenchmarkError;
pub use evaluator::{Evaluation, Evaluator};
pub use export::{Export, GraphCard};
pub use guard::LeakGuard;
pub use held_out::{HeldOut, HeldOutSet, held_out};
pub use outcome::{
    Axes, Cost, DataRecord, DiversityResult, GraphResult, GuardRecord, HE, HE_CALIBRATED,
    MethodResult, NoveltyResult, Outcome, PREDICTED, SCHEMA, SplitResult, StyleRecord,
    SubjectRecord, TrainedResult, TrainingResult,
};
pub use outlook::OutlookSurvey;
pub use score_test::{FewLabels, ScoreTest, ScoreTestReport};
pub use sgd::{Sgd, SgdScores, SgdTable};
pub use step::StepTiming;
pub use subject::{Baseline, HeInitialisation, Subject};
pub use trained::{TrainedNetwork, TrainedNetworks};
pub use transfer::Transfer;
