//! Writes a trained predictor small to carry, as those in `predictors` are: packed, and on top of another
//! one where it is built on that.
//! `cargo run --release --example publish_predictor runs/mine/predictor predictors/mine [BASE]`

use std::{env, error::Error, path::Path};

use weightsmith::predictor::Predictor;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (from, to, base) = match &arguments[..] {
        [from, to] => (from, to, None),
        [from, to, base] => (from, to, Some(base.as_str())),
        _ => return Err("usage: publish_predictor FROM TO [BASE]".into()),
    };
    Ok(Predictor::publish(Path::new(from), Path::new(to), base)?)
}
