//! Keys of ECDSA in PEM files, over the curves P-256 (with SHA-256) and P-384 (with SHA-384).

use std::{fmt, path::Path};

use p256::{
    ecdsa::signature::{Keypair, SignatureEncoding, Signer, Verifier},
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey, LineEnding},
};

use crate::{FileError, onnx::sha256};

use super::SigningError;

/// Signs a message; `None` if the key cannot.
type Sign = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;
/// Whether a signature, in DER, is one of a message.
type Check = Box<dyn Fn(&[u8], &[u8]) -> bool + Send + Sync>;

/// A key that signs.
pub struct PrivateKey {
    sign: Sign,
    hint: String,
}

/// A key that signatures are checked with.
pub struct PublicKey {
    check: Check,
    hint: String,
}

impl PrivateKey {
    /// Reads a private key in PKCS #8, as `openssl genpkey` writes it, without a password.
    ///
    /// # Errors
    ///
    /// The file cannot be read or holds no such key.
    pub fn open(path: &Path) -> Result<Self, SigningError> {
        let pem = read(path)?;
        let key = private::<p256::ecdsa::SigningKey, p256::ecdsa::DerSignature>(&pem);
        let key =
            key.or_else(|| private::<p384::ecdsa::SigningKey, p384::ecdsa::DerSignature>(&pem));
        key.ok_or_else(|| {
            let seen = match pem.lines().find(|line| line.starts_with("-----BEGIN ")) {
                Some("-----BEGIN EC PRIVATE KEY-----" | "-----BEGIN EC PARAMETERS-----") => {
                    "a key in SEC1; convert it with `openssl pkcs8 -topk8 -nocrypt`"
                }
                Some("-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
                    "a key with a password; take it off with `openssl pkcs8 -topk8 -nocrypt`"
                }
                Some("-----BEGIN PUBLIC KEY-----") => "a public key; signing takes the private one",
                _ => {
                    "not a private key of P-256 or P-384 in PEM; `openssl genpkey -algorithm EC -pkeyopt \
                     ec_paramgen_curve:P-256` makes one"
                }
            };
            SigningError::Key { path: path.to_owned(), problem: seen.to_owned() }
        })
    }

    /// SHA-256 of the public key in PEM, in hexadecimal: what bundles call the key.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// The signature of a message, in DER; the same for the same message.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        (self.sign)(message)
    }
}

impl PublicKey {
    /// Reads a public key, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    ///
    /// The file cannot be read or holds no such key.
    pub fn open(path: &Path) -> Result<Self, SigningError> {
        let pem = read(path)?;
        let key = public::<p256::ecdsa::VerifyingKey, p256::ecdsa::DerSignature>(&pem);
        let key =
            key.or_else(|| public::<p384::ecdsa::VerifyingKey, p384::ecdsa::DerSignature>(&pem));
        key.ok_or_else(|| SigningError::Key {
            path: path.to_owned(),
            problem: "not a public key of P-256 or P-384 in PEM; `openssl pkey -pubout` writes that of a private key"
                .to_owned(),
        })
    }

    /// SHA-256 of the key in PEM, in hexadecimal: what bundles call the key.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether this key made a signature of a message.
    pub(super) fn made(&self, signature: &[u8], message: &[u8]) -> bool {
        (self.check)(signature, message)
    }
}

impl fmt::Debug for PrivateKey {
    /// Nothing of the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("hint", &self.hint).finish_non_exhaustive()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("hint", &self.hint).finish_non_exhaustive()
    }
}

/// The text of a file, with what is no text replaced.
fn read(path: &Path) -> Result<String, SigningError> {
    let bytes = std::fs::read(path).map_err(FileError::at(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn private<K, S>(pem: &str) -> Option<PrivateKey>
where
    K: DecodePrivateKey
        + Keypair<VerifyingKey: EncodePublicKey>
        + Signer<S>
        + Send
        + Sync
        + 'static,
    S: SignatureEncoding,
{
    let key = K::from_pkcs8_pem(pem.trim_start()).ok()?;
    let hint = hint(&key.verifying_key())?;
    let sign = move |message: &[u8]| Some(key.try_sign(message).ok()?.to_vec());
    Some(PrivateKey { sign: Box::new(sign), hint })
}

fn public<K, S>(pem: &str) -> Option<PublicKey>
where
    K: DecodePublicKey + EncodePublicKey + Verifier<S> + Send + Sync + 'static,
    S: SignatureEncoding,
{
    // Tools write what the key is in words before it.
    let start = pem.find("-----BEGIN PUBLIC KEY-----")?;
    let key = K::from_public_key_pem(pem[start..].trim_end()).ok()?;
    let hint = hint(&key)?;
    let check = move |signature: &[u8], message: &[u8]| {
        S::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
    };
    Some(PublicKey { check: Box::new(check), hint })
}

fn hint(key: &impl EncodePublicKey) -> Option<String> {
    Some(sha256(key.to_public_key_pem(LineEnding::LF).ok()?.as_bytes()))
}
