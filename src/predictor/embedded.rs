//! The files that travel inside the binary.

use super::outlook::FILE as OUTLOOK;

/// A predictor's folder inside the binary.
pub(super) struct Embedded {
    pub name: &'static str,
    pub config: &'static [u8],
    pub model: &'static [u8],
    /// `[graphs, images]`.
    pub sketches: [&'static [u8]; 2],
    pub outlook: Option<&'static [u8]>,
    pub card: &'static [u8],
}

macro_rules! file {
    ($name:literal, $file:literal) => {
        include_bytes!(concat!("../../predictors/", $name, "/", $file))
    };
}

macro_rules! embedded {
    ($name:literal) => {
        embedded!($name, None)
    };
    ($name:literal with outlook) => {
        embedded!($name, Some(file!($name, "outlook.json")))
    };
    ($name:literal, $outlook:expr) => {
        Embedded {
            name: $name,
            config: file!($name, "config.json"),
            model: file!($name, "model.safetensors"),
            sketches: [file!($name, "graphs.sketch"), file!($name, "images.sketch")],
            outlook: $outlook,
            card: file!($name, "README.md"),
        }
    };
}

/// Names of the predictors embedded in the binary; the first is the default.
pub const BUNDLED: [&str; 3] = [EMBEDDED[0].name, EMBEDDED[1].name, EMBEDDED[2].name];

// A `static`: the bytes of a constant are written anew into each unit of code that reads it.
pub(super) static EMBEDDED: [Embedded; 3] =
    [embedded!("diffusion"), embedded!("cifar10" with outlook), embedded!("mnist")];

/// The files of a bundled predictor's folder, with their names; `None` for any other name.
pub fn bundled_files(name: &str) -> Option<Vec<(&'static str, &'static [u8])>> {
    let embedded = EMBEDDED.iter().find(|embedded| embedded.name == name)?;
    let [graphs, images] = embedded.sketches;
    let mut files = vec![
        ("config.json", embedded.config),
        ("model.safetensors", embedded.model),
        ("graphs.sketch", graphs),
        ("images.sketch", images),
        ("README.md", embedded.card),
    ];
    files.extend(embedded.outlook.map(|outlook| (OUTLOOK, outlook)));
    Some(files)
}
