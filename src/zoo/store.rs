//! The folder of a zoo.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    FileError,
    graph::{Architecture, Weights},
    onnx::{Model, atomic, sha256},
    ops::{Registry, resolve},
    predictor::{InputConfig, Predictor},
    spaces::Space,
};

use super::{Descent, GrowConfig, Origin, Precision, Record, Tensors, ZooError, wire};

/// Version of the folder's format; a change that old readers would misread raises it.
pub const FORMAT_VERSION: u32 = 1;

const HEADER: &str = "zoo.json";
const RECORDS: &str = "records";
const WEIGHTS: &str = "weights";

/// What holds for all of a zoo: its `zoo.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZooHeader {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Name of the zoo.
    pub name: String,
    /// Search space that its graphs are drawn from: a file, or the name of a built-in one.
    pub space: String,
    /// SHA-256 of the decoded training images and labels.
    pub data_hash: String,
    /// Class names, in the order of the logits.
    pub classes: Vec<String>,
    /// Images that its networks expect.
    pub input: InputConfig,
    /// How weights are stored.
    pub precision: Precision,
    /// What it is grown from; `None` if all of its networks are from elsewhere.
    pub config: Option<GrowConfig>,
}

impl ZooHeader {
    /// Of a zoo of networks from elsewhere, for the images and classes that a predictor's networks
    /// know.
    pub fn for_imports(name: String, predictor: &Predictor) -> Self {
        let config = &predictor.config;
        Self {
            format_version: FORMAT_VERSION,
            name,
            space: config.training.space.clone(),
            data_hash: config.training.data_hash.clone(),
            classes: config.classes.clone(),
            input: config.input.clone(),
            precision: Precision::F32,
            config: None,
        }
    }

    /// SHA-256 of the configuration, in hexadecimal.
    pub fn config_hash(&self) -> Option<String> {
        let json = serde_json::to_vec(self.config.as_ref()?).ok()?;
        Some(sha256(&json))
    }
}

/// A zoo on disk, with its records in memory.
#[derive(Debug)]
pub struct Zoo {
    folder: PathBuf,
    header: ZooHeader,
    /// Graph by graph, in the order of fingerprints.
    records: Vec<Record>,
    /// Where the records of each graph are, also of those that gave none.
    graphs: BTreeMap<u64, Range<usize>>,
}

