//! Fills a network as a program would, and says how many of its values came from where.
//!
//! `cargo run --release --example fill -- model.onnx out` writes the files into the folder `out`; without
//! a folder nothing is written, without a model a small one of this repository is filled.

use std::{env, error::Error};

use burn::tensor::Device;
use weightsmith::{
    fill::{Counts, FillOptions, Network, fill},
    predictor::{BUNDLED, bundled},
};

fn main() -> Result<(), Box<dyn Error>> {
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/architectures/named/plain-cnn.onnx");
    let mut arguments = env::args().skip(1);
    let network = Network::open(arguments.next().as_deref().unwrap_or(small))?;
    let predictor = bundled(BUNDLED[0], &Device::flex())?;
    let filled = fill(&network, &predictor, &FillOptions::default())?;

    let Counts { predicted, kept, default, calibrated, skipped, .. } = filled.report().parameters;
    println!(
        "{predicted} values predicted, {kept} kept, {default} default, {calibrated} calibrated, \
         {skipped} skipped"
    );
    for tensor in filled.state_dict() {
        println!("{:<40} {:?}", tensor.name(), tensor.shape());
    }
    if let Some(folder) = arguments.next() {
        filled.write(folder)?;
    }
    Ok(())
}
