//! A network file, read and resolved.

use std::sync::Arc;

use crate::{
    graph::{Architecture, DimBindings, Layout, NodeIndex, Role},
    onnx::{
        Model,
        names::{Hints, state_dict_names},
    },
    ops::{Registry, Resolution, resolve},
};

use super::Failure;

/// A file that was read and resolved.
#[derive(Debug)]
pub struct Network {
    /// The file.
    pub model: Model,
    /// Its graph.
    pub architecture: Architecture,
    /// What is not supported.
    pub resolution: Resolution,
    /// State-dict name of every parameter.
    pub names: Vec<String>,
    /// The operators it was resolved with.
    pub registry: Arc<Registry>,
}

impl Network {
    /// Resolves the graph of a model.
    pub fn of(model: Model, dims: DimBindings) -> Result<Self, Failure> {
        Self::with_registry(model, dims, Registry::standard())
    }

    /// As [`Network::of`], with operators of the caller's.
    pub fn with_registry(
        model: Model,
        dims: DimBindings,
        registry: Arc<Registry>,
    ) -> Result<Self, Failure> {
        let mut architecture = Architecture::from_model_with(&model, dims)?;
        let resolution = resolve(&mut architecture, &registry)
            .map_err(|error| format!("{}: {error}", model.name()))?;
        let hints: Vec<Hints> = architecture
            .parameters
            .iter()
            .map(|parameter| {
                let node = parameter.slots.first().map(|slot| &architecture.dag[slot.node]);
                let scopes = node.and_then(|node| {
                    model.node_metadata(node.position, "pkg.torch.onnx.name_scopes")
                });
                Hints {
                    initializer: &parameter.name,
                    node: node.map_or("", |node| &node.name),
                    scopes,
                    leaf: parameter.role().and_then(Role::torch_attribute),
                }
            })
            .collect();
        let names = state_dict_names(&hints);
        Ok(Self { model, architecture, resolution, names, registry })
    }

    /// Whether PyTorch stores a parameter transposed: matrices that the file keeps `[in, out]`.
    pub fn transposed(&self, parameter: usize) -> bool {
        let parameter = &self.architecture.parameters[parameter];
        let matrix = parameter.shape.as_ref().is_some_and(|shape| shape.len() == 2);
        let slot = parameter.slots.first();
        matrix && slot.is_some_and(|slot| slot.role == Role::Weight && slot.layout == Layout::InOut)
    }

    /// What is not supported, a sentence for each kind of problem with its first node.
    pub fn unsupported(&self) -> Vec<String> {
        let mut kinds: Vec<(&str, NodeIndex, usize)> = Vec::new();
        for unsupported in &self.resolution.unsupported {
            match kinds.iter_mut().find(|(why, ..)| *why == unsupported.why) {
                Some((_, _, count)) => *count += 1,
                None => kinds.push((&unsupported.why, unsupported.node, 1)),
            }
        }
        let sentence = |(why, node, count): (&str, NodeIndex, usize)| {
            let others = match count {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            format!("{why} ({}{others})", self.architecture.describe(node))
        };
        kinds.into_iter().map(sentence).collect()
    }
}
