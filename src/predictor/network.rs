//! The neural network: graph encoder, patch trunk, one output layer per patch position.

use burn::{
    module::{Module, Param},
    nn::{Initializer, LayerNorm, LayerNormConfig, Linear},
    tensor::{Device, Int, Tensor, TensorData, activation},
};

use crate::{
    encoder::{GraphEncoder, NodeBatch},
    neural::{gelu, linear, matrix, table, upload},
    patches::{Address, Family, TAPS},
};

use super::{Conditioner, InputConfig, NetworkConfig};

/// Sine and cosine waves that tell tiles of wide tensors apart.
const TILE_WAVES: usize = 4;

/// Node tokens and addresses in, patches of unit scale out.
#[derive(Module, Debug)]
pub struct Network {
    encoder: GraphEncoder,
    families: Param<Tensor<2>>,
    taps: Param<Tensor<2>>,
    tiles: Linear,
    sources: Option<Linear>,
    conditioner: Option<Conditioner>,
    widen: Linear,
    trunk: Linear,
    norm: LayerNorm,
    amplitude: Linear,
    outputs: Vec<Vec<Linear>>,
    /// The learned calibration batch, normalised images `[images, channels, height, width]`.
    calibration: Param<Tensor<4>>,
    calibration_labels: Option<CalibrationLabels>,
}

/// The learned labels of the calibration batch.
#[derive(Module, Debug)]
struct CalibrationLabels {
    /// `[images, classes]`
    targets: Param<Tensor<2>>,
    /// `[1]`
    penalty: Param<Tensor<1>>,
}

impl Network {
    /// Name of the table of operator embeddings, whose rows follow a vocabulary.
    pub const OPERATORS: &str = "encoder.operators";
    /// Name of the learned calibration batch.
    pub(super) const CALIBRATION: &str = "calibration";
    /// Prefix of the tensors that only predictors with labels for that batch have.
    pub(super) const CALIBRATION_LABELS: &str = "calibration_labels.";
    /// Prefix of the tensors that only predictors whose nodes hear of each other have.
    pub(super) const MESSAGES: &str = "encoder.blocks.";
    /// Prefix of the tensors that only predictors with further node features have.
    pub(super) const FURTHER: &str = "encoder.further.";
    /// Prefix of the tensors that only predictors whose patches follow makers of channels have.
    pub(super) const SOURCES: &str = "sources.";
    /// Prefix of the tensors that only predictors that denoise have.
    pub(crate) const CONDITIONER: &str = "conditioner.";

    /// An empty network; load values with [`crate::neural::with_values`].
    pub fn new(
        config: &NetworkConfig,
        input: &InputConfig,
        operators: usize,
        device: &Device,
    ) -> Self {
        let width = config.encoder.width;
        let outputs = Family::ALL
            .iter()
            .map(|family| {
                let [rows, columns] = family.patch();
                (0..family.positions())
                    .map(|_| matrix(config.hidden, rows * columns, device))
                    .collect()
            })
            .collect();
        let calibration = [config.calibration, input.channels(), input.size, input.size];
        Self {
            encoder: GraphEncoder::new(&config.encoder, operators, device),
            families: table(Family::ALL.len(), width, device),
            taps: table(TAPS, width, device),
            tiles: linear(4 * TILE_WAVES, width, device),
            sources: config.sources.then(|| linear(width, width, device)),
            conditioner: config.diffusion.as_ref().map(|it| Conditioner::new(it, width, device)),
            widen: linear(width, config.trunk, device),
            trunk: linear(config.trunk, config.hidden, device),
            norm: LayerNormConfig::new(config.hidden).init(device),
            amplitude: linear(width, 1, device),
            outputs,
            calibration: Initializer::Zeros.init(calibration, device),
            calibration_labels: (config.labels > 0).then(|| CalibrationLabels {
                targets: Initializer::Zeros.init([config.calibration, config.labels], device),
                penalty: Initializer::Zeros.init([1], device),
            }),
        }
    }

