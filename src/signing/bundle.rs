//! The file that a signature is: a Sigstore bundle around a DSSE envelope.

use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{FileError, onnx::atomic};

use super::{
    SigningError,
    key::{PrivateKey, PublicKey},
    manifest::Manifest,
    statement::{self, PAYLOAD_TYPE, Refused},
};

/// What bundles that are written say of themselves; those that are read may be of another version.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const MEDIA_TYPES: &str = "application/vnd.dev.sigstore.bundle";
/// Most bytes of a bundle: a million files take less.
const LARGEST: u64 = 256 << 20;

/// A signature as a file.
#[derive(Clone, Debug)]
pub struct Bundle {
    path: PathBuf,
    content: Content,
    /// The statement, decoded.
    payload: Vec<u8>,
}

/// How a bundle says who signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By a public key, which whoever checks has to have.
    Key,
    /// By a chain of certificates.
    CertificateChain,
    /// By a certificate of Sigstore and an entry in its log.
    Sigstore,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    media_type: String,
    verification_material: VerificationMaterial,
    dsse_envelope: Envelope,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationMaterial {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<KeyIdentifier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x509_certificate_chain: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<Value>,
    #[serde(default)]
    tlog_entries: Option<Vec<Value>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyIdentifier {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What older programs write in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_bytes: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Signature {
    sig: String,
    #[serde(default)]
    keyid: Option<String>,
}

impl Bundle {
    /// Signs the files of a model; the bundle is yet to be written.
    pub fn of(path: &Path, manifest: &Manifest, key: &PrivateKey) -> Result<Self, SigningError> {
        let refuse = |problem| SigningError::Bundle { path: path.to_owned(), problem };
        let payload = statement::write(manifest).map_err(|error| refuse(error.to_string()))?;
        let signature = key.sign(&signed_bytes(&payload));
        let signature = signature.ok_or_else(|| refuse("the key does not sign".to_owned()))?;
        let sig = Base64::encode_string(&signature);
        let hint = Some(key.hint().to_owned());
        let content = Content {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: VerificationMaterial {
                public_key: Some(KeyIdentifier { hint, raw_bytes: None }),
                tlog_entries: Some(Vec::new()),
                ..VerificationMaterial::default()
            },
            dsse_envelope: Envelope {
                payload: Base64::encode_string(&payload),
                payload_type: PAYLOAD_TYPE.to_owned(),
                signatures: vec![Signature { sig, keyid: Some(String::new()) }],
            },
        };
        Ok(Self { path: path.to_owned(), content, payload })
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self) -> Result<(), SigningError> {
        let written = atomic::write_json(&self.path, &self.content);
        Ok(written.map_err(FileError::at(&self.path))?)
    }

    /// Reads a file. Nothing in it is believed before [`Bundle::verify`].
    ///
    /// # Errors
    ///
    /// The file cannot be read or is no bundle.
    pub fn open(path: &Path) -> Result<Self, SigningError> {
        let size = std::fs::metadata(path).map_err(FileError::at(path))?.len();
        if size > LARGEST {
            let problem = format!("{size} bytes are more than {LARGEST}");
            return Err(SigningError::Bundle { path: path.to_owned(), problem });
        }
        Self::parse(path, &std::fs::read(path).map_err(FileError::at(path))?)
    }

    /// As [`Bundle::open`], of what a file holds.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, SigningError> {
        let refuse = |problem| SigningError::Bundle { path: path.to_owned(), problem };
        let content: Content =
            serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        let Content { media_type, verification_material, dsse_envelope } = &content;
        if !media_type.starts_with(MEDIA_TYPES) {
            return Err(refuse(format!("mediaType is '{media_type}', not '{MEDIA_TYPE}'")));
        }
        if verification_material.method().is_none() {
            let problem = "verificationMaterial names neither a key nor certificates as it should";
            return Err(refuse(problem.to_owned()));
        }
        if dsse_envelope.payload_type != PAYLOAD_TYPE {
            let found = &dsse_envelope.payload_type;
            return Err(refuse(format!("payloadType is '{found}', not '{PAYLOAD_TYPE}'")));
        }
        if dsse_envelope.signatures.is_empty() {
            return Err(refuse("it holds no signature".to_owned()));
        }
        let payload = Base64::decode_vec(&dsse_envelope.payload)
            .map_err(|_| refuse("its payload is not in Base64".to_owned()))?;
        Ok(Self { path: path.to_owned(), content, payload })
    }

    /// How it says who signed.
    pub fn method(&self) -> Method {
        self.content.verification_material.method().unwrap_or(Method::Key)
    }

    /// What was signed, if the key signed it.
    ///
    /// # Errors
    ///
    /// [`SigningError::Signature`] if it did not; or the bundle is signed otherwise than with a key, or its statement
    /// is none on the files of a model, or asks for more than is known here.
    pub fn verify(&self, key: &PublicKey) -> Result<Manifest, SigningError> {
        let path = || self.path.clone();
        if self.method() != Method::Key {
            let problem = "is signed with certificates; only keys are known here".to_owned();
            return Err(SigningError::Unsupported { path: path(), problem });
        }
        let message = signed_bytes(&self.payload);
        let made = |signature: &Signature| {
            Base64::decode_vec(&signature.sig).is_ok_and(|signature| key.made(&signature, &message))
        };
        if !self.content.dsse_envelope.signatures.iter().any(made) {
            let identifier = self.content.verification_material.public_key.as_ref();
            let hint = identifier.and_then(|identifier| identifier.hint.as_deref());
            let other_key = hint.is_some_and(|hint| hint != key.hint());
            return Err(SigningError::Signature { path: path(), other_key });
        }
        statement::read(&self.payload).map_err(|refused| match refused {
            Refused::Malformed(problem) => SigningError::Bundle { path: path(), problem },
            Refused::Unsupported(problem) => SigningError::Unsupported { path: path(), problem },
        })
    }
}

impl VerificationMaterial {
    /// `None` if it is not as any method asks.
    fn method(&self) -> Option<Method> {
        if let Some(KeyIdentifier { hint, raw_bytes }) = &self.public_key {
            return (hint.is_some() || raw_bytes.is_some()).then_some(Method::Key);
        }
        if self.x509_certificate_chain.is_some() {
            return Some(Method::CertificateChain);
        }
        let logged = self.tlog_entries.as_ref().is_some_and(|entries| !entries.is_empty());
        (self.certificate.is_some() && logged).then_some(Method::Sigstore)
    }
}

/// What is signed in place of a payload, so that its type is signed with it (DSSE's pre-authentication encoding).
fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
