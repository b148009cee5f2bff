//! Signatures over the files of a model, as the OpenSSF Model Signing specification 1.0 writes them: a Sigstore
//! [`Bundle`] with a DSSE envelope around an in-toto statement, which holds a [`Manifest`] with the SHA-256 of every
//! file. Keys are files in PEM format; nothing is asked of any server. Names in a bundle are only compared with those
//! that are found in the folder, never opened.

mod bundle;
mod difference;
mod error;
mod files;
mod key;
mod manifest;
mod resource;
mod statement;

pub use bundle::{Bundle, Method};
pub use difference::Difference;
pub use error::SigningError;
pub use key::{PrivateKey, PublicKey};
pub use manifest::Manifest;
pub use resource::{Resource, Serialization};

use std::path::Path;

/// What a signature is called where nobody says otherwise.
pub const SIGNATURE: &str = "model.sig";

/// Signs all files of a folder, or a single file, and writes the bundle. A bundle that is there already is
/// replaced; it does not count as a file of the folder.
///
/// ```
/// use p256::{ecdsa::SigningKey, pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding}};
/// use weightsmith::signing::{Bundle, PrivateKey, PublicKey, SIGNATURE, sign};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let place = tempfile::tempdir()?;
/// let [private, public, model] = ["key.pem", "key.pub.pem", "model"].map(|name| place.path().join(name));
/// let key = SigningKey::from_slice(&[7; 32])?;
/// std::fs::write(&private, key.to_pkcs8_pem(LineEnding::LF)?)?;
/// std::fs::write(&public, key.verifying_key().to_public_key_pem(LineEnding::LF)?)?;
/// std::fs::create_dir(&model)?;
/// std::fs::write(model.join("weights.bin"), b"weights")?;
///
/// let signature = model.join(SIGNATURE);
/// sign(&model, &PrivateKey::open(&private)?, &signature)?;
///
/// let signed = Bundle::open(&signature)?.verify(&PublicKey::open(&public)?)?;
/// assert!(signed.differences(&model, &signature)?.is_empty());
/// std::fs::write(model.join("weights.bin"), b"other")?;
/// assert_eq!(signed.differences(&model, &signature)?[0].to_string(), "'weights.bin' was changed");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// There is nothing to sign, a file cannot be read or signed (see [`SigningError`]), or the bundle cannot be written.
pub fn sign(model: &Path, key: &PrivateKey, signature: &Path) -> Result<Manifest, SigningError> {
    let manifest = Manifest::of(model, signature)?;
    Bundle::of(signature, &manifest, key)?.write()?;
    Ok(manifest)
}