    /// Whether a tensor is of the last layer of a branch of an encoder's block: where these are zero, the block adds
    /// nothing.
    pub(super) fn is_branch_end(tensor: &str) -> bool {
        let layer = tensor.rsplit('.').nth(1);
        tensor.starts_with(Self::MESSAGES) && matches!(layer, Some("output" | "narrow"))
    }

    /// The embedding of every operator, `[operators + 1, width]`; the last is for unknown ones.
    pub fn operators(&self) -> Tensor<2> {
        self.encoder.operators()
    }

    /// The same network with more operator embeddings `[rows, width]` behind its own.
    pub fn with_further_operators(mut self, rows: Tensor<2>) -> Self {
        self.encoder = self.encoder.with_further_operators(rows);
        self
    }

    /// What reads conditions, if the network is a denoiser.
    pub fn conditioner(&self) -> Option<&Conditioner> {
        self.conditioner.as_ref()
    }

    /// Node tokens `[graphs · nodes, width]`, to whose starting values `condition` is added.
    pub fn tokens(&self, batch: &NodeBatch, condition: Option<Tensor<2>>) -> Tensor<2> {
        self.encoder.forward(batch, condition)
    }

    /// One hidden vector per address, `[addresses, hidden]`. `Address::token` and `source` index the
    /// rows of `tokens`; `condition`, `[addresses, width]`, is added to the patch tokens.
    pub fn hidden(
        &self,
        tokens: Tensor<2>,
        addresses: &[Address],
        condition: Option<Tensor<2>>,
    ) -> Tensor<2> {
        let device = tokens.device();
        let index = |value: fn(&Address) -> usize| -> Tensor<1, Int> {
            let values: Vec<i32> = addresses.iter().map(|address| value(address) as i32).collect();
            Tensor::from_data(TensorData::new(values, [addresses.len()]), &device)
        };
        let waves: Vec<f32> = addresses.iter().flat_map(|address| waves(address.tile)).collect();
        let waves = upload(waves, [addresses.len(), 4 * TILE_WAVES], &device);
        let mut token = tokens.clone().select(0, index(|address| address.token))
            + self.families.val().select(0, index(|address| address.family as usize))
            + self.taps.val().select(0, index(|address| address.tap))
            + self.tiles.forward(waves);
        if let Some(sources) = &self.sources {
            let known = |address: &Address| f32::from(address.source.is_some());
            let known =
                upload(addresses.iter().map(known).collect(), [addresses.len(), 1], &device);
            let makers = sources.forward(tokens);
            token = token + makers.select(0, index(|address| address.source.unwrap_or(0))) * known;
        }
        if let Some(condition) = condition {
            token = token + condition;
        }
        let amplitude = activation::sigmoid(self.amplitude.forward(token.clone())) * 2.0;
        let wide = gelu(self.widen.forward(token));
        let hidden = gelu(self.trunk.forward(wide));
        self.norm.forward(hidden) * amplitude
    }

    /// Patches `[rows, patch rows · patch columns]` that one output layer writes from some of the
    /// hidden vectors.
    pub fn patches(
        &self,
        hidden: Tensor<2>,
        rows: Tensor<1, Int>,
        family: Family,
        position: usize,
    ) -> Tensor<2> {
        self.outputs[family as usize][position].forward(hidden.select(0, rows))
    }

    /// The learned calibration batch.
    pub fn calibration(&self) -> Tensor<4> {
        self.calibration.val()
    }

    /// The labels of the calibration batch `[images, classes]`, if it learns some, and the logarithm of the
    /// penalty `[1]` of heads that are solved on it.
    pub fn calibration_labels(&self) -> Option<(Tensor<2>, Tensor<1>)> {
        let labels = self.calibration_labels.as_ref()?;
        Some((labels.targets.val(), labels.penalty.val()))
    }
}

fn waves(tile: [usize; 2]) -> impl Iterator<Item = f32> {
    tile.into_iter().flat_map(|index| {
        (0..TILE_WAVES).flat_map(move |octave| {
            let angle = index as f32 * std::f32::consts::PI / (1 << octave) as f32 / 2.0;
            [angle.sin(), angle.cos()]
        })
    })
}
