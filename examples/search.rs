//! A search for a good cell with `rank` as its judge:
//! `cargo run --release --example search -- --seconds 600 --data ../shared/data/cifar10.tar.xz`.
//!
//! Cells of NAS-Bench-201 evolve (Real et al. 2019, *Regularized evolution*): of the cells alive, one of the
//! best by `auto` gets one operator changed, and the oldest goes. No network is trained on the way. At the end
//! the winner is trained beside cells drawn at random; without `--data`, on drawings of stripes.

mod stripes;

use std::{
    collections::VecDeque,
    env,
    error::Error,
    path::PathBuf,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use weightsmith::{
    data::{Augmentation, Dataset, Split},
    evaluate::{judge, train_with_sgd},
    execute::Program,
    fill::Network,
    onnx::Model,
    predictor::InputConfig,
    rank::{Judge, ProbeOptions, Record, ScoreSelection, ranking},
    spaces::Code,
};

/// Operators of an edge.
const OPERATORS: [&str; 5] =
    ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"];
/// Cells alive.
const POPULATION: usize = 32;
/// Cells that compete to have a child.
const COMPETITORS: usize = 8;
/// Random cells that are trained beside the winner.
const PICKS: usize = 3;

/// An operator for each of the six edges.
type Cell = [usize; 6];

/// The cell as NAS-Bench-201 writes it.
fn text(cell: &Cell) -> String {
    let [a, b, c, d, e, f] = cell.map(|operator| OPERATORS[operator]);
    format!("|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|")
}

/// One cell a stage, as that is enough to rank by and quick to train.
fn network(cell: &Cell) -> Result<Network, Box<dyn Error>> {
    let code = Code::nas_bench_201(&text(cell))?;
    let model = Model::from_bytes("cell", code.reduced().into())?;
    Ok(Network::of(model, Default::default())?)
}

fn draw(random: &mut StdRng) -> Cell {
    std::array::from_fn(|_| random.random_range(0..OPERATORS.len()))
}

/// A cell with one other operator.
fn mutated(cell: &Cell, random: &mut StdRng) -> Cell {
    let mut child = *cell;
    let edge = random.random_range(0..child.len());
    let step = random.random_range(1..OPERATORS.len());
    child[edge] = (child[edge] + step) % OPERATORS.len();
    child
}

fn evolve(time: Duration, random: &mut StdRng) -> Result<(Cell, usize), Box<dyn Error>> {
    let selection = ScoreSelection::parse(&["auto".to_owned()])?;
    let options = ProbeOptions { predictor: "diffusion", data: None, size: 16, batch: 16, seed: 0 };
    let (judge, _) = Judge::new(&selection, &options)?;
    let scored = |cell: Cell| -> Result<(Cell, Record), Box<dyn Error>> {
        let network = network(&cell)?;
        Ok((cell, judge.judge(&network.architecture, &network.registry)?))
    };
    // The best of some cells; places are relative to those beside them.
    let best = |cells: &[&(Cell, Record)]| -> Cell {
        let records = cells.iter().enumerate().map(|(at, (_, it))| (at.to_string(), it.clone()));
        let ranked = ranking(records.collect(), selection.aggregate());
        let first = ranked.rows[0].file.parse::<usize>().unwrap_or(0);
        cells[first].0
    };
    let started = Instant::now();
    let mut alive = VecDeque::new();
    let mut judged = 0;
    while judged < POPULATION || started.elapsed() < time {
        let cell = if judged < POPULATION {
            draw(random)
        } else {
            let all: Vec<&(Cell, Record)> = alive.iter().collect();
            let competitors: Vec<_> = all.choose_multiple(random, COMPETITORS).copied().collect();
            mutated(&best(&competitors), random)
        };
        alive.push_back(scored(cell)?);
        if alive.len() > POPULATION {
            alive.pop_front();
        }
        judged += 1;
    }
    Ok((best(&alive.iter().collect::<Vec<_>>()), judged))
}

/// Accuracy on test images after some epochs of SGD.
fn train(
    cell: &Cell,
    [training, test]: [&Dataset; 2],
    epochs: usize,
    seed: u64,
) -> Result<f64, Box<dyn Error>> {
    let network = network(cell)?;
    let Network { architecture, registry, .. } = &network;
    let [_, size, _] = network.image_shape()?;
    let normalisation = training.normalisation();
    let input = InputConfig { mean: normalisation.mean, std: normalisation.std, size };
    let program = Program::compile(architecture, registry)?;
    let changes = Augmentation::Shift;
    let weights = train_with_sgd(architecture, &program, training, &input, changes, epochs, seed)?;
    Ok(judge(architecture, registry, &weights, test, &input, test.len())?.top1)
}

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |name: &str| {
        let place = env::args().position(|it| it == format!("--{name}"))?;
        env::args().nth(place + 1)
    };
    let number = |name: &str, default: u64| argument(name).map_or(Ok(default), |it| it.parse());
    let (seconds, epochs, seed) =
        (number("seconds", 600)?, number("epochs", 5)?, number("seed", 0)?);
    let images = number("images", 10_000)? as usize;
    let mut random = StdRng::seed_from_u64(seed);
    let (winner, judged) = evolve(Duration::from_secs(seconds), &mut random)?;
    println!("the best of {judged} cells: {}", text(&winner));

    let folder = tempfile::tempdir()?;
    let data = match argument("data") {
        Some(path) => PathBuf::from(path),
        None => {
            stripes::write(folder.path())?;
            folder.path().to_owned()
        }
    };
    let open = |split| Ok::<_, Box<dyn Error>>(Dataset::open(&data, split)?.with_channels(3)?);
    let training = open(Split::Train)?.filtered(|_, index| index < images);
    let test = open(Split::Test)?;
    let trained = |cell: &Cell| train(cell, [&training, &test], epochs as usize, seed);
    println!("trained for {epochs} epochs, it classifies {:.1} %", 100.0 * trained(&winner)?);
    for _ in 0..PICKS {
        let pick = draw(&mut random);
        println!("a random cell, {}, {:.1} %", text(&pick), 100.0 * trained(&pick)?);
    }
    Ok(())
}
