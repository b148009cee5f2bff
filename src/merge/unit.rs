//! A layer with what it is fitted by.

use crate::{
    graph::{Architecture, NodeIndex, Operand, ParameterId, Weights},
    kernels::{
        Step,
        gemm::{View, multiply_shared},
    },
    ops::Registry,
};

use super::{
    layer::{Layer, readers},
    ridge::ridge,
};

/// Of the mean square of inputs: how firmly weights are held where they were merged.
const PENALTY: f64 = 0.1;

/// A layer, and the batch normalisation that alone reads it.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub layer: Layer,
    /// What the layer reads.
    pub input: Operand,
    /// Where the unit ends.
    pub output: Operand,
    norm: Option<Norm>,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Norm {
    /// Gain, shift, mean and variance.
    parameters: [ParameterId; 4],
    epsilon: f32,
}

/// How a convolution goes over images.
#[derive(Clone, Copy, Debug)]
struct Window {
    groups: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pads: [usize; 4],
}

impl Unit {
    pub fn of(architecture: &Architecture, registry: &Registry, layer: Layer) -> Option<Self> {
        let node = &architecture.dag[layer.node];
        let input = *node.inputs.first()?;
        if !matches!(input, Operand::Node { .. } | Operand::Input(_)) {
            return None;
        }
        let window = match registry.step(architecture, node)? {
            Step::Conv2d { groups, stride, dilation, pads } => {
                let &[_, _, height, width] = layer.shape() else { return None };
                Some(Window { groups, kernel: [height, width], stride, dilation, pads })
            }
            _ if layer.shape().len() == 2 => None,
            _ => return None,
        };
        let norm = match readers(architecture, layer.node)[..] {
            [reader] => norm(architecture, registry, reader, layer.node).map(|it| (reader, it)),
            _ => None,
        };
        let last = norm.map_or(layer.node, |(reader, _)| reader);
        let output = Operand::Node { node: last, slot: 0 };
        Some(Self { layer, input, output, norm: norm.map(|(_, it)| it), window })
    }

    /// What every output at some places is computed from, a row each: `shape` is that of `values`, a part of the
    /// batch, `extent` height and width of what a convolution returns, `places` count its outputs but for channels.
    pub fn read(
        &self,
        values: &[f32],
        shape: &[usize],
        extent: [usize; 2],
        places: impl Iterator<Item = usize>,
        rows: &mut Vec<f32>,
    ) {
        let Some(window) = self.window else {
            let width = shape.last().copied().unwrap_or(1);
            places
                .filter_map(|place| values.get(place * width..(place + 1) * width))
                .for_each(|row| rows.extend_from_slice(row));
            return;
        };
        let &[_, channels, height, width] = shape else { return };
        let [rows_out, columns_out] = extent;
        for place in places {
            let (image, at) = (place / (rows_out * columns_out), place % (rows_out * columns_out));
            let top = at / columns_out * window.stride[0];
            let left = at % columns_out * window.stride[1];
            for channel in 0..channels {
                let plane = &values[(image * channels + channel) * height * width..];
                for row in 0..window.kernel[0] {
                    let y = (top + row * window.dilation[0]).checked_sub(window.pads[0]);
                    for column in 0..window.kernel[1] {
                        let x = (left + column * window.dilation[1]).checked_sub(window.pads[1]);
                        rows.push(match (y, x) {
                            (Some(y), Some(x)) if y < height && x < width => plane[y * width + x],
                            _ => 0.0,
                        });
                    }
                }
            }
        }
    }

