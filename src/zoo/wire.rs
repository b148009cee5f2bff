//! Records as files: a protobuf message of one graph's records, sealed with its hash.

use bytes::Bytes;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::onnx::sha256;

use super::{Descent, Lineage, Origin, Recipe, Record, Score, Training};

/// The records of one graph on the wire, and SHA-256 of them in hexadecimal.
#[derive(Clone, PartialEq, Message)]
struct Sealed {
    #[prost(bytes = "bytes", tag = "1")]
    graph: Bytes,
    #[prost(string, tag = "2")]
    sha256: String,
}

#[derive(Clone, PartialEq, Message)]
struct GraphMessage {
    #[prost(fixed64, tag = "1")]
    fingerprint: u64,
    #[prost(message, repeated, tag = "2")]
    records: Vec<RecordMessage>,
}

/// A [`Record`], without the fingerprint that all of a graph share.
#[derive(Clone, PartialEq, Message)]
struct RecordMessage {
    #[prost(oneof = "OriginMessage", tags = "1, 2")]
    origin: Option<OriginMessage>,
    #[prost(message, optional, tag = "3")]
    recipe: Option<RecipeMessage>,
    #[prost(uint64, tag = "4")]
    step: u64,
    #[prost(string, tag = "5")]
    data_hash: String,
    #[prost(message, optional, tag = "6")]
    lineage: Option<LineageMessage>,
    #[prost(message, optional, tag = "7")]
    train: Option<ScoreMessage>,
    #[prost(message, optional, tag = "8")]
    validation: Option<ScoreMessage>,
    #[prost(string, tag = "9")]
    licence: String,
    #[prost(uint64, tag = "10")]
    parameters: u64,
    #[prost(string, tag = "11")]
    tensors: String,
    #[prost(double, optional, tag = "12")]
    alignment: Option<f64>,
    #[prost(message, optional, tag = "13")]
    descent: Option<DescentMessage>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OriginMessage {
    #[prost(message, tag = "1")]
    Space(SpaceMessage),
    #[prost(string, tag = "2")]
    File(String),
}

#[derive(Clone, PartialEq, Message)]
struct SpaceMessage {
    #[prost(string, tag = "1")]
    space: String,
    #[prost(uint64, tag = "2")]
    seed: u64,
}

/// Names are those of the configuration.
#[derive(Clone, PartialEq, Message)]
struct RecipeMessage {
    #[prost(string, tag = "1")]
    optimiser: String,
    #[prost(string, tag = "2")]
    schedule: String,
    #[prost(float, tag = "3")]
    rate: f32,
    #[prost(uint64, tag = "4")]
    batch: u64,
    #[prost(float, tag = "5")]
    clip: f32,
    #[prost(float, tag = "6")]
    weight_decay: f32,
    #[prost(float, tag = "7")]
    label_smoothing: f32,
    #[prost(string, tag = "8")]
    augmentation: String,
    #[prost(uint64, tag = "9")]
    steps: u64,
    #[prost(uint64, tag = "10")]
    seed: u64,
}

#[derive(Clone, PartialEq, Message)]
struct LineageMessage {
    #[prost(string, tag = "1")]
    predictor: String,
    #[prost(string, tag = "2")]
    hash: String,
}

#[derive(Clone, PartialEq, Message)]
struct DescentMessage {
    #[prost(string, tag = "1")]
    file: String,
    #[prost(string, repeated, tag = "2")]
    base_models: Vec<String>,
    #[prost(string, optional, tag = "3")]
    relation: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ScoreMessage {
    #[prost(double, tag = "1")]
    loss: f64,
    #[prost(double, tag = "2")]
    accuracy: f64,
}

/// The file of a graph's records: equal records are equal bytes.
pub(super) fn encode(fingerprint: u64, records: &[Record]) -> Vec<u8> {
    let records = records.iter().map(RecordMessage::from).collect();
    let graph = GraphMessage { fingerprint, records }.encode_to_vec();
    Sealed { sha256: sha256(&graph), graph: graph.into() }.encode_to_vec()
}

/// The graph and its records from the bytes of a file.
pub(super) fn decode(bytes: Bytes) -> Result<(u64, Vec<Record>), String> {
    let no_records = |error: prost::DecodeError| format!("holds no records: {error}");
    let sealed = Sealed::decode(bytes).map_err(no_records)?;
    if sha256(&sealed.graph) != sealed.sha256 {
        return Err("its hash is not that of its records; delete it and grow again".to_owned());
    }
    let GraphMessage { fingerprint, records } =
        GraphMessage::decode(sealed.graph).map_err(no_records)?;
    let records = records.into_iter().map(|record| record.read(fingerprint));
    Ok((fingerprint, records.collect::<Result<_, String>>()?))
}

impl From<&Record> for RecordMessage {
    fn from(record: &Record) -> Self {
        let record = record.clone();
        Self {
            origin: Some(match record.origin {
                Origin::Space { space, seed } => OriginMessage::Space(SpaceMessage { space, seed }),
                Origin::File(name) => OriginMessage::File(name),
            }),
            recipe: record.recipe.map(RecipeMessage::from),
            step: record.step,
            data_hash: record.data_hash,
            lineage: record
                .lineage
                .map(|Lineage { predictor, hash }| LineageMessage { predictor, hash }),
            train: record.train.map(ScoreMessage::from),
            validation: record.validation.map(ScoreMessage::from),
            licence: record.licence,
            parameters: record.parameters,
            tensors: record.tensors,
            alignment: record.alignment,
            descent: record.descent.map(DescentMessage::from),
        }
    }
}

impl RecordMessage {
    fn read(self, fingerprint: u64) -> Result<Record, String> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if self.tensors.len() != 64 || !self.tensors.bytes().all(digit) {
            return Err(format!("'{}' is no SHA-256", self.tensors.escape_debug()));
        }
        Ok(Record {
            fingerprint,
            origin: match self.origin.ok_or("a record does not say where its graph is from")? {
                OriginMessage::Space(SpaceMessage { space, seed }) => Origin::Space { space, seed },
                OriginMessage::File(name) => Origin::File(name),
            },
            recipe: self.recipe.map(RecipeMessage::read).transpose()?,
            step: self.step,
            data_hash: self.data_hash,
            lineage: self
                .lineage
                .map(|LineageMessage { predictor, hash }| Lineage { predictor, hash }),
            train: self.train.map(Score::from),
            validation: self.validation.map(Score::from),
            licence: self.licence,
            parameters: self.parameters,
            tensors: self.tensors,
            alignment: self.alignment,
            descent: self.descent.map(DescentMessage::read).transpose()?,
        })
    }
}

impl From<Recipe> for RecipeMessage {
    fn from(Recipe { training, steps, seed }: Recipe) -> Self {
        Self {
            optimiser: word(&training.optimiser),
            schedule: word(&training.schedule),
            rate: training.rate,
            batch: training.batch as u64,
            clip: training.clip,
            weight_decay: training.weight_decay,
            label_smoothing: training.label_smoothing,
            augmentation: word(&training.augmentation),
            steps,
            seed,
        }
    }
}

impl RecipeMessage {
    fn read(self) -> Result<Recipe, String> {
        let training = Training {
            optimiser: named(&self.optimiser)?,
            schedule: named(&self.schedule)?,
            rate: self.rate,
            batch: usize::try_from(self.batch).map_err(|error| error.to_string())?,
            clip: self.clip,
            weight_decay: self.weight_decay,
            label_smoothing: self.label_smoothing,
            augmentation: named(&self.augmentation)?,
        };
        Ok(Recipe { training, steps: self.steps, seed: self.seed })
    }
}

impl From<Descent> for DescentMessage {
    fn from(Descent { file, base_models, relation }: Descent) -> Self {
        Self { file, base_models, relation: relation.map(|it| it.to_string()) }
    }
}

impl DescentMessage {
    fn read(self) -> Result<Descent, String> {
        let Self { file, base_models, relation } = self;
        let relation = relation.map(|name| name.parse()).transpose()?;
        Ok(Descent { file, base_models, relation })
    }
}

impl From<Score> for ScoreMessage {
    fn from(Score { loss, accuracy }: Score) -> Self {
        Self { loss, accuracy }
    }
}

impl From<ScoreMessage> for Score {
    fn from(ScoreMessage { loss, accuracy }: ScoreMessage) -> Self {
        Self { loss, accuracy }
    }
}

/// The name that an enumeration without fields has in a configuration.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn named<T: DeserializeOwned>(word: &str) -> Result<T, String> {
    use serde::de::{IntoDeserializer, value::Error};
    let value: Result<T, Error> = T::deserialize(word.into_deserializer());
    value.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Relation, *};

    fn record() -> Record {
        Record {
            fingerprint: 7,
            origin: Origin::Space { space: "tiny".into(), seed: 3 },
            recipe: Some(Recipe { training: Training::default(), steps: 400, seed: 1 }),
            step: 100,
            data_hash: "d".into(),
            lineage: Some(Lineage { predictor: "cifar10".into(), hash: "h".into() }),
            descent: None,
            train: Some(Score { loss: 1.5, accuracy: 0.5 }),
            validation: Some(Score { loss: 1.25, accuracy: 0.625 }),
            licence: "MIT".into(),
            parameters: 1234,
            tensors: "0123456789abcdef".repeat(4),
            alignment: None,
        }
    }

    /// From elsewhere, and next to nothing is known of it.
    fn foreign() -> Record {
        let origin = Origin::File("net.onnx".into());
        let alignment = Some(0.25);
        let (recipe, lineage, train, validation) = (None, None, None, None);
        let descent = Some(Descent {
            file: "f".into(),
            base_models: vec!["a".into(), "b".into()],
            relation: Some(Relation::Merge),
        });
        Record { origin, recipe, lineage, descent, train, validation, alignment, ..record() }
    }

    #[test]
    fn records_are_read_back() {
        let records = vec![record(), foreign()];
        let bytes = encode(7, &records);
        assert_eq!(decode(bytes.clone().into()), Ok((7, records.clone())));
        assert_eq!(bytes, encode(7, &records));
        assert_eq!(decode(encode(9, &[]).into()), Ok((9, Vec::new())));
    }

    #[test]
    fn names_of_files_are_hashes() {
        for name in ["../../etc/passwd", "", &"G".repeat(64), &"A".repeat(64)] {
            let bytes = encode(7, &[Record { tensors: name.into(), ..record() }]);
            assert!(decode(bytes.into()).unwrap_err().contains("no SHA-256"), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_found(position: prop::sample::Index, change in 1u8..) {
            let mut bytes = encode(7, &[record(), foreign()]);
            let position = position.index(bytes.len());
            bytes[position] ^= change;
            prop_assert!(decode(bytes.into()).is_err());
        }

        #[test]
        fn any_bytes_are_records_or_an_error(bytes: Vec<u8>) {
            let _ = decode(bytes.clone().into());
            let sealed = Sealed { sha256: sha256(&bytes), graph: bytes.into() };
            let _ = decode(sealed.encode_to_vec().into());
        }
    }
}
