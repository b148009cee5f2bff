//! Episodes: some classes of one of many data sets, each with as many images, for networks whose heads are
//! solved on the spot (Vinyals et al. 2016, *Matching networks for one shot learning*). Every image is a
//! support image of all others and, left out, a query.

use std::sync::Arc;

use rand::{
    Rng,
    distr::{Distribution, weighted::WeightedIndex},
    seq::index,
};

use crate::{
    data::{Batcher, Dataset, Sketch, Split},
    predictor::{InputConfig, Seen},
};

use super::{
    AugmentationConfig, EpisodeData, EpisodesConfig, TrainError, step::Episode,
    task_change::TaskChange,
};

/// Most images of a class.
const MOST_OF_A_CLASS: usize = 200;

/// The data sets of a run's episodes.
pub(super) struct Episodes {
    config: EpisodesConfig,
    sets: Vec<EpisodeSet>,
    weights: WeightedIndex<f32>,
}

/// A data set, in colour and grey where both are wanted.
struct EpisodeSet {
    config: EpisodeData,
    colour: Dataset,
    grey: Option<Dataset>,
    /// Its images as they are stored.
    seen: Sketch,
    /// Images of every class that may be drawn.
    of_class: Vec<Vec<usize>>,
}

impl Episodes {
    /// Reads the training images of all data sets.
    ///
    /// # Errors
    ///
    /// One cannot be read, lacks a class that is to be left out, or has too few images.
    pub fn open(config: &EpisodesConfig) -> Result<Self, TrainError> {
        let open = |data: &EpisodeData| {
            let set = EpisodeSet::open(data, Split::Train, config.grey > 0.0)?;
            let few = "episodes need two classes of two images each";
            set.ok_or_else(|| TrainError::mismatch(&data.path, few))
        };
        let sets: Vec<EpisodeSet> = config.data.iter().map(open).collect::<Result<_, _>>()?;
        Self::of(config, sets)
    }

    /// Reads the validation images of the data sets that have enough of them; `None` where none has.
    pub fn held_out(config: &EpisodesConfig) -> Result<Option<Self>, TrainError> {
        let open = |data| EpisodeSet::open(data, Split::Val, false).transpose();
        let sets: Vec<EpisodeSet> =
            config.data.iter().filter_map(open).collect::<Result<_, _>>()?;
        (!sets.is_empty()).then(|| Self::of(config, sets)).transpose()
    }

    fn of(config: &EpisodesConfig, sets: Vec<EpisodeSet>) -> Result<Self, TrainError> {
        let weights = WeightedIndex::new(sets.iter().map(|set| set.config.weight));
        let weights = weights.map_err(|error| TrainError::Mismatch(error.to_string()))?;
        Ok(Self { config: config.clone(), sets, weights })
    }

    /// What predictors that learn from these have seen.
    pub fn seen(&self) -> Seen {
        let of_set = |set: &EpisodeSet| Seen { graphs: None, images: Some(set.seen.clone()) };
        let all = self.sets.iter().map(of_set).reduce(|one, other| one.union(&other));
        all.unwrap_or(Seen { graphs: None, images: None })
    }

    /// An episode of a random data set, as a run trains on it, of at most so many images.
    pub fn draw(
        &self,
        input: &InputConfig,
        size: usize,
        channels: usize,
        images: usize,
        random: &mut impl Rng,
    ) -> Result<Episode, TrainError> {
        let set = &self.sets[self.weights.sample(random)];
        let changed = random.random::<f32>() < self.config.changed;
        let change = if changed { TaskChange::draw(random) } else { TaskChange::default() };
        let batcher = set.batcher(size, channels, set.config.augmentation)?;
        let images = self.images(set, images, random);
        episode(&batcher, &images, &change, &input.with_channels(channels)?, size, random)
    }