    /// Fits the layer, and sets the normalisation behind it, so that the unit returns the targets: `inputs` are
    /// what [`Self::read`] gives, `targets` rows × channels. Where there is neither a normalisation nor a bias, means
    /// are fitted by weights alone.
    pub fn fit(&self, weights: &mut Weights, inputs: &[f32], targets: &[f32]) {
        let channels = self.layer.channels();
        let rows = targets.len() / channels;
        let groups = self.window.map_or(1, |window| window.groups);
        let (per_group, width) = (channels / groups, inputs.len() / rows.max(1));
        let columns = width / groups;
        let mut matrix = self.layer.matrix(weights);
        // Inputs that could not be read leave the layer as it is.
        let read = rows > 0 && columns > 0 && inputs.len() == rows * groups * columns;
        if !read || matrix.len() != channels * columns {
            return;
        }
        let shifted = self.norm.is_some() || self.layer.bias.is_some();
        let bias = self.layer.bias.and_then(|id| weights.get(id)).map(<[f32]>::to_vec);
        let mut set = Settings::default();
        for group in 0..groups {
            let part = |values: &[f32], width: usize, of: usize| -> Vec<f32> {
                let row = |row: &[f32]| row[group * of..][..of].to_vec();
                values.chunks_exact(width).flat_map(row).collect()
            };
            let mut inputs = part(inputs, width, columns);
            let mut targets = part(targets, channels, per_group);
            let centre = |values: &mut Vec<f32>, width: usize| match shifted {
                true => centred(values, width),
                false => vec![0.0; width],
            };
            let (means, goals) = (centre(&mut inputs, columns), centre(&mut targets, per_group));
            let own = &mut matrix[group * per_group * columns..][..per_group * columns];
            let mut there = returned(&inputs, own, columns);
            if self.norm.is_some() {
                // The scale is the normalisation's: start where the filter explains most.
                scale(own, &mut there, &targets, per_group);
            }
            let residuals: Vec<f32> = targets.iter().zip(&there).map(|(a, b)| a - b).collect();
            if let Some(change) = ridge(&inputs, &residuals, rows, PENALTY) {
                for (channel, filter) in own.chunks_exact_mut(columns).enumerate() {
                    for (column, value) in filter.iter_mut().enumerate() {
                        *value += change[column * per_group + channel];
                    }
                }
            }
            let filters = own.chunks_exact(columns);
            set.mean
                .extend(filters.map(|it| it.iter().zip(&means).map(|(a, b)| a * b).sum::<f32>()));
            set.goal.extend(goals);
            if self.norm.is_some() {
                let returned = returned(&inputs, own, columns);
                set.variance.extend((0..per_group).map(|channel| {
                    let column = returned.iter().skip(channel).step_by(per_group);
                    let square: f64 = column.map(|&it| f64::from(it).powi(2)).sum();
                    (square / rows as f64) as f32
                }));
            }
        }
        self.layer.set_matrix(weights, matrix);
        if let Some(Norm { parameters: [gain, shift, mean, variance], epsilon }) = self.norm {
            let spread = set.variance.iter().map(|it| (it + epsilon).sqrt()).collect();
            let bias = bias.unwrap_or_else(|| vec![0.0; channels]);
            let means = set.mean.iter().zip(&bias).map(|(mean, bias)| mean + bias).collect();
            weights.set(gain, spread);
            weights.set(shift, set.goal);
            weights.set(mean, means);
            weights.set(variance, set.variance);
        } else if let Some(id) = self.layer.bias {
            let bias = set.goal.iter().zip(&set.mean).map(|(goal, mean)| goal - mean).collect();
            weights.set(id, bias);
        }
    }
}

/// By channel of a fitted layer.
#[derive(Default)]
struct Settings {
    /// What it returns on the mean, without its bias.
    mean: Vec<f32>,
    /// Of a layer before a normalisation.
    variance: Vec<f32>,
    /// Mean of the targets.
    goal: Vec<f32>,
}

/// The parameters of a batch normalisation that reads a node and shares nothing.
fn norm(
    architecture: &Architecture,
    registry: &Registry,
    reader: NodeIndex,
    from: NodeIndex,
) -> Option<Norm> {
    let node = &architecture.dag[reader];
    let Some(Step::BatchNorm { epsilon }) = registry.step(architecture, node) else { return None };
    let [Operand::Node { node: read, .. }, parameters @ ..] = &node.inputs[..] else { return None };
    let parameters: Option<Vec<ParameterId>> = parameters
        .iter()
        .map(|operand| match operand {
            Operand::Parameter(id) => Some(*id),
            _ => None,
        })
        .collect();
    let parameters: [ParameterId; 4] = parameters?.try_into().ok()?;
    let alone = |id: &ParameterId| architecture.parameters[id.0].slots.len() == 1;
    (*read == from && parameters.iter().all(alone)).then_some(Norm { parameters, epsilon })
}

/// Takes off the mean of every column, and returns it.
fn centred(values: &mut [f32], width: usize) -> Vec<f32> {
    let rows = (values.len() / width).max(1) as f64;
    let mut sums = vec![0.0f64; width];
    for row in values.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let means: Vec<f32> = sums.into_iter().map(|sum| (sum / rows) as f32).collect();
    for row in values.chunks_exact_mut(width) {
        row.iter_mut().zip(&means).for_each(|(value, mean)| *value -= mean);
    }
    means
}

/// Rows × channels of what filters return on rows of inputs.
fn returned(inputs: &[f32], filters: &[f32], columns: usize) -> Vec<f32> {
    let (rows, channels) = (inputs.len() / columns, filters.len() / columns);
    let mut returned = vec![0.0; rows * channels];
    let extents = [rows, channels, columns];
    let filters = View::transposed(filters, columns);
    multiply_shared(extents, View::rows(inputs, columns), filters, &mut returned);
    returned
}

/// Multiplies every filter, and the values that it returned, by what brings them nearest to the targets.
fn scale(filters: &mut [f32], returned: &mut [f32], targets: &[f32], channels: usize) {
    let columns = filters.len() / channels;
    for (channel, filter) in filters.chunks_exact_mut(columns).enumerate() {
        let own = || returned.iter().skip(channel).step_by(channels);
        let goal = targets.iter().skip(channel).step_by(channels);
        let along: f64 = own().zip(goal).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        let square: f64 = own().map(|&it| f64::from(it).powi(2)).sum();
        let factor = if square > 0.0 { (along / square) as f32 } else { 0.0 };
        filter.iter_mut().for_each(|value| *value *= factor);
        let own = returned.iter_mut().skip(channel).step_by(channels);
        own.for_each(|value| *value *= factor);
    }
}
