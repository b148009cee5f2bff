//! Starting a predictor from what another one learned.

use crate::{
    neural::{self, Entry},
    ops::{OperatorFamily, Registry, Response, Vocabulary},
};

use super::{
    LearnedLabels, Network, Predictor, PredictorError,
    known::{Known, mean_row},
};

impl Predictor {
    /// Starting values for a network with the given parameters and vocabulary: those of this
    /// predictor. Rows of the operator table are matched by name; operators that this predictor does
    /// not know start as their nearest relatives. Any other tensor must be here under the same name
    /// and in the same shape, and none may be left over; only the matrices of further node features and of
    /// the makers of channels may be missing, and start at zero, the conditioner and further
    /// blocks of the encoder, which start as `seed` has them and add nothing at first, and the labels of the
    /// calibration batch, see [`LearnedLabels`]. A calibration batch of another size starts with the images in turn.
    pub fn starting_values(
        &self,
        entries: &[Entry],
        seed: u64,
        vocabulary: &Vocabulary,
        registry: &Registry,
    ) -> Result<Vec<f32>, PredictorError> {
        let values = neural::values(&self.network);
        let mut start = 0;
        let mut own: Vec<(Entry, &[f32])> = neural::entries(&self.network)
            .into_iter()
            .map(|entry| {
                let range = start..start + entry.len();
                start = range.end;
                (entry, &values[range])
            })
            .collect();
        let misfit = |tensor: &str, problem: String| PredictorError::Start {
            predictor: self.config.name.clone(),
            tensor: tensor.to_owned(),
            problem,
        };
        let fresh = neural::initialise(entries, seed);
        let mut out = Vec::with_capacity(fresh.len());
        for wanted in entries {
            let name = wanted.name.as_str();
            let Some(position) = own.iter().position(|(entry, _)| entry.name == name) else {
                let zero = [Network::FURTHER, Network::SOURCES];
                if zero.iter().any(|part| name.starts_with(part)) || Network::is_branch_end(name) {
                    out.extend(std::iter::repeat_n(0.0, wanted.len()));
                    continue;
                }
                if [Network::CONDITIONER, Network::MESSAGES].iter().any(|it| name.starts_with(it)) {
                    out.extend_from_slice(&fresh[out.len()..][..wanted.len()]);
                    continue;
                }
                if name.starts_with(Network::CALIBRATION_LABELS) {
                    out.extend(LearnedLabels::start(wanted));
                    continue;
                }
                return Err(misfit(name, "is missing".to_owned()));
            };
            let (entry, values) = own.swap_remove(position);
            match (name, entry.shape.as_slice(), wanted.shape.as_slice()) {
                (Network::OPERATORS, &[_, width], &[_, wanted]) if width == wanted => {
                    out.extend(self.operator_rows(values, width, vocabulary, registry));
                }
                (_, shape, wanted) if shape == wanted => out.extend_from_slice(values),
                (Network::CALIBRATION, &[_, ref image @ ..], &[images, ref wanted @ ..])
                    if image == wanted =>
                {
                    let count = images * image.iter().product::<usize>();
                    out.extend(values.iter().cycle().take(count));
                }
                (_, shape, wanted) => {
                    return Err(misfit(name, format!("has shape {shape:?} instead of {wanted:?}")));
                }
            }
        }
        let done_without = |entry: &Entry| {
            let parts =
                [Network::FURTHER, Network::SOURCES, Network::MESSAGES, Network::CONDITIONER];
            parts.into_iter().any(|part| {
                entry.name.starts_with(part) && !entries.iter().any(|it| it.name.starts_with(part))
            })
        };
        match own.iter().find(|(entry, _)| !done_without(entry)) {
            Some((entry, _)) => Err(misfit(&entry.name, "has no place in the network".to_owned())),
            None => Ok(out),
        }
    }

    /// The operator table for another vocabulary, with the row for unknown operators at its end.
    fn operator_rows(
        &self,
        table: &[f32],
        width: usize,
        vocabulary: &Vocabulary,
        registry: &Registry,
    ) -> Vec<f32> {
        let known = Known::of(self, registry);
        let mut rows = Vec::with_capacity((vocabulary.len() + 1) * width);
        for (index, name) in vocabulary.names().iter().enumerate() {
            let operator = vocabulary.operator(index, registry);
            let family = operator.map_or(OperatorFamily::Other, |operator| operator.family());
            let from = match known.row(name) {
                Some(row) => vec![row],
                None => {
                    let response = operator.and_then(Response::by_default);
                    known.relatives(family, response.as_ref(), registry)
                }
            };
            rows.extend(mean_row(table, width, &from));
        }
        rows.extend(mean_row(table, width, &[self.vocabulary.len()]));
        rows
    }
}
