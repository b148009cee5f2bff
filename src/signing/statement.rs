//! The in-toto statement that is signed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    manifest::Manifest,
    resource::{Resource, SHA256, Serialization, from_hex},
};

/// What a DSSE envelope says of a payload that is an in-toto statement.
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    resources: Vec<Resource>,
    serialization: Serialization,
}

/// What a statement says before it is known to be of a model.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinds {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
}

/// Why a statement is not taken.
pub(super) enum Refused {
    /// It is not as it should be.
    Malformed(String),
    /// It asks for what is not known here.
    Unsupported(String),
}

/// The statement on a model, as JSON.
pub(super) fn write(manifest: &Manifest) -> serde_json::Result<Vec<u8>> {
    let digest = BTreeMap::from([(SHA256.to_owned(), manifest.root_digest())]);
    serde_json::to_vec(&Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: vec![Subject { name: manifest.model.clone(), digest }],
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            resources: manifest.resources.clone(),
            serialization: manifest.serialization.clone(),
        },
    })
}

/// Reads a statement on a model.
pub(super) fn read(payload: &[u8]) -> Result<Manifest, Refused> {
    let malformed =
        |error: serde_json::Error| Refused::Malformed(format!("its statement: {error}"));
    let Kinds { kind, predicate_type } = serde_json::from_slice(payload).map_err(malformed)?;
    for (found, wanted) in [(&kind, STATEMENT_TYPE), (&predicate_type, PREDICATE_TYPE)] {
        if found != wanted {
            return Err(Refused::Unsupported(format!(
                "its statement is of type '{found}', not '{wanted}'; sign the model anew"
            )));
        }
    }
    let Statement { subject, predicate, .. } =
        serde_json::from_slice(payload).map_err(malformed)?;
    let Predicate { resources, serialization } = predicate;
    let subject: [Subject; 1] = subject.try_into().map_err(|all: Vec<Subject>| {
        Refused::Malformed(format!("its statement is on {} models, not one", all.len()))
    })?;
    let [Subject { name, digest }] = subject;
    let manifest = Manifest { model: name, serialization, resources };
    supported(&manifest)?;
    consistent(&manifest, digest.get(SHA256).map(String::as_str))?;
    Ok(manifest)
}

/// Whether files can be listed and hashed as a statement asks.
fn supported(manifest: &Manifest) -> Result<(), Refused> {
    let Serialization { method, hash_type, shard_size, .. } = &manifest.serialization;
    match (method.as_str(), shard_size) {
        ("files", None) | ("shards", Some(1..)) => {}
        ("files", Some(_)) => {
            return Err(Refused::Malformed("shard_size is for method 'shards'".to_owned()));
        }
        ("shards", _) => {
            return Err(Refused::Malformed("method 'shards' needs a shard_size".to_owned()));
        }
        (other, _) => {
            let problem =
                format!("its files are listed by method '{other}'; known are files and shards");
            return Err(Refused::Unsupported(problem));
        }
    }
    let of_pieces = shard_size.map(|size| format!("{SHA256}-sharded-{size}"));
    let unknown = |it: &&String| *it != SHA256 && Some(*it) != of_pieces.as_ref();
    let algorithms = manifest.resources.iter().map(|resource| &resource.algorithm);
    match algorithms.chain([hash_type]).find(unknown) {
        Some(other) => Err(Refused::Unsupported(format!(
            "its files are hashed with '{other}'; known is {SHA256}: sign the model anew with it"
        ))),
        None => Ok(()),
    }
}

/// Whether every file is named once, and the hash of the whole is that of the parts.
fn consistent(manifest: &Manifest, whole: Option<&str>) -> Result<(), Refused> {
    let mut names = BTreeSet::new();
    for resource in &manifest.resources {
        if from_hex(&resource.digest).is_none_or(|bytes| bytes.len() != 32) {
            let Resource { name, digest, .. } = resource;
            return Err(Refused::Malformed(format!("'{digest}' is no SHA-256 of '{name}'")));
        }
        if !names.insert(&resource.name) {
            return Err(Refused::Malformed(format!("it names '{}' twice", resource.name)));
        }
    }
    let own = manifest.root_digest();
    match whole {
        _ if names.is_empty() => Err(Refused::Malformed("it names no file".to_owned())),
        Some(whole) if whole == own => Ok(()),
        _ => Err(Refused::Malformed(format!(
            "the hash of the model is {}, its files give {own}",
            whole.unwrap_or("missing")
        ))),
    }
}