impl Zoo {
    /// Makes an empty zoo. A folder that holds one already is an error.
    pub fn create(folder: &Path, header: &ZooHeader) -> Result<Self, ZooError> {
        if Self::is_at(folder) {
            return Err(ZooError::State {
                path: folder.to_owned(),
                problem: "holds a zoo; add --resume, or choose another 'out'".to_owned(),
            });
        }
        for part in [RECORDS, WEIGHTS] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(FileError::at(&path))?;
        }
        let mut zoo = Self {
            folder: folder.to_owned(),
            header: header.clone(),
            records: Vec::new(),
            graphs: BTreeMap::new(),
        };
        zoo.set_header(header.clone())?;
        Ok(zoo)
    }

    /// The records of the graph whose fingerprint, or of the checkpoint whose hash starts with a text of
    /// at least four digits; none is an error.
    pub fn find(&self, text: &str) -> Result<Vec<&Record>, ZooError> {
        let is_meant = |record: &&Record| {
            let graph = format!("{:016x}", record.fingerprint);
            graph.starts_with(text) || record.tensors.starts_with(text)
        };
        let found: Vec<&Record> = self.records.iter().filter(is_meant).collect();
        match text.len() < 4 || found.is_empty() {
            false => Ok(found),
            true => Err(ZooError::Mismatch(format!(
                "no fingerprint or hash in {} starts with '{text}'; give at least four digits of one \
                 (`weightsmith zoo list`)",
                self.folder.display()
            ))),
        }
    }

    /// The checkpoints that were imported from a file, by its SHA-256.
    pub fn imported_from(&self, file: &str) -> impl Iterator<Item = &Record> {
        let own = move |it: &&Record| it.descent.as_ref().is_some_and(|it| it.file == file);
        self.records.iter().filter(own)
    }

    /// The checkpoints that were made of a record's file.
    pub fn children(&self, record: &Record) -> impl Iterator<Item = &Record> {
        let parent = record.descent.as_ref();
        let of = move |child: &Descent| {
            parent.is_some_and(|parent| child.base_models.contains(&parent.file))
        };
        self.records.iter().filter(move |it| it.descent.as_ref().is_some_and(of))
    }

    /// Whether there is a zoo in a folder.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(HEADER).exists()
    }

    /// Reads the records of a zoo; tensor files are read when they are asked for.
    pub fn open(folder: &Path) -> Result<Self, ZooError> {
        let path = folder.join(HEADER);
        let bytes = fs::read(&path).map_err(FileError::at(&path))?;
        let damaged = |path: &Path, problem: String| {
            let path = path.to_owned();
            ZooError::Damaged { path, problem }
        };
        let header: ZooHeader =
            serde_json::from_slice(&bytes).map_err(|error| damaged(&path, error.to_string()))?;
        if header.format_version != FORMAT_VERSION {
            let problem = format!(
                "format_version {} is not {FORMAT_VERSION}; use the version of weightsmith that wrote it",
                header.format_version
            );
            return Err(damaged(&path, problem));
        }
        let mut by_graph = BTreeMap::new();
        for path in files(&folder.join(RECORDS))? {
            let Some(named) = path.file_name().and_then(|name| record_file(name.to_str()?)) else {
                continue;
            };
            let bytes = fs::read(&path).map_err(FileError::at(&path))?;
            let (fingerprint, records) =
                wire::decode(bytes.into()).map_err(|problem| damaged(&path, problem))?;
            if fingerprint != named {
                let problem = format!("holds records of graph {fingerprint:016x}; rename it");
                return Err(damaged(&path, problem));
            }
            by_graph.insert(fingerprint, records);
        }
        let mut zoo = Self {
            folder: folder.to_owned(),
            header,
            records: Vec::new(),
            graphs: BTreeMap::new(),
        };
        for (fingerprint, records) in by_graph {
            let start = zoo.records.len();
            zoo.records.extend(records);
            zoo.graphs.insert(fingerprint, start..zoo.records.len());
        }
        Ok(zoo)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What holds for all of it.
    pub fn header(&self) -> &ZooHeader {
        &self.header
    }

    /// All records, graph by graph, in the order of fingerprints.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records of one graph, in the order they were added; none if it is not there.
    pub fn of_graph(&self, fingerprint: u64) -> &[Record] {
        self.graphs.get(&fingerprint).map_or(&[], |range| &self.records[range.clone()])
    }

    /// Fingerprints of all graphs, ascending.
    pub fn graphs(&self) -> impl Iterator<Item = u64> {
        self.graphs.keys().copied()
    }

    /// Whether a graph is done, even if it gave no record.
    pub fn holds(&self, fingerprint: u64) -> bool {
        self.graphs.contains_key(&fingerprint)
    }

    /// The tensor file of a record.
    pub fn path(&self, record: &Record) -> PathBuf {
        self.folder.join(WEIGHTS).join(tensor_file(&record.tensors))
    }

    /// The stored tensors of a record, checked against its hash.
    pub fn tensors(&self, record: &Record) -> Result<Tensors, ZooError> {
        let path = self.path(record);
        let tensors = Tensors::from_bytes(fs::read(&path).map_err(FileError::at(&path))?);
        match tensors.sha256() == record.tensors {
            true => Ok(tensors),
            false => {
                let problem = "is damaged: its hash is not its name; delete it and grow again";
                Err(ZooError::Damaged { path, problem: problem.to_owned() })
            }
        }
    }

    /// The weights of a record by parameter of its graph; absent for parameters that are not
    /// stored.
    pub fn weights(
        &self,
        record: &Record,
        architecture: &Architecture,
    ) -> Result<Weights, ZooError> {
        self.tensors(record)?
            .weights(architecture)
            .map_err(|problem| ZooError::Damaged { path: self.path(record), problem })
    }

    /// The graph of a record, drawn again from its space, without weights. Graphs that somebody
    /// brought have to be brought again.
    pub fn graph(
        &self,
        record: &Record,
        registry: &Registry,
    ) -> Result<(Model, Architecture), ZooError> {
        match &record.origin {
            Origin::Space { space, seed } => {
                let sampled = Space::load(space)?.sample(*seed)?;
                read(Model::from_bytes(&sampled.name, sampled.onnx)?, record, registry)
            }
            Origin::File(name) => Err(ZooError::Mismatch(format!(
                "graph {:016x} came from the file '{name}'; give that file",
                record.fingerprint
            ))),
        }
    }

    /// Adds checkpoints of one graph to those that it has, all at once, and leaves out what is there
    /// already. Tensor files are written first.
    pub fn add(
        &mut self,
        fingerprint: u64,
        checkpoints: Vec<(Record, Tensors)>,
    ) -> Result<(), ZooError> {
        let mut records = self.of_graph(fingerprint).to_vec();
        for (record, tensors) in checkpoints {
            if record.fingerprint != fingerprint || record.tensors != tensors.sha256() {
                return Err(ZooError::Mismatch(format!(
                    "a record of graph {:016x} with tensors {} is none of graph {fingerprint:016x} \
                     with tensors {}",
                    record.fingerprint,
                    record.tensors,
                    tensors.sha256()
                )));
            }
            let path = self.path(&record);
            if !path.exists() {
                atomic::write(&path, |out| out.write_all(tensors.bytes()))
                    .map_err(FileError::at(&path))?;
            }
            if !records.contains(&record) {
                records.push(record);
            }
        }
        let path = self.folder.join(RECORDS).join(format!("{fingerprint:016x}.pb"));
        let bytes = wire::encode(fingerprint, &records);
        atomic::write(&path, |out| out.write_all(&bytes)).map_err(FileError::at(&path))?;
        self.insert(fingerprint, records);
        Ok(())
    }

    /// Puts a graph's records in their place.
    fn insert(&mut self, fingerprint: u64, records: Vec<Record>) {
        let next = self.graphs.range(fingerprint..).next();
        let start = next.map_or(self.records.len(), |(_, range)| range.start);
        let replaced = self.graphs.get(&fingerprint).map_or(0, ExactSizeIterator::len);
        let added = records.len();
        self.records.splice(start..start + replaced, records);
        self.graphs.insert(fingerprint, start..start + added);
        for (_, range) in self.graphs.range_mut(fingerprint..).skip(1) {
            *range = range.start + added - replaced..range.end + added - replaced;
        }
    }

    /// Says anew what holds for all of the zoo.
    pub(super) fn set_header(&mut self, header: ZooHeader) -> Result<(), ZooError> {
        let path = self.folder.join(HEADER);
        let json = serde_json::to_vec_pretty(&header);
        let mut json = json.map_err(|error| FileError::at(&path)(error.into()))?;
        json.push(b'\n');
        atomic::write(&path, |out| out.write_all(&json)).map_err(FileError::at(&path))?;
        self.header = header;
        Ok(())
    }

    /// Removes what a killed process left half written.
    pub(super) fn sweep(&self) -> Result<(), ZooError> {
        for part in ["", RECORDS, WEIGHTS] {
            for path in files(&self.folder.join(part))? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if name.starts_with(".tmp") {
                    fs::remove_file(&path).map_err(FileError::at(&path))?;
                }
            }
        }
        Ok(())
    }

    /// The files in the folder of records and in that of tensors, sorted.
    pub(super) fn files(&self) -> Result<[Vec<PathBuf>; 2], ZooError> {
        Ok([files(&self.folder.join(RECORDS))?, files(&self.folder.join(WEIGHTS))?])
    }
}

/// The graph of a file, which must be that of a record.
pub(super) fn read(
    model: Model,
    record: &Record,
    registry: &Registry,
) -> Result<(Model, Architecture), ZooError> {
    let mut architecture = Architecture::from_model(&model)?;
    resolve(&mut architecture, registry)?;
    let (found, wanted) = (architecture.fingerprint(), record.fingerprint);
    match found == wanted {
        true => Ok((model, architecture)),
        false => Err(ZooError::Mismatch(format!(
            "{} is graph {found:016x}, the record is of graph {wanted:016x}",
            model.name()
        ))),
    }
}

/// The fingerprint that a file of records is called after.
pub(super) fn record_file(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".pb").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// The name of the file with the tensors of that hash.
pub(super) fn tensor_file(sha256: &str) -> String {
    format!("{sha256}.safetensors")
}

/// The files of a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>, ZooError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(FileError::at(folder))? {
        let entry = entry.map_err(FileError::at(folder))?;
        if entry.file_type().map_err(FileError::at(&entry.path()))?.is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
