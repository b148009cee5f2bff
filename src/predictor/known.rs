//! Operators that a predictor knows, and what stands in for those it does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use burn::tensor::Tensor;
use serde::Serialize;

use crate::{
    encoder::NodeFeatures,
    graph::{Architecture, NodeIndex},
    neural::{download, upload},
    ops::{Affine, Operator, OperatorFamily, Registry, Response, Vocabulary},
};

use super::{Network, Predictor};

/// An operator that training never met, and what the encoder takes it for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandIn {
    /// The operator, with its domain.
    pub operator: String,
    /// Its family.
    pub family: OperatorFamily,
    /// The operators whose mean embedding it gets: the one that does nearly the same to a number;
    /// where that cannot be said, those of its family that the predictor knows, or all that it knows
    /// where there is none.
    pub mean_of: Vec<String>,
}

impl fmt::Display for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operator, family, mean_of } = self;
        write!(
            f,
            "the predictor never met {operator} and takes it for the mean of {} (family: {family})",
            mean_of.join(", ")
        )
    }
}

/// The operators whose embeddings were learned, with their families.
pub(super) struct Known<'a> {
    vocabulary: &'a Vocabulary,
    /// Row and family, where the registry has the operator.
    rows: Vec<(usize, Option<OperatorFamily>)>,
}

impl<'a> Known<'a> {
    /// The operators that training met, or all of the vocabulary where that was not recorded.
    pub(super) fn of(predictor: &'a Predictor, registry: &Registry) -> Self {
        let vocabulary = &predictor.vocabulary;
        let met = predictor.config.training.operators_met.as_ref();
        let rows = (0..vocabulary.len())
            .filter(|&row| met.is_none_or(|met| met.contains(&vocabulary.names()[row])))
            .map(|row| (row, vocabulary.operator(row, registry).map(Operator::family)))
            .collect();
        Self { vocabulary, rows }
    }

    /// The row of an operator.
    pub(super) fn row(&self, name: &str) -> Option<usize> {
        let is_named = |row: &usize| self.vocabulary.names()[*row] == name;
        self.rows.iter().map(|(row, _)| *row).find(is_named)
    }

    /// The rows that together stand in for an operator: of its family the one that does most nearly
    /// the same to a number, where the operator's response is known, or else all of them.
    pub(super) fn relatives(
        &self,
        family: OperatorFamily,
        response: Option<&Response>,
        registry: &Registry,
    ) -> Vec<usize> {
        let rows = || self.rows.iter().map(|(row, _)| *row);
        let family: Vec<usize> =
            self.rows.iter().filter(|(_, of)| *of == Some(family)).map(|(row, _)| *row).collect();
        let distance = |row: usize| {
            let other = Response::by_default(self.vocabulary.operator(row, registry)?)?;
            Some((row, response?.distance(&other)))
        };
        let nearest = family.iter().filter_map(|&row| distance(row));
        match nearest.min_by(|(_, a), (_, b)| a.total_cmp(b)) {
            Some((row, _)) => vec![row],
            None if family.is_empty() => rows().collect(),
            None => family,
        }
    }
}

/// The mean of some rows of a table; zeros of none.
pub(super) fn mean_row(table: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    let mut mean = vec![0.0; width];
    for &row in rows {
        for (mean, value) in mean.iter_mut().zip(&table[row * width..]) {
            *mean += value / rows.len() as f32;
        }
    }
    mean
}

impl Predictor {
    /// Points the nodes whose operators training never met to further rows of the operator table,
    /// which hold the embeddings of their nearest relatives, and says by how much each differs from its
    /// relative. Returns a network with these rows, which is the
    /// predictor's own where there is no such node. Operators that are not in the registry keep the
    /// row for unknown ones.
    pub(super) fn acquaint(
        &self,
        architecture: &Architecture,
        registry: &Registry,
        features: &mut NodeFeatures,
    ) -> (Network, Vec<StandIn>, BTreeMap<NodeIndex, Affine>) {
        let known = Known::of(self, registry);
        let mut stand_ins: Vec<StandIn> = Vec::new();
        let mut differences = BTreeMap::new();
        let mut further: Vec<f32> = Vec::new();
        let rows = self.network.operators();
        let [count, width] = rows.dims();
        let mut table = None;
        let mut familiar = BTreeSet::new();
        for (&index, row) in features.nodes.iter().zip(&mut features.operators) {
            let node = &architecture.dag[index];
            if familiar.contains(row) {
                continue;
            }
            let name = Vocabulary::name(&node.domain, &node.op_type);
            if known.row(&name).is_some() {
                familiar.insert(*row);
                continue;
            }
            let Some(operator) = registry.get(&node.domain, &node.op_type) else { continue };
            let earlier = stand_ins.iter().position(|stand_in| stand_in.operator == name);
            *row = count + earlier.unwrap_or(stand_ins.len());
            let response = Response::of(operator, node);
            let relatives = known.relatives(operator.family(), response.as_ref(), registry);
            if let (Some(response), [relative]) = (&response, &relatives[..])
                && let Some(relative) = self.vocabulary.operator(*relative, registry)
                && let Some(relative) = Response::by_default(relative)
                && let Some(affine) = response.as_affine_of(&relative)
            {
                differences.insert(index, affine);
            }
            if earlier.is_none() {
                let table = table.get_or_insert_with(|| download(rows.clone()));
                further.extend(mean_row(table, width, &relatives));
                let mean_of =
                    relatives.iter().map(|&row| self.vocabulary.names()[row].clone()).collect();
                stand_ins.push(StandIn { operator: name, family: operator.family(), mean_of });
            }
        }
        if stand_ins.is_empty() {
            return (self.network.clone(), stand_ins, differences);
        }
        let further: Tensor<2> = upload(further, [stand_ins.len(), width], &self.device);
        (self.network.clone().with_further_operators(further), stand_ins, differences)
    }
}
