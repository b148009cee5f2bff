//! A crate outside of this tree, which has the public API and nothing else.

use std::{env, fs, path::Path, process::Command};

use super::examples::check_custom_operator;

/// Normal dependencies of this crate that the example names.
const NAMED: [&str; 2] = ["burn", "tempfile"];

/// Its manifest. It has all of this crate's dev-dependencies, so that both have the same features of
/// every dependency, and what is compiled for one serves the other.
fn manifest(root: &Path) -> toml::Table {
    let own = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let own: toml::Table = own.parse().unwrap();
    let mut dependencies = own["dev-dependencies"].as_table().unwrap().clone();
    for name in NAMED {
        dependencies.insert(name.to_owned(), own["dependencies"][name].clone());
    }
    let features = [
        ("cli", cfg!(feature = "cli")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("cuda", cfg!(feature = "cuda")),
        ("remote", cfg!(feature = "remote")),
    ];
    let features = features.into_iter().filter(|(_, enabled)| *enabled);
    let weightsmith = toml::toml! { default-features = false }
        .into_iter()
        .chain([
            ("path".to_owned(), root.to_str().unwrap().into()),
            ("features".to_owned(), features.map(|(name, _)| name).collect::<Vec<_>>().into()),
        ])
        .collect();
    dependencies.insert("weightsmith".to_owned(), toml::Value::Table(weightsmith));
    let mut manifest = toml::toml! {
        [package]
        name = "outside"
        edition = "2024"

        [workspace]
    };
    manifest.insert("dependencies".to_owned(), dependencies.into());
    manifest.insert("profile".to_owned(), profile(own["profile"].clone()));
    manifest
}

/// The profile of this crate, for what both depend on. This crate itself is compiled once more, because
/// it is no member of the new crate's workspace; that is to be quick, not fast code.
fn profile(mut profile: toml::Value) -> toml::Value {
    let packages = profile["release"]["package"].as_table_mut().unwrap();
    packages.insert("weightsmith".to_owned(), toml::toml! { opt-level = 1 }.into());
    profile
}

#[test]
fn a_crate_outside_fills_and_trains_on_an_operator_of_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("Cargo.toml"), manifest(root).to_string()).unwrap();
    fs::copy(root.join("Cargo.lock"), at("Cargo.lock")).unwrap();
    fs::create_dir_all(at("src/stripes")).unwrap();
    for (from, to) in
        [("custom_operator.rs", "src/main.rs"), ("stripes/mod.rs", "src/stripes/mod.rs")]
    {
        fs::copy(root.join("examples").join(from), at(to)).unwrap();
    }
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let mut cargo = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo.args(["run", "--offline", "--quiet"]).current_dir(folder.path());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.env("CARGO_TARGET_DIR", profile.parent().unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    check_custom_operator(&String::from_utf8(output.stdout).unwrap());
}
