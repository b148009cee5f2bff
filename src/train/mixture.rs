//! The graphs of a run: those of its space and of others beside it, each with a share of the tasks.

use std::sync::Arc;

use rand::{
    Rng,
    distr::{Distribution, weighted::WeightedIndex},
};

use super::{
    GraphPool, GraphReader, GraphSource, PreparedGraph, TrainConfig, TrainError, config::Cost,
};

/// Draws after which no graph is expected to be found any more.
const ATTEMPTS: usize = 10_000;

/// The graphs of a run.
pub(super) struct Mixture {
    ingredients: Vec<Ingredient>,
    shares: WeightedIndex<f32>,
    /// Graphs of each source, where so many can be drawn.
    wanted: usize,
    cost: Option<Cost>,
}

/// The graphs of one source.
pub(super) struct Ingredient {
    /// Space or folder.
    pub name: String,
    /// Where they come from.
    pub source: GraphSource,
    /// Height and width of images, where they are not the stage's.
    pub size: Option<usize>,
    pool: GraphPool,
    /// The same for grey images, where they are wanted.
    grey: Option<GraphPool>,
}

impl Ingredient {
    fn new(
        name: &str,
        source: GraphSource,
        size: Option<usize>,
        grey: bool,
        reader: &GraphReader,
        pools: usize,
    ) -> Result<Self, TrainError> {
        let pool = |source: GraphSource| {
            let held_out = source.held_out(&reader.registry)?;
            Ok::<_, TrainError>(GraphPool::new(source, reader.clone(), held_out, pools))
        };
        let grey = (grey && source.channels() != 1)
            .then(|| source.with_channels(1).and_then(pool))
            .transpose()?;
        Ok(Self { name: name.to_owned(), pool: pool(source.clone())?, grey, source, size })
    }
}

impl Mixture {
    /// Opens the sources that a configuration names beside its own; `grey` asks for graphs of grey images,
    /// too.
    pub fn open(
        config: &TrainConfig,
        own: GraphSource,
        grey: bool,
        reader: &GraphReader,
    ) -> Result<Self, TrainError> {
        let rest = 1.0 - config.beside.iter().map(|it| it.share).sum::<f32>();
        let shares = WeightedIndex::new(
            std::iter::once(rest).chain(config.beside.iter().map(|it| it.share)),
        );
        let channels = own.channels();
        let pools = (1 + config.beside.len()) * (1 + usize::from(grey));
        let new =
            |name: &str, source, size| Ingredient::new(name, source, size, grey, reader, pools);
        let mut ingredients = vec![new(&config.space, own, None)?];
        for beside in &config.beside {
            let source = GraphSource::open(&beside.space, &reader.registry)?;
            let source = match beside.size {
                Some(size) => source.with_size(size),
                None => source,
            };
            let source = source.with_channels(channels)?;
            ingredients.push(new(&beside.space, source, beside.size)?);
        }
        Ok(Self {
            ingredients,
            shares: shares.map_err(|error| TrainError::Mismatch(error.to_string()))?,
            wanted: config.graphs,
            cost: config.cost,
        })
    }

    /// The sources, that of the run's own space first.
    pub fn ingredients(&self) -> &[Ingredient] {
        &self.ingredients
    }

    /// A graph that may be trained on, costs no more than it may, and serves. It reads grey images where they
    /// are asked for and there are such graphs, at the size of its source, or else at `size`.
    pub fn draw(
        &self,
        size: usize,
        grey: bool,
        random: &mut impl Rng,
        serves: impl Fn(&PreparedGraph) -> bool,
    ) -> Result<Arc<PreparedGraph>, TrainError> {
        let ingredient = match &self.ingredients[..] {
            [only] => only,
            several => &several[self.shares.sample(random)],
        };
        let pool = ingredient.grey.as_ref().filter(|_| grey).unwrap_or(&ingredient.pool);
        let size = ingredient.size.unwrap_or(size);
        let count = pool.count(self.wanted) as u64;
        let affordable = |graph: &PreparedGraph| self.cost.is_none_or(|cost| cost.admits(graph));
        for _ in 0..ATTEMPTS {
            let graph = pool.get(random.random_range(0..count), size)?;
            if let Some(graph) = graph.filter(|graph| affordable(graph) && serves(graph)) {
                return Ok(graph);
            }
        }
        Err(TrainError::Mismatch(format!(
            "no graph of '{}' may be trained on and runs on images of {size} × {size} pixels{}",
            ingredient.name,
            if self.cost.is_some() { " at the cost that 'cost' allows" } else { "" }
        )))
    }

    /// How many images a task of a graph has, if one of a cheap graph has so many.
    pub fn images(&self, graph: &PreparedGraph, most: usize, fewest: usize) -> usize {
        self.cost.map_or(most, |cost| cost.images(graph, most, fewest))
    }
}
