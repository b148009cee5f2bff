//! Refusing to test on what a predictor was trained on.

use std::path::Path;

use crate::{
    data::{Dataset, Sketch, Split},
    predictor::Seen,
    spaces,
};

use super::{BenchmarkError, GuardRecord, HeldOut, Subject};

/// What the trainings of all evaluated predictors saw, from their sketches; where one has none for
/// images, from the training images of the data set at hand, if they are the ones that it names.
pub struct LeakGuard {
    trainings: Vec<Training>,
    record: GuardRecord,
}

/// What one training saw, and how that is known.
struct Training {
    seen: Seen,
    /// The space that its graphs were drawn from, where it is known.
    space: Option<String>,
    graphs: &'static str,
    images: &'static str,
}

impl LeakGuard {
    /// Refuses what the training of any of the subjects saw.
    pub fn new(subjects: &[&Subject], data: &Path) -> Result<Self, BenchmarkError> {
        let trainings: Vec<Training> =
            subjects.iter().map(|subject| Training::of(subject, data)).collect::<Result<_, _>>()?;
        let how = |of: fn(&Training) -> &'static str| {
            let mut ways: Vec<&str> = trainings.iter().map(of).collect();
            ways.dedup();
            ways.join("; ")
        };
        let record = GuardRecord {
            graphs: how(|training| training.graphs),
            images: how(|training| training.images),
            ..GuardRecord::default()
        };
        Ok(Self { trainings, record })
    }

    /// The graphs that training did not see; an error if none is left.
    pub fn graphs(
        &mut self,
        space: &str,
        graphs: Vec<HeldOut>,
    ) -> Result<Vec<HeldOut>, BenchmarkError> {
        let count = graphs.len();
        let (refused, kept): (Vec<_>, Vec<_>) = graphs.into_iter().partition(|graph| {
            self.trainings.iter().any(|training| training.has_seen(space, graph))
        });
        self.record.graphs_refused.extend(refused.into_iter().map(|graph| graph.name));
        if kept.is_empty() && count > 0 {
            return Err(BenchmarkError::NothingUnseen {
                count,
                what: format!("graphs of '{space}'"),
            });
        }
        Ok(kept)
    }

    /// The images that training did not see; an error if none is left.
    pub fn images(&mut self, images: Dataset) -> Result<Dataset, BenchmarkError> {
        let count = images.len();
        let sketches: Vec<&Sketch> =
            self.trainings.iter().filter_map(|training| training.seen.images.as_ref()).collect();
        if sketches.is_empty() {
            return Ok(images);
        }
        let kept = images.filtered(|data, index| {
            let hash = data.image_hash(index);
            !sketches.iter().any(|sketch| sketch.contains(hash))
        });
        self.record.images_refused += count - kept.len();
        if kept.is_empty() && count > 0 {
            return Err(BenchmarkError::NothingUnseen { count, what: "test images".to_owned() });
        }
        Ok(kept)
    }

    /// What was refused, and how it was known.
    pub fn into_record(self) -> GuardRecord {
        self.record
    }
}

impl Training {
    fn of(subject: &Subject, data: &Path) -> Result<Self, BenchmarkError> {
        let mut seen = subject.seen().clone();
        let own = !subject.is_foreign();
        let graphs = match (&seen.graphs, own) {
            (Some(_), _) => "a sketch of its training graphs",
            (None, true) => "seeds of its training split; it carries no sketch",
            (None, false) => "unknown: the files come without a sketch",
        };
        let images = match (&seen.images, own) {
            (Some(_), _) => "a sketch of its training images",
            (None, true) => match trained_on(subject, data)? {
                Some(sketch) => {
                    seen.images = Some(sketch);
                    "the training images of the data set, which its record names"
                }
                None => "unknown: it carries no sketch, and its record names other images",
            },
            (None, false) => "unknown: the files come without a sketch",
        };
        let space = own.then(|| subject.reference().config.training.space.clone());
        Ok(Self { seen, space, graphs, images })
    }

    fn has_seen(&self, space: &str, graph: &HeldOut) -> bool {
        match &self.seen.graphs {
            Some(sketch) => sketch.contains(graph.fingerprint),
            // A network with a name comes from no seed.
            None => {
                graph.style.is_some()
                    && spaces::Split::of(graph.seed) == Some(spaces::Split::Train)
                    && self.space.as_deref() == Some(space)
            }
        }
    }
}

/// The training images of a data set, if the predictor's record names them.
fn trained_on(subject: &Subject, data: &Path) -> Result<Option<Sketch>, BenchmarkError> {
    let config = &subject.reference().config;
    let Ok(train) = Dataset::open(data, Split::Train) else { return Ok(None) };
    let train = train.with_channels(config.input.channels())?;
    Ok((train.hash == config.training.data_hash).then(|| Seen::images_of(&train)))
}
