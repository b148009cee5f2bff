//! Soups: images say which networks are merged, and by which shares.

use crate::{
    condition::LearnedSoup,
    data::Dataset,
    fill::{FillError, Judged},
    graph::Weights,
    merge::{Method, Parents, Recipe, greedy_soup},
};

use super::{Merged, Merger};

impl Merger<'_, '_> {
    /// The mean of the networks that make it better on validation images. A learned soup goes on from there on
    /// training images, and is kept if it is better on validation images.
    pub(super) fn soup(
        &self,
        networks: &[Weights],
        train: &Dataset,
        validation: &Dataset,
    ) -> Result<Merged, FillError> {
        let recipe = |chosen: &[usize]| {
            let mut recipe = self.options.recipe.clone();
            recipe.weight.fill(0.0);
            chosen.iter().for_each(|&network| recipe.weight[network] = 1.0);
            recipe
        };
        let (chosen, score) = greedy_soup(networks.len(), |chosen| {
            let merged = self.merged(&recipe(chosen), networks, None)?;
            self.score(&merged, validation)
        })?;
        let recipe = recipe(&chosen);
        if recipe.method == Method::LearnedSoup {
            let learned = self.learned_soup(networks, &recipe, train)?;
            if self.score(&learned.weights, validation)? > score {
                return Ok(learned);
            }
        }
        Ok(Merged { weights: self.merged(&recipe, networks, None)?, recipe })
    }

    /// With shares of each tensor, learned from those of a recipe on.
    fn learned_soup(
        &self,
        networks: &[Weights],
        recipe: &Recipe,
        train: &Dataset,
    ) -> Result<Merged, FillError> {
        let mut soup = LearnedSoup::new(self.fitting, networks, &recipe.shares());
        soup.learn(train, recipe.seed, &self.options.observer)?;
        let recipe = Recipe { weight: soup.shares(), ..recipe.clone() };
        let parents = Parents { networks, shares: &recipe.weight };
        let weights = self.repair.repair(&self.fitting, soup.weights(), &parents)?;
        Ok(Merged { recipe, weights })
    }

    /// Cross-entropy, negative: on the few hundred images that are held out of small data sets it says more than how many
    /// of them are right.
    fn score(&self, weights: &Weights, data: &Dataset) -> Result<f64, FillError> {
        let judged = Judged::of(self.graph, weights, data, self.fitting.input, data.len())?;
        Ok(-judged.cross_entropy)
    }
}
