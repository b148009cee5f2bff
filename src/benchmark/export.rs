//! Held-out graphs as files, for another program to fill.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    FileError,
    onnx::atomic,
    predictor::{InputConfig, Predictor},
};

use super::{BenchmarkError, HeldOut, HeldOutSet, candidate::file_of};

/// Name of the file that says how images are read.
const CARD: &str = "graphs.json";

/// `graphs.json`: what another program has to know to fill the graphs.
#[derive(Clone, Debug)]
pub struct GraphCard {
    /// Version of this form.
    pub schema: u32,
    /// The space that graphs are drawn from where no split of the corpus is named.
    pub space: String,
    /// How images are normalised.
    pub input: InputConfig,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
    /// Names of the graphs; each is `<name>.onnx`.
    pub graphs: Vec<String>,
}

impl GraphCard {
    /// As it is written.
    pub fn to_json(&self) -> Value {
        json!({
            "schema": self.schema,
            "space": self.space,
            "input": self.input,
            "classes": self.classes,
            "graphs": self.graphs,
        })
    }
}

/// Graphs to be written to a folder.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// The graphs.
    pub sets: &'a [HeldOutSet],
    /// See [`GraphCard::space`].
    pub space: &'a str,
    /// The predictor whose images the graphs are for.
    pub like: &'a Predictor,
    /// Whether files of the same names are replaced, such as networks that were filled.
    pub replace: bool,
}

impl Export<'_> {
    /// Writes the graphs and `graphs.json`. A file in the way that is not the graph itself is an error,
    /// before anything is written, unless it is to be replaced.
    pub fn write(&self, folder: &Path) -> Result<GraphCard, BenchmarkError> {
        fs::create_dir_all(folder).map_err(FileError::at(folder))?;
        let graphs: Vec<&HeldOut> = self.sets.iter().flat_map(|set| &set.graphs).collect();
        for graph in graphs.iter().filter(|_| !self.replace) {
            let path = file_of(folder, &graph.name);
            if path.exists() && fs::read(&path).map_err(FileError::at(&path))? != graph.onnx {
                let problem = "is another network than the graph; choose another folder, or add \
                               --force to replace it";
                return Err(BenchmarkError::File { path, problem: problem.to_owned() });
            }
        }
        for graph in &graphs {
            let path = file_of(folder, &graph.name);
            atomic::write(&path, |out| out.write_all(&graph.onnx)).map_err(FileError::at(&path))?;
        }
        let card = GraphCard {
            classes: self.like.config.classes.clone(),
            graphs: graphs.iter().map(|graph| graph.name.clone()).collect(),
            input: self.like.config.input.clone(),
            schema: 1,
            space: self.space.to_owned(),
        };
        let path = folder.join(CARD);
        atomic::write_json(&path, &card.to_json()).map_err(FileError::at(&path))?;
        Ok(card)
    }
}
