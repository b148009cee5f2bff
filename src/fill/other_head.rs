//! A network that tells other classes apart than its file does.

use std::collections::BTreeMap;

use crate::{
    condition::{ConditionError, Head},
    graph::{Architecture, Origin},
    onnx::{
        Model,
        splice::{self, Changes, Fill},
    },
};

use super::{FillError, Network, OpenOptions};

impl Network {
    /// The network with a head of zeros for so many classes in place of its own; the rest keeps its values. `options` are
    /// those that it was opened with.
    ///
    /// # Errors
    ///
    /// It has no head that can be solved, the head is stored as something else than initializers, or what follows the
    /// head takes no other number of classes.
    pub fn for_classes(&self, classes: usize, options: &OpenOptions) -> Result<Self, FillError> {
        let Self { model, architecture, registry, .. } = self;
        let head = Head::of(architecture, registry).map_err(ConditionError::from)?;
        let stuck =
            |why: String| FillError::FixedHead { file: model.name().to_owned(), classes, why };
        let other = head
            .for_classes(architecture, registry, classes)
            .map_err(|problem| stuck(problem.to_string()))?;
        let shapes = changed(architecture, &other);
        let mut fills = Vec::new();
        for id in head.parameters() {
            let (parameter, new) = (&architecture.parameters[id.0], &other.parameters[id.0]);
            let plain = matches!(parameter.origin, Origin::Initializer(_));
            if !plain || architecture.storage_of(id).is_some() || !parameter.dtype.is_float() {
                let name = &parameter.name;
                return Err(stuck(format!("'{name}' is not stored as a tensor of floats")));
            }
            let shape = new.shape.as_deref().unwrap_or_default();
            let values = vec![0.0; shape.iter().product()].into();
            let data_type = parameter.dtype.to_onnx();
            fills.push(Fill { name: &parameter.name, data_type, shape, values });
        }
        let changes = Changes { fills, shapes, inline_external: true, ..Changes::default() };
        let mut bytes = Vec::new();
        splice::write(model, &changes, &mut bytes).map_err(|problem| stuck(problem.to_string()))?;
        let mut network = Self::resolved(Model::from_bytes(model.name(), bytes.into())?, options)?;
        network.file = Some(self.file.as_ref().unwrap_or(model.bytes()).clone());
        let outputs = head.classes;
        let notice = format!("the head for {outputs} classes was replaced by one for {classes}");
        network.architecture.notices.push(notice);
        Ok(network)
    }
}

/// Names of values and parameters whose extents differ, with the new ones.
fn changed<'a>(
    before: &'a Architecture,
    after: &'a Architecture,
) -> BTreeMap<&'a str, &'a [usize]> {
    let nodes = before.order.iter().flat_map(|&node| {
        let facts = before.dag[node].outputs.iter().zip(&after.dag[node].outputs);
        facts.map(|(old, new)| (old.name.as_str(), &old.shape, &new.shape))
    });
    let parameters = before.parameters.iter().zip(&after.parameters);
    let parameters = parameters.map(|(old, new)| (old.name.as_str(), &old.shape, &new.shape));
    let differing = nodes.chain(parameters).filter(|(_, old, new)| old != new);
    differing.filter_map(|(name, _, new)| Some((name, new.as_deref()?))).collect()
}
