//! What was measured of a predictor, and what it says of a graph.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::{FileError, onnx::atomic, predictor::PredictorError};

use super::{Beyond, Descriptor, Expected, Outlook, Quantity, TokenSpace, space::length};

/// Name of the file in a predictor's folder.
pub(in super::super) const FILE: &str = "outlook.json";

/// Held-out graphs that an expectation is read off.
const NEIGHBOURS: usize = 20;
/// How much it counts that a graph is further from training by a factor of e, beside a distance of 1 from
/// the other graph.
const FURTHER: f32 = 2.0;
/// Places are stored in parts of 1.
const PARTS: f32 = 32.0;
/// The least deviation of a value of a token, and of the logarithm of a size.
const FLOORS: [f32; 2] = [1e-3, 0.3];

/// Where training graphs lie, and the accuracy of predicted weights of held-out graphs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutlookTable {
    /// [`Predictor::hash`](crate::predictor::Predictor::hash) of the predictor that it is about.
    pub predictor: String,
    /// What accuracies were measured on, for people.
    pub images: String,
    /// The smallest and the largest size of training graphs.
    pub trained: BTreeMap<Quantity, [usize; 2]>,
    /// Where graphs lie.
    pub space: TokenSpace,
    /// Graphs that training did not see.
    pub held_out: Vec<HeldOutPlace>,
}

/// A held-out graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOutPlace {
    /// Its name.
    pub graph: String,
    /// Where it lies, in 32nds.
    pub at: Vec<i16>,
    /// Accuracy of its predicted weights.
    pub top1: f64,
}

impl HeldOutPlace {
    /// Where it lies; see [`TokenSpace::place`].
    pub fn place(&self) -> Vec<f32> {
        self.at.iter().map(|&value| f32::from(value) / PARTS).collect()
    }

    /// How far it is from training.
    pub fn distance(&self) -> f32 {
        length(&self.place())
    }
}

impl OutlookTable {
    /// From what training graphs are like and what held-out graphs are like and achieved. `None` where
    /// there are too few training graphs, or a token is not finite.
    pub fn new(
        predictor: &str,
        images: &str,
        training: &[Descriptor],
        held_out: &[(String, Descriptor, f64)],
    ) -> Option<Self> {
        let tokens = training.first()?.token.len();
        let [token, size] = FLOORS;
        let floors: Vec<f32> = std::iter::repeat_n(token, tokens)
            .chain(std::iter::repeat_n(size, Quantity::ALL.len()))
            .collect();
        let vectors: Vec<Vec<f32>> = training.iter().map(Descriptor::values).collect();
        let space = TokenSpace::fit(&vectors, &floors)?;
        let mut trained: BTreeMap<Quantity, [usize; 2]> = BTreeMap::new();
        for (&quantity, &size) in training.iter().flat_map(|graph| &graph.sizes) {
            let [low, high] = trained.entry(quantity).or_insert([size; 2]);
            (*low, *high) = ((*low).min(size), (*high).max(size));
        }
        let place = |(graph, descriptor, top1): &(String, Descriptor, f64)| {
            let at = space.place(&descriptor.values());
            let at = at.iter().map(|value| (value * PARTS).round() as i16).collect();
            HeldOutPlace { graph: graph.clone(), at, top1: *top1 }
        };
        let held_out = held_out.iter().map(place).collect();
        let (predictor, images) = (predictor.to_owned(), images.to_owned());
        Some(Self { predictor, images, trained, space, held_out })
    }

    /// What to expect of a graph, by a predictor of so many classes.
    pub fn outlook(&self, graph: &Descriptor, classes: usize) -> Outlook {
        let place = self.space.place(&graph.values());
        let beyond = |(&quantity, &trained): (&Quantity, &[usize; 2])| {
            let [low, high] = trained;
            let size = *graph.sizes.get(&quantity)?;
            (size < low || size > high).then_some(Beyond { quantity, size, trained })
        };
        Outlook {
            distance: length(&place).into(),
            beyond: self.trained.iter().filter_map(beyond).collect(),
            expected: match (graph.outputs, graph.sizes.get(&Quantity::ImageSize)) {
                (Some(outputs), Some(_)) if outputs == classes => self.expected(&place),
                _ => Expected::OtherTask,
            },
            images: self.images.clone(),
        }
    }

    /// What the held-out graphs achieved that are most like one at a place.
    pub fn expected(&self, place: &[f32]) -> Expected {
        let distance = length(place);
        let mut near: Vec<(f32, f64)> = Vec::with_capacity(self.held_out.len());
        let mut furthest = 0.0f32;
        for other in &self.held_out {
            let at = other.place();
            let between: Vec<f32> = at.iter().zip(place).map(|(a, b)| a - b).collect();
            let further = (distance.max(1e-6) / length(&at).max(1e-6)).ln();
            near.push((length(&between).hypot(FURTHER * further), other.top1));
            furthest = furthest.max(other.distance());
        }
        if near.is_empty() || distance.is_nan() || distance > furthest {
            return Expected::TooFar;
        }
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        near.truncate(NEIGHBOURS);
        let mut top1: Vec<f64> = near.into_iter().map(|(_, top1)| top1).collect();
        top1.sort_by(f64::total_cmp);
        let quantile = |share: f64| top1[(share * (top1.len() - 1) as f64).round() as usize];
        let [low, median, high] = [0.1, 0.5, 0.9].map(quantile);
        Expected::HeldOut { graphs: top1.len(), low, median, high }
    }

