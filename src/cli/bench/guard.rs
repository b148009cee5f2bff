//! Refusing to test on what a predictor was trained on.

use std::path::Path;

use crate::{
    data::{Dataset, Sketch, Split},
    predictor::Seen,
    spaces,
};

use super::{super::Failure, held_out::HeldOut, outcome::GuardRecord, subject::Subject};

/// What training saw, from the predictor's sketches; where there is none for images, from the
/// training images of the data set at hand, if they are the ones that the predictor names.
pub(super) struct Guard {
    seen: Seen,
    space: Option<String>,
    record: GuardRecord,
}

impl Guard {
    pub(super) fn new(subject: &Subject, data: &Path) -> Result<Self, Failure> {
        let mut seen = subject.seen.clone();
        let training = &subject.reference().config.training;
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
        let record = GuardRecord {
            graphs: graphs.to_owned(),
            images: images.to_owned(),
            ..GuardRecord::default()
        };
        Ok(Self { seen, space: own.then(|| training.space.clone()), record })
    }

    /// The graphs that training did not see; an error if none is left.
    pub(super) fn graphs(
        &mut self,
        space: &str,
        graphs: Vec<HeldOut>,
    ) -> Result<Vec<HeldOut>, Failure> {
        let count = graphs.len();
        let (refused, kept): (Vec<_>, Vec<_>) =
            graphs.into_iter().partition(|graph| self.has_seen(space, graph));
        self.record.graphs_refused.extend(refused.into_iter().map(|graph| graph.name));
        if kept.is_empty() && count > 0 {
            return Err(format!(
                "the predictor was trained on all {count} graphs of '{space}': there is nothing \
                 to test on"
            )
            .into());
        }
        Ok(kept)
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

    /// The images that training did not see; an error if none is left.
    pub(super) fn images(&mut self, images: Dataset) -> Result<Dataset, Failure> {
        let count = images.len();
        let Some(sketch) = &self.seen.images else { return Ok(images) };
        let kept = images.filtered(|data, index| !sketch.contains(data.image_hash(index)));
        self.record.images_refused += count - kept.len();
        if kept.is_empty() && count > 0 {
            return Err(format!(
                "the predictor was trained on all {count} test images: there is nothing to test on"
            )
            .into());
        }
        Ok(kept)
    }

    pub(super) fn into_record(self) -> GuardRecord {
        self.record
    }
}

/// The training images of a data set, if the predictor's record names them.
fn trained_on(subject: &Subject, data: &Path) -> Result<Option<Sketch>, Failure> {
    let config = &subject.reference().config;
    let Ok(train) = Dataset::open(data, Split::Train) else { return Ok(None) };
    let train = train.with_channels(config.input.channels())?;
    Ok((train.hash == config.training.data_hash).then(|| Seen::images_of(&train)))
}
