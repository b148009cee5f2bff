//! A zoo without a common gauge, the baseline that alignment is measured against.

use std::path::PathBuf;

use clap::Args;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    ops::Registry,
    zoo::{Groups, Record, Tensors, Zoo},
};

use crate::Failure;

#[derive(Debug, Args)]
pub struct ShuffleZoo {
    /// Folder of the zoo
    zoo: PathBuf,
    /// Folder for the copy
    out: PathBuf,
    /// Seed of the permutations
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl ShuffleZoo {
    pub fn run(&self) -> Result<(), Failure> {
        let zoo = Zoo::open(&self.zoo)?;
        let mut copy = Zoo::create(&self.out, zoo.header())?;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let graphs: Vec<u64> = zoo.graphs().collect();
        for graph in graphs {
            let shuffled = zoo
                .of_graph(graph)
                .iter()
                .map(|record| shuffled(&zoo, record, &mut random))
                .collect::<Result<_, Failure>>()?;
            copy.add(graph, shuffled)?;
        }
        println!("{} checkpoints in {}", copy.records().len(), self.out.display());
        Ok(())
    }
}

/// A checkpoint that computes the same with its channels in another order.
fn shuffled(
    zoo: &Zoo,
    record: &Record,
    random: &mut ChaCha8Rng,
) -> Result<(Record, Tensors), Failure> {
    let registry = Registry::standard();
    let (_, architecture) = zoo.graph(record, &registry)?;
    let weights = zoo.weights(record, &architecture)?;
    let groups = Groups::of(&architecture, &registry);
    let mut permutations = groups.identity();
    permutations.iter_mut().for_each(|permutation| permutation.shuffle(random));
    let weights = groups.permute(&weights, &permutations)?;
    let tensors = Tensors::new(&architecture, &weights, zoo.header().precision)?;
    let record = Record { tensors: tensors.sha256().to_owned(), ..record.clone() };
    Ok((record, tensors))
}
