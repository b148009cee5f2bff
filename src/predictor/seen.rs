//! What a predictor was trained on, as sketches beside its two files.

use std::path::Path;

use crate::{
    FileError,
    data::{Dataset, Sketch},
    onnx::atomic,
};

use super::PredictorError;

const GRAPHS: &str = "graphs.sketch";
const IMAGES: &str = "images.sketch";

/// Sketches of the graphs and the images that a predictor was trained on. They let a benchmark
/// refuse what it would not be fair to test on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Fingerprints of graphs; `None` where they are not recorded.
    pub graphs: Option<Sketch>,
    /// Hashes of images ([`Dataset::image_hash`]); `None` where they are not recorded.
    pub images: Option<Sketch>,
}

impl Seen {
    /// Reads the sketches of a predictor's folder, `graphs.sketch` and `images.sketch`, those that
    /// are there.
    pub fn load(folder: &Path) -> Result<Self, PredictorError> {
        let sketch = |name: &str| -> Result<Option<Sketch>, PredictorError> {
            let path = folder.join(name);
            let bytes = match std::fs::read(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                bytes => bytes.map_err(FileError::at(&path))?,
            };
            let problem = |error: crate::data::NoSketch| PredictorError::Checkpoint {
                path: path.clone(),
                problem: error.to_string(),
            };
            Sketch::from_bytes(&bytes).map(Some).map_err(problem)
        };
        Ok(Self { graphs: sketch(GRAPHS)?, images: sketch(IMAGES)? })
    }

    /// Writes those sketches that there are.
    pub fn save(&self, folder: &Path) -> Result<(), PredictorError> {
        for (name, sketch) in [(GRAPHS, &self.graphs), (IMAGES, &self.images)] {
            if let Some(sketch) = sketch {
                let path = folder.join(name);
                atomic::write(&path, |out| out.write_all(&sketch.to_bytes()))
                    .map_err(FileError::at(&path))?;
            }
        }
        Ok(())
    }

    /// The sketches of a predictor that travels inside the binary; `[graphs, images]`.
    pub(super) fn from_bytes(sketches: [&[u8]; 2]) -> Result<Self, crate::data::NoSketch> {
        let [graphs, images] = sketches.map(Sketch::from_bytes);
        Ok(Self { graphs: Some(graphs?), images: Some(images?) })
    }

    /// What either was trained on.
    pub fn union(&self, other: &Self) -> Self {
        let both = |a: &Option<Sketch>, b: &Option<Sketch>| match (a, b) {
            (Some(a), Some(b)) => Some(a.union(b)),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        Self {
            graphs: both(&self.graphs, &other.graphs),
            images: both(&self.images, &other.images),
        }
    }

    /// What this one was trained on and the other was not.
    pub(super) fn without(&self, other: &Self) -> Self {
        let rest = |a: &Option<Sketch>, b: &Option<Sketch>| match (a, b) {
            (Some(a), Some(b)) => Some(a.without(b)),
            (one, _) => one.clone(),
        };
        Self {
            graphs: rest(&self.graphs, &other.graphs),
            images: rest(&self.images, &other.images),
        }
    }

    /// The sketch of a data set's images.
    pub fn images_of(data: &Dataset) -> Sketch {
        (0..data.len()).map(|index| data.image_hash(index)).collect()
    }
}
