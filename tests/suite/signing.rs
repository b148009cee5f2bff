//! Signatures over the files of a model: own ones, and those that the specification publishes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64ct::{Base64, Encoding};
use p256::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use serde_json::Value;
use tempfile::TempDir;
use weightsmith::signing::{
    Bundle, Difference, Manifest, Method, PrivateKey, PublicKey, SIGNATURE, SigningError, sign,
};

use super::{
    beside::{repository, shared},
    cli::{json, weightsmith},
    digits::write_idx,
};

/// A folder for a model, with a pair of keys beside it.
struct Place(TempDir);

impl Place {
    /// Keys of P-256 from a number.
    fn new(number: u8) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let key = p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap();
        place.keys(&key, key.verifying_key());
        place
    }

    fn keys(&self, private: &impl EncodePrivateKey, public: &impl EncodePublicKey) {
        let private = private.to_pkcs8_pem(LineEnding::LF).unwrap();
        fs::write(self.path("key.pem"), private.as_bytes()).unwrap();
        fs::write(self.path("pub.pem"), public.to_public_key_pem(LineEnding::LF).unwrap()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn private(&self) -> PrivateKey {
        PrivateKey::open(&self.path("key.pem")).unwrap()
    }

    fn public(&self) -> PublicKey {
        PublicKey::open(&self.path("pub.pem")).unwrap()
    }

    /// Signs the folder `model`.
    fn sign(&self) -> Manifest {
        sign(&self.path("model"), &self.private(), &self.signature()).unwrap()
    }

    fn signature(&self) -> PathBuf {
        self.path("model").join(SIGNATURE)
    }

    fn verify(&self) -> Result<Vec<Difference>, SigningError> {
        let manifest = Bundle::open(&self.signature())?.verify(&self.public())?;
        manifest.differences(&self.path("model"), &self.signature())
    }
}

/// A model of three files, one of them in a folder, beside what is never signed.
fn model(number: u8) -> Place {
    let place = Place::new(number);
    place.write("model/weights.bin", &[1, 2, 3, 4]);
    place.write("model/config.json", b"{}");
    place.write("model/parts/a.bin", &[5; 100]);
    place.write("model/.git/HEAD", b"never signed");
    place
}

fn said(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

#[test]
fn every_change_of_a_signed_folder_is_found_and_named() {
    let place = model(7);
    let manifest = place.sign();
    let names: Vec<&str> = manifest.resources.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["config.json", "parts/a.bin", "weights.bin"]);
    assert_eq!(place.verify().unwrap(), []);

    place.write("model/weights.bin", &[1, 2, 3, 5]);
    assert_eq!(said(&place.verify().unwrap()), ["'weights.bin' was changed"]);
    place.write("model/weights.bin", &[1, 2, 3, 4]);

    let [from, to] = ["model/parts/a.bin", "model/parts/b.bin"].map(|name| place.path(name));
    fs::rename(&from, &to).unwrap();
    assert_eq!(said(&place.verify().unwrap()), ["'parts/a.bin' was renamed to 'parts/b.bin'"]);
    fs::rename(&to, &from).unwrap();

    place.write("model/parts/more.bin", b"more");
    assert_eq!(said(&place.verify().unwrap()), ["'parts/more.bin' was not signed"]);
    fs::remove_file(place.path("model/parts/more.bin")).unwrap();

    fs::remove_file(place.path("model/config.json")).unwrap();
    assert_eq!(said(&place.verify().unwrap()), ["'config.json' is missing"]);
    place.write("model/config.json", b"{}");

    // A folder that is ignored at the top counts further down.
    place.write("model/.git/HEAD", b"anything");
    place.write("model/parts/.git/HEAD", b"counts");
    assert_eq!(said(&place.verify().unwrap()), ["'parts/.git/HEAD' was not signed"]);
}

#[test]
fn the_same_files_and_key_give_the_same_signature() {
    let [one, other] = [model(7), model(7)];
    assert_eq!(one.sign(), other.sign());
    let read = |place: &Place| fs::read(place.signature()).unwrap();
    assert_eq!(read(&one), read(&other));
    // The signature is no part of what is signed.
    one.sign();
    assert_eq!(read(&one), read(&other));
}

#[test]
fn keys_of_both_curves_sign_and_a_single_file_is_signed_by_its_name() {
    let place = model(7);
    let key = p384::ecdsa::SigningKey::from_slice(&[9; 48]).unwrap();
    place.keys(&key, key.verifying_key());
    place.sign();
    assert_eq!(place.verify().unwrap(), []);

    let [file, signature] = ["model/weights.bin", "weights.sig"].map(|name| place.path(name));
    let manifest = sign(&file, &place.private(), &signature).unwrap();
    assert_eq!(manifest.resources[0].name, "weights.bin");
    assert!(manifest.is_of_file("weights.bin") && !manifest.is_of_file("config.json"));
    assert_eq!(manifest.differences(&file, &signature).unwrap(), []);
    let other = manifest.differences(&place.path("model/config.json"), &signature).unwrap();
    assert_eq!(said(&other), ["'weights.bin' is missing", "'config.json' was not signed"]);
}

#[test]
fn another_key_or_a_changed_statement_is_no_signature() {
    let place = model(7);
    place.sign();
    let other = Place::new(8);
    let refused = Bundle::open(&place.signature()).unwrap().verify(&other.public()).unwrap_err();
    assert!(refused.to_string().ends_with("was signed with another key"), "{refused}");

    let mut bundle: Value = serde_json::from_slice(&fs::read(place.signature()).unwrap()).unwrap();
    let payload = &mut bundle["dsseEnvelope"]["payload"];
    let statement = Base64::decode_vec(payload.as_str().unwrap()).unwrap();
    let statement = String::from_utf8(statement).unwrap().replace("weights.bin", "weights.bim");
    *payload = Base64::encode_string(statement.as_bytes()).into();
    fs::write(place.signature(), bundle.to_string()).unwrap();
    let refused = place.verify().unwrap_err();
    assert!(matches!(refused, SigningError::Signature { other_key: false, .. }), "{refused}");
}

#[test]
fn what_cannot_be_signed_is_refused_with_what_to_do() {
    let place = model(7);
    let refused = |result: Result<Manifest, SigningError>| result.unwrap_err().to_string();
    fs::create_dir(place.path("empty")).unwrap();
    let empty = place.path("empty");
    let said = refused(sign(&empty, &place.private(), &empty.join(SIGNATURE)));
    assert!(said.contains("no files to sign"), "{said}");
    for (text, advice) in [
        ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "topk8"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "private one"),
        ("nothing", "openssl genpkey"),
    ] {
        place.write("other.pem", text.as_bytes());
        let said = PrivateKey::open(&place.path("other.pem")).unwrap_err().to_string();
        assert!(said.contains(advice), "{said}");
    }
    let said = PublicKey::open(&place.path("key.pem")).unwrap_err().to_string();
    assert!(said.contains("openssl pkey -pubout"), "{said}");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/hostname", place.path("model/link")).unwrap();
        let said = refused(sign(&place.path("model"), &place.private(), &place.signature()));
        assert!(said.contains("symbolic link"), "{said}");
    }
}

