//! Normalisation of images as the first two nodes of a network.

use std::borrow::Cow;

use crate::onnx::splice::{Changes, Fill, FrontNode};

use super::{FillError, InputNormalisation, Network};

const FACTOR: &str = "weightsmith.normalisation.factor";
const SUMMAND: &str = "weightsmith.normalisation.summand";
const SCALED: &str = "weightsmith.normalisation.scaled";
const NORMALISED: &str = "weightsmith.normalisation.normalised";

/// What is added to a file for it to take pixels from 0 to 1: `pixel · factor + summand`, channel by
/// channel.
#[derive(Clone, Debug)]
pub(super) struct BakedNormalisation {
    /// The input.
    input: String,
    /// Its `TensorProto.data_type`.
    data_type: i32,
    /// Of factor and summand: `[1, channels, 1, 1]`.
    shape: [usize; 4],
    factor: Vec<f32>,
    summand: Vec<f32>,
    /// Inputs of nodes that read the input.
    readers: Vec<[usize; 2]>,
}

impl BakedNormalisation {
    /// # Errors
    ///
    /// The network reads no images of floating point, or graphs inside of its nodes could read them, too.
    pub fn of(network: &Network, normalisation: &InputNormalisation) -> Result<Self, FillError> {
        let refuse = |why: &str| {
            let file = network.model.name().to_owned();
            Err(FillError::NotBaked { file, why: why.to_owned() })
        };
        network.image_shape()?;
        let Some(input) = network.architecture.inputs.first() else {
            return refuse("it has no input");
        };
        let Some(dtype) = input.dtype.filter(|dtype| dtype.is_float()) else {
            return refuse("its input is not of floating point");
        };
        if network.model.holder_of_a_graph().is_some() {
            return refuse("graphs inside of its nodes may read the images, too");
        }
        let InputNormalisation { mean, std } = normalisation;
        Ok(Self {
            input: input.name.clone(),
            data_type: dtype.to_onnx(),
            shape: [1, mean.len(), 1, 1],
            factor: std.iter().map(|std| 1.0 / std).collect(),
            summand: mean.iter().zip(std).map(|(mean, std)| -mean / std).collect(),
            readers: network.model.readers(&input.name),
        })
    }

    /// Puts it into a file.
    pub fn add_to<'a>(&'a self, changes: &mut Changes<'a>) {
        let Self { data_type, shape, .. } = self;
        for (name, values) in [(FACTOR, &self.factor), (SUMMAND, &self.summand)] {
            let values = Cow::Borrowed(values.as_slice());
            changes.fills.push(Fill { name, data_type: *data_type, shape, values });
        }
        let node = |op_type, inputs, output| FrontNode { op_type, inputs, output };
        changes.front.push(node("Mul", vec![self.input.as_str(), FACTOR], SCALED));
        changes.front.push(node("Add", vec![SCALED, SUMMAND], NORMALISED));
        changes.inputs.extend(self.readers.iter().map(|&reader| (reader, NORMALISED)));
    }
}

impl Network {
    /// Tensors of a baked normalisation that the file holds; they are no weights.
    pub(super) fn baked_tensors(&self) -> Vec<String> {
        let names = self.architecture.parameters.iter().map(|parameter| &parameter.name);
        names.filter(|name| [FACTOR, SUMMAND].contains(&name.as_str())).cloned().collect()
    }
}

/// Refuses to write weights into a file that normalises its images itself: predicted weights are for images
/// that are normalised once.
pub(super) fn refuse_baked(network: &Network) -> Result<(), FillError> {
    match holds_normalisation(network) {
        true => Err(FillError::IsBaked { file: network.model.name().to_owned() }),
        false => Ok(()),
    }
}

fn holds_normalisation(network: &Network) -> bool {
    let initializers = &network.model.graph().initializer;
    initializers.iter().any(|tensor| tensor.name.as_deref() == Some(FACTOR))
}
