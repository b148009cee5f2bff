//! Planted copies and independent networks, audited.

use std::{error::Error, fs, path::PathBuf};

use burn::tensor::Device;
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    audit::CopyAudit,
    evaluate::blurred,
    fill::Network,
    graph::Weights,
    predictor::{BUNDLED, bundled},
    weights::he_initialisation,
};

use super::{
    changes::{Course, STEPS, reorder, with},
    graphs::smallest,
    table::rate,
};

/// Trained networks that copies are made of, and independent ones, of each graph.
const REFERENCES: u64 = 4;
/// What copies are planted with: noise, relative to each tensor; channels are reordered, too.
const NOISES: [f32; 3] = [0.0, 0.02, 0.1];

#[derive(Debug, Args)]
pub struct AuditArgs {
    /// The data set
    data: PathBuf,
    /// The smallest N graphs of all splits together
    #[arg(long, default_value_t = 24)]
    graphs: usize,
}

/// Networks of one kind.
struct Row {
    name: String,
    distances: Vec<f64>,
    copies: usize,
}

impl AuditArgs {
    pub fn run(&self) -> Result<(), Box<dyn Error>> {
        let course = Course::on(&self.data, &bundled(BUNDLED[0], &Device::flex())?)?;
        let planted = NOISES.map(|noise| format!("copy, reordered, {} % noise", 100.0 * noise));
        let names = planted
            .into_iter()
            .chain(["copy, reordered, 200 steps", "independent"].map(str::to_owned));
        let mut rows: Vec<Row> =
            names.map(|name| Row { name, distances: Vec::new(), copies: 0 }).collect();
        for network in smallest(self.graphs)? {
            let folder = tempfile::tempdir()?;
            let mut references = Vec::new();
            for seed in 0..REFERENCES {
                let reference = trained(&network, seed, &course)?;
                let file = with(&network, &reference)?;
                fs::write(folder.path().join(format!("{seed}.onnx")), file.model.bytes())?;
                references.push(reference);
            }
            let audit = |row: &mut Row, weights: &Weights| -> Result<(), Box<dyn Error>> {
                let network = with(&network, weights)?;
                let references = folder.path();
                let report =
                    CopyAudit { network: &network, references, images: None, seed: 0 }.run()?;
                row.distances.push(report.nearest.after);
                row.copies += usize::from(report.copy);
                Ok(())
            };
            for (seed, reference) in references.iter().enumerate() {
                let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
                let copy = reorder(&network, reference, &mut random)?;
                for (row, noise) in rows.iter_mut().zip(NOISES) {
                    audit(row, &blurred(&network.architecture, &copy, noise, seed as u64))?;
                }
                audit(&mut rows[NOISES.len()], &course.train(&network, copy, STEPS)?)?;
                let other = trained(&network, REFERENCES + seed as u64, &course)?;
                audit(&mut rows[NOISES.len() + 1], &other)?;
            }
            eprintln!("{}", network.model.name());
        }
        for Row { name, distances, copies } in rows {
            let [least, most] = [f64::min, f64::max].map(|of: fn(f64, f64) -> f64| {
                distances.iter().copied().reduce(of).unwrap_or(f64::NAN)
            });
            println!("{name}: distance {least:.3} to {most:.3}");
            rate("    taken for a copy", copies, distances.len());
        }
        Ok(())
    }
}

/// Weights trained from He initialisation, by seeds that audits do not draw strangers with.
fn trained(network: &Network, seed: u64, course: &Course) -> Result<Weights, Box<dyn Error>> {
    course.train(network, he_initialisation(&network.architecture, 1000 + seed), STEPS)
}