#[test]
fn the_program_signs_what_it_predicts_and_verifies_it() {
    let place = Place::new(7);
    let network = repository("architectures/named/plain-cnn.onnx").display().to_string();
    let [key, public, out] = ["key.pem", "pub.pem", "out"].map(|name| place.text(name));
    let predict = ["predict", &network, "--out", &out, "--device", "flex", "--json", "--sign"];
    let output = weightsmith(&[&predict[..], &[&public]].concat());
    assert_eq!(output.status.code(), Some(2), "a public key does not sign");
    assert!(!Path::new(&out).exists());
    let output = weightsmith(&[&predict[..], &[&key]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = json(&output)["files"].as_array().unwrap().clone();
    assert_eq!(files.last().unwrap(), &format!("{out}/{SIGNATURE}"));

    let file = format!("{out}/plain-cnn.onnx");
    let verify = |path: &str, key: &str| weightsmith(&["verify", path, "--key", key, "--json"]);
    for path in [&file, &out] {
        let output = verify(path, &public);
        assert_eq!(output.status.code(), Some(0), "{}", json(&output));
        assert!(json(&output)["checks"].to_string().contains("5 signed files"));
    }
    assert!(json(&verify(&file, &public))["checks"].to_string().contains("metadata"));

    fs::write(format!("{out}/stray.txt"), b"stray").unwrap();
    let output = verify(&file, &public);
    assert_eq!(output.status.code(), Some(1));
    assert!(json(&output)["checks"].to_string().contains("'stray.txt' was not signed"));
    let other = Place::new(8);
    assert_eq!(verify(&out, &other.text("pub.pem")).status.code(), Some(1));

    let sign = |further: &[&str]| weightsmith(&[&["sign", &out, "--key", &key], further].concat());
    assert_eq!(sign(&[]).status.code(), Some(2));
    assert!(sign(&["--force"]).status.success());
    assert_eq!(verify(&out, &public).status.code(), Some(0));
    assert!(weightsmith(&["sign", &file, "--key", &key]).status.success());
    let output = verify(&file, &public);
    assert!(json(&output)["checks"].to_string().contains("1 signed files"), "{}", json(&output));
}

#[test]
fn every_command_that_writes_a_network_signs_it() {
    let place = Place::new(7);
    let network = repository("architectures/named/plain-cnn.onnx").display().to_string();
    let [key, public, data] = ["key.pem", "pub.pem", "data"].map(|name| place.text(name));
    fs::create_dir(&data).unwrap();
    write_idx(Path::new(&data));
    let done = |arguments: &[&str]| {
        let output = weightsmith(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{arguments:?}: {said}");
    };
    let predicted = |seed: &str| {
        let out = place.text(&format!("seed-{seed}"));
        done(&["predict", &network, "--out", &out, "--device", "flex", "--seed", seed]);
        format!("{out}/plain-cnn.onnx")
    };
    let (first, second) = (predicted("0"), predicted("1"));
    let few = ["--epochs", "1", "--support", &data];
    let commands: [&[&str]; 4] = [
        &["merge", &first, &second],
        &["edit", &first, "--add", &second],
        &[&["finetune", &first], &few[..]].concat(),
        &[&["adapt", &first, "--method", "norms"], &few[..]].concat(),
    ];
    for command in commands {
        let out = place.text(command[0]);
        done(&[command, &["--out", &out, "--sign", &key]].concat());
        let output = weightsmith(&["verify", &out, "--key", &public]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}: {said}", command[0]);
    }
}

/// The bundles of a folder of published vectors.
fn published(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The public key of the published vectors, out of the certificate of one of them.
fn published_key(certificate: &Path) -> String {
    let bundle: Value = serde_json::from_slice(&fs::read(certificate).unwrap()).unwrap();
    let chain = &bundle["verificationMaterial"]["x509CertificateChain"]["certificates"];
    let certificate = Base64::decode_vec(chain[0]["rawBytes"].as_str().unwrap()).unwrap();
    // An SPKI of P-384 is 120 bytes long and begins so.
    let start = [0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let at = certificate.windows(start.len()).position(|window| window == start).unwrap();
    let text = Base64::encode_string(&certificate[at..at + 120]);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[test]
fn published_vectors_are_taken_and_refused_as_they_should_be() {
    let Some(vectors) = shared("standards/model-signing/test-vectors/v1.0") else { return };
    let methods: Vec<Method> = published(&vectors.join("valid"))
        .iter()
        .map(|path| Bundle::open(path).unwrap_or_else(|error| panic!("{error}")).method())
        .collect();
    assert_eq!(methods, [Method::CertificateChain, Method::Key, Method::Sigstore]);
    for path in published(&vectors.join("invalid")) {
        let refused = Bundle::open(&path).unwrap_err();
        assert!(matches!(refused, SigningError::Bundle { .. }), "{refused}");
    }

    let place = Place::new(7);
    place
        .write("pub.pem", published_key(&vectors.join("valid/certificate.bundle.json")).as_bytes());
    let key = place.public();
    let manifest = Bundle::open(&vectors.join("valid/key.bundle.json")).unwrap().verify(&key);
    let manifest = manifest.unwrap();
    let names: Vec<&str> = manifest.resources.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["signme-1", "signme-2"]);
    // The files that the vectors were made of, by their hashes.
    place.write("model/signme-1", b"signme-1\n");
    place.write("model/signme-2", b"signme-2");
    place.write("model/ignore-me", b"listed as ignored");
    let model = place.path("model");
    assert_eq!(manifest.differences(&model, &place.signature()).unwrap(), []);
    place.write("model/signme-2", b"signme-3");
    let differences = manifest.differences(&model, &place.signature()).unwrap();
    assert_eq!(said(&differences), ["'signme-2' was changed"]);

    for path in published(&vectors.join("invalid-payload")) {
        assert!(Bundle::open(&path).unwrap().verify(&key).is_err(), "{}", path.display());
    }
    for method in ["certificate", "sigstore"] {
        let path = vectors.join(format!("valid/{method}.bundle.json"));
        let refused = Bundle::open(&path).unwrap().verify(&key).unwrap_err();
        assert!(matches!(refused, SigningError::Unsupported { .. }), "{refused}");
    }
}

/// A statement that the key of a place has signed, as it stands in its bundle.
struct Signed {
    place: Place,
    bundle: Value,
    statement: String,
}

impl Signed {
    fn new() -> Self {
        let place = model(7);
        place.sign();
        let bundle: Value = serde_json::from_slice(&fs::read(place.signature()).unwrap()).unwrap();
        let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
        let statement = String::from_utf8(Base64::decode_vec(payload).unwrap()).unwrap();
        Self { place, bundle, statement }
    }

    /// What comes of another statement with a good signature.
    fn verify(&self, statement: &str) -> Result<Vec<Difference>, SigningError> {
        assert_ne!(statement, self.statement);
        let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let head =
            format!("DSSEv1 28 application/vnd.in-toto+json {} {statement}", statement.len());
        let signature: p256::ecdsa::DerSignature =
            p256::ecdsa::signature::Signer::sign(&key, head.as_bytes());
        let mut bundle = self.bundle.clone();
        bundle["dsseEnvelope"]["payload"] = Base64::encode_string(statement.as_bytes()).into();
        bundle["dsseEnvelope"]["signatures"][0]["sig"] =
            Base64::encode_string(signature.as_bytes()).into();
        fs::write(self.place.signature(), bundle.to_string()).unwrap();
        self.place.verify()
    }
}

#[test]
fn a_statement_of_another_kind_is_refused_even_with_a_good_signature() {
    let signed = Signed::new();
    let statement = &signed.statement;
    let first = statement.find("\"digest\":\"").unwrap() + 10;
    let digest = &statement[first..first + 64];
    for (from, to, problem) in [
        ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v2", "is of type"),
        ("https://model_signing/signature/v1.0", "https://example.com/other", "is of type"),
        (
            "\"sha256\",\"allow_symlinks\"",
            "\"blake2b\",\"allow_symlinks\"",
            "hashed with 'blake2b'",
        ),
        ("\"method\":\"files\"", "\"method\":\"other\"", "by method 'other'"),
        ("\"method\":\"files\"", "\"method\":\"shards\"", "needs a shard_size"),
        ("config.json", "weights.bin", "names 'weights.bin' twice"),
        (digest, &digest.to_uppercase(), "is no SHA-256"),
        (digest, &"0".repeat(64), "the hash of the model is"),
    ] {
        let refused = signed.verify(&statement.replace(from, to)).unwrap_err().to_string();
        assert!(refused.contains(problem), "{from}: {refused}");
    }
}

#[test]
fn hashes_of_pieces_may_be_named_after_their_size() {
    let signed = Signed::new();
    let method = "\"method\":\"files\",\"hash_type\":\"sha256\"";
    let pieces = "\"method\":\"shards\",\"hash_type\":\"sha256\",\"shard_size\":1000";
    let mut statement = signed.statement.replace(method, pieces);
    for (name, length) in [("config.json", 2), ("parts/a.bin", 100), ("weights.bin", 4)] {
        statement = statement.replace(name, &format!("{name}:0:{length}"));
    }
    assert_eq!(signed.verify(&statement).unwrap(), []);
    let named = |name: &str| {
        statement.replace("\"algorithm\":\"sha256\"", &format!("\"algorithm\":\"{name}\""))
    };
    assert_eq!(signed.verify(&named("sha256-sharded-1000")).unwrap(), []);
    let refused = signed.verify(&named("sha256-sharded-999")).unwrap_err().to_string();
    assert!(refused.contains("hashed with 'sha256-sharded-999'"), "{refused}");
}