    /// Reads the table in a predictor's folder, if there is one.
    pub fn load(folder: &Path) -> Result<Option<Self>, PredictorError> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            bytes => Self::parse(&path, &bytes.map_err(FileError::at(&path))?).map(Some),
        }
    }

    /// Reads a table; the path is for errors.
    pub(in super::super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, PredictorError> {
        let problem =
            |problem: String| PredictorError::Checkpoint { path: path.to_owned(), problem };
        serde_json::from_slice(bytes).map_err(|error| problem(error.to_string()))
    }

    /// Writes it to a file, which is replaced atomically.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let write = |out: &mut dyn std::io::Write| {
            serde_json::to_writer(&mut *out, self)?;
            out.write_all(b"\n")
        };
        atomic::write(path, write).map_err(FileError::at(path))
    }

    /// Whether it is about a predictor of that hash, whose tokens have that width.
    pub(in super::super) fn is_of(&self, hash: &str, width: usize) -> bool {
        let dimensions = self.space.dimensions();
        self.predictor == hash
            && self.space.is_of(width + Quantity::ALL.len())
            && self.held_out.iter().all(|graph| graph.at.len() == dimensions)
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;
    use crate::{neural::normal, predictor::Quantities};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// A graph of that width whose token is so far from the usual one.
    fn graph(far: f32, width: usize, random: &mut ChaCha8Rng) -> Descriptor {
        let token = (0..8).map(|_| far + normal(random)).collect();
        let sizes = Quantities::from([(Quantity::Width, width), (Quantity::ImageSize, 32)]);
        Descriptor { token, sizes, outputs: Some(10) }
    }

    /// The further a held-out graph, the worse it is.
    fn table() -> OutlookTable {
        let random = &mut ChaCha8Rng::seed_from_u64(0);
        let training: Vec<_> = (0..200).map(|at| graph(0.0, 16 + at % 17, random)).collect();
        let held_out: Vec<_> = (0..100)
            .map(|at| {
                let far = at as f32 / 8.0;
                (format!("graph-{at}"), graph(far, 24, random), 0.75 - 0.03125 * f64::from(far))
            })
            .collect();
        OutlookTable::new("hash", "images", &training, &held_out).unwrap()
    }

    #[test]
    fn graphs_as_far_say_what_to_expect() {
        let table = table();
        let random = &mut ChaCha8Rng::seed_from_u64(1);
        let expected = |far, random: &mut ChaCha8Rng| match table
            .outlook(&graph(far, 24, random), 10)
            .expected
        {
            Expected::HeldOut { graphs, low, median, high } => {
                assert_eq!(graphs, NEIGHBOURS);
                assert!(low < median && median < high);
                median
            }
            other => panic!("{other:?}"),
        };
        assert_abs_diff_eq!(expected(1.0, random), 0.72, epsilon = 0.05);
        assert_abs_diff_eq!(expected(6.0, random), 0.56, epsilon = 0.05);
        let further = table.outlook(&graph(30.0, 24, random), 10);
        assert_eq!(further.expected, Expected::TooFar);
        assert!(further.distance > 3.0 && further.to_string().contains("no held-out graph"));
        assert_eq!(table.outlook(&graph(f32::NAN, 24, random), 10).expected, Expected::TooFar);
        let mut other = graph(0.0, 24, random);
        assert_eq!(table.outlook(&other, 5).expected, Expected::OtherTask);
        other.sizes.remove(&Quantity::ImageSize);
        assert_eq!(table.outlook(&other, 10).expected, Expected::OtherTask);
    }

    #[test]
    fn sizes_beyond_training_are_named() {
        let table = table();
        let random = &mut ChaCha8Rng::seed_from_u64(2);
        assert_eq!(table.outlook(&graph(0.0, 32, random), 10).beyond, []);
        let wide = table.outlook(&graph(0.0, 2048, random), 10);
        let beyond = Beyond { quantity: Quantity::Width, size: 2048, trained: [16, 32] };
        assert_eq!(wide.beyond, [beyond]);
        assert!(wide.to_string().contains("width 2048 (16–32)"), "{wide}");
        assert!(wide.distance > table.outlook(&graph(0.0, 32, random), 10).distance);
    }

    #[test]
    fn tables_come_back_from_files() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(OutlookTable::load(folder.path()).unwrap(), None);
        let table = table();
        table.save(&folder.path().join(FILE)).unwrap();
        assert!(OutlookTable::load(folder.path()).unwrap().unwrap() == table);
        assert!(table.is_of("hash", 8));
        assert!(!table.is_of("another", 8) && !table.is_of("hash", 9));
        std::fs::write(folder.path().join(FILE), "{}").unwrap();
        let error = OutlookTable::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
    }
}