    /// An episode of a data set, as it is.
    pub fn plain(
        &self,
        set: usize,
        images: usize,
        input: &InputConfig,
        random: &mut impl Rng,
    ) -> Result<Episode, TrainError> {
        let set = &self.sets[set % self.sets.len()];
        let batcher = set.batcher(input.size, input.channels(), AugmentationConfig::None)?;
        let images = self.images(set, images, random);
        episode(&batcher, &images, &TaskChange::default(), input, input.size, random)
    }

    /// Images of some classes, as many of each, class by class.
    fn images(&self, set: &EpisodeSet, most: usize, random: &mut impl Rng) -> Vec<Vec<usize>> {
        let [fewest, largest] = self.config.classes;
        let largest = largest.min(set.of_class.len()).min(most / 2).max(2);
        let fewest = fewest.min(largest);
        let place: f64 = random.random();
        let classes = fewest as f64 * ((largest + 1) as f64 / fewest as f64).powf(place);
        let classes = (classes as usize).clamp(fewest, largest);
        let drawn: Vec<&Vec<usize>> = index::sample(random, set.of_class.len(), classes)
            .iter()
            .map(|class| &set.of_class[class])
            .collect();
        let available = drawn.iter().map(|images| images.len()).min().unwrap_or_default();
        let each = available.min(most / classes).min(MOST_OF_A_CLASS);
        let some = |images: &Vec<usize>| {
            index::sample(random, images.len(), each).iter().map(|at| images[at]).collect()
        };
        drawn.into_iter().map(some).collect()
    }
}

impl EpisodeSet {
    /// A part of a data set; `None` if fewer than two of its classes have two images.
    fn open(config: &EpisodeData, split: Split, grey: bool) -> Result<Option<Self>, TrainError> {
        let data = Dataset::open(&config.path, split)?;
        if let Some(unknown) = config.without.iter().find(|name| !data.classes.contains(name)) {
            let problem = format!("has no class '{unknown}', which episodes are to leave out");
            return Err(TrainError::mismatch(&config.path, &problem));
        }
        let mut of_class = vec![Vec::new(); data.classes.len()];
        for (image, &label) in data.labels.iter().enumerate() {
            if !config.without.contains(&data.classes[usize::from(label)]) {
                of_class[usize::from(label)].push(image);
            }
        }
        of_class.retain(|images| images.len() >= 2);
        if of_class.len() < 2 {
            return Ok(None);
        }
        let seen = Seen::images_of(&data);
        let grey = grey.then(|| data.clone().with_channels(1)).transpose()?;
        let colour = data.with_channels(3)?;
        Ok(Some(Self { config: config.clone(), colour, grey, seen, of_class }))
    }

    fn batcher(
        &self,
        size: usize,
        channels: usize,
        augmentation: AugmentationConfig,
    ) -> Result<Batcher<'_>, TrainError> {
        let data = self.grey.as_ref().filter(|_| channels == 1).unwrap_or(&self.colour);
        let pixels = [vec![0.0; data.channels], vec![1.0; data.channels]];
        Ok(Batcher::new(data, &pixels[0], &pixels[1], size, augmentation.into())?)
    }
}

/// Puts images of classes together.
fn episode(
    batcher: &Batcher,
    of_class: &[Vec<usize>],
    change: &TaskChange,
    input: &InputConfig,
    size: usize,
    random: &mut impl Rng,
) -> Result<Episode, TrainError> {
    let indices: Vec<usize> = of_class.iter().flatten().copied().collect();
    let (mut images, _) = batcher.pick(&indices, random);
    let channels = input.channels();
    for image in images.chunks_exact_mut(batcher.image_len()) {
        if *change != TaskChange::default() {
            change.apply(image, channels);
        }
        let planes = image.chunks_exact_mut(size * size);
        for ((plane, mean), std) in planes.zip(&input.mean).zip(&input.std) {
            plane.iter_mut().for_each(|pixel| *pixel = (*pixel - mean) / std);
        }
    }
    let labels =
        of_class.iter().zip(0..).flat_map(|(images, class)| images.iter().map(move |_| class));
    Ok(Episode {
        images: Arc::new(images),
        labels: Arc::new(labels.collect()),
        classes: of_class.len(),
    })
}
