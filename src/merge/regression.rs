//! Layers of a merged network that are fitted to what those of its parents return.

use burn::tensor::Device;

use crate::{
    condition::Fitting,
    execute::{NormStatistics, Runner, Scratch, upload_weights},
    graph::{Architecture, NodeIndex, Operand, ParameterId, Weights},
    kernels::Step,
    ops::Summary,
    predictor::CalibrationImages,
};

use super::{
    MergeError, Parents,
    activations::{PASS, activations, by_channel},
    layer::Layer,
    unit::Unit,
};

/// Most images that layers are fitted on.
const MOST_IMAGES: usize = 1024;
/// Fewest of them, where there are so many.
const LEAST_IMAGES: usize = 64;
/// Multiply-accumulates that running networks on them may take.
const WORK: u64 = 1_000_000_000_000;
/// Most outputs of a layer that it is fitted to, spread over images and places; a prime, so that they fall on all
/// columns of an image.
const ROWS: usize = 8191;
/// Most values of them, which bounds the memory that they take.
const VALUES: usize = 1 << 22;

/// Fits one layer after the other, so that it returns the mean of what the parents' layers return on images, while
/// it reads what the merged network's earlier layers return. Layers that are the same in all parents stay. Batch
/// normalisations behind a layer are fitted with it; others are measured on the way.
pub(super) fn regress(
    fitting: &Fitting,
    merged: &mut Weights,
    parents: &Parents,
) -> Result<(), MergeError> {
    let Fitting { architecture, registry, images, .. } = *fitting;
    let stages = stages(fitting, parents);
    // The merged network runs up to every layer, half of it on the mean.
    let runs = parents.networks.len() + stages.len() / 2;
    let each = Summary::of(architecture, registry).total.multiply_accumulates;
    let affordable = WORK / each.saturating_mul(runs as u64).max(1);
    let count = usize::try_from(affordable).unwrap_or(MOST_IMAGES);
    let count = count.clamp(LEAST_IMAGES, MOST_IMAGES);
    let images = images.fitted(architecture, count).map_err(unmeasured)?.images;
    let units = stages.iter().filter_map(|stage| match stage {
        Stage::Unit(unit) => Some(unit.as_ref()),
        Stage::Norm { .. } => None,
    });
    let places: Vec<Places> =
        units.clone().map(|unit| Places::of(architecture, unit, images.shape[0])).collect();
    let units: Vec<&Unit> = units.collect();
    let targets = targets(fitting, &images, &units, &places, parents)?;
    let mut targets = places.iter().zip(targets);
    for stage in &stages {
        match stage {
            Stage::Unit(unit) => {
                let Some((places, targets)) = targets.next() else { break };
                let extent = extent(architecture, unit.layer.node);
                let mut rows = Vec::new();
                run(fitting, &images, merged, unit.input, |first, shape, values| {
                    // Where the first extent does not count images, the layer stays as it was merged.
                    let &[count, ..] = shape else { return };
                    if values.len() == shape.iter().product::<usize>() {
                        let places = places.within(first, count);
                        unit.read(values, shape, extent, places, &mut rows);
                    }
                })?;
                unit.fit(merged, &rows, &targets);
            }
            &Stage::Norm { read, mean, variance } => {
                let [means, variances] = moments(fitting, &images, merged, read)?;
                if merged.get(mean).is_some_and(|stored| stored.len() == means.len()) {
                    merged.set(mean, means);
                    merged.set(variance, variances);
                }
            }
        }
    }
    Ok(())
}

/// What is done about a network, in the order of its nodes.
enum Stage {
    /// A layer is fitted.
    Unit(Box<Unit>),
    /// A batch normalisation that belongs to no layer is measured.
    Norm { read: Operand, mean: ParameterId, variance: ParameterId },
}

fn stages(fitting: &Fitting, parents: &Parents) -> Vec<Stage> {
    let Fitting { architecture, registry, .. } = *fitting;
    let differs = |layer: &Layer| {
        let mut all = parents.networks.iter().map(|network| network.get(layer.weight));
        let first = all.next().flatten();
        all.any(|other| other != first)
    };
    let layers = Layer::all(architecture, registry).into_iter();
    let mut units: Vec<Unit> = layers
        .filter(differs)
        .filter_map(|layer| Unit::of(architecture, registry, layer))
        .collect();
    units.reverse();
    let ends: Vec<Operand> = units.iter().map(|unit| unit.output).collect();
    let mut stages = Vec::new();
    for &index in &architecture.order {
        if units.last().is_some_and(|unit| unit.layer.node == index) {
            stages.extend(units.pop().map(|unit| Stage::Unit(Box::new(unit))));
            continue;
        }
        let node = &architecture.dag[index];
        let step = registry.step(architecture, node);
        let behind = ends.contains(&Operand::Node { node: index, slot: 0 });
        if let (
            false,
            Some(Step::BatchNorm { .. }),
            &[read, _, _, Operand::Parameter(mean), Operand::Parameter(variance)],
        ) = (behind, step, &node.inputs[..])
        {
            stages.push(Stage::Norm { read, mean, variance });
        }
    }
    stages
}

/// Which outputs a layer is fitted to, by number: images, then places.
struct Places {
    /// Of one image.
    each: usize,
    chosen: Vec<usize>,
}

impl Places {
    fn of(architecture: &Architecture, unit: &Unit, images: usize) -> Self {
        let values = |operand| {
            let shape = architecture.fact(operand).and_then(|fact| fact.shape).unwrap_or_default();
            shape.iter().product::<usize>()
        };
        let batch = architecture.inputs.first().and_then(|input| input.shape.as_ref());
        let batch = batch.and_then(|shape| shape.first().copied()).unwrap_or(1).max(1);
        let channels = unit.layer.channels();
        let each = values(unit.output) / channels / batch;
        let all = each * images;
        let count = all.min(ROWS).min(VALUES / channels).max(1);
        Self { each, chosen: (0..count).map(|index| index * all / count).collect() }
    }

    /// Those of some images, counted from the first of them.
    fn within(&self, first: usize, images: usize) -> impl Iterator<Item = usize> {
        let [from, to] = [first, first + images].map(|image| image * self.each);
        let own = self.chosen.iter().filter(move |&&place| (from..to).contains(&place));
        own.map(move |place| place - from)
    }
}

/// Height and width of what a layer returns, if it is a convolution.
fn extent(architecture: &Architecture, node: NodeIndex) -> [usize; 2] {
    let fact = architecture.fact(Operand::Node { node, slot: 0 });
    match fact.and_then(|fact| fact.shape).as_deref() {
        Some(&[_, _, height, width]) => [height, width],
        _ => [1, 1],
    }
}

/// By unit, rows × channels of what the parents' layers return on the mean, by their shares; nothing where a batch is
/// not so many images.
fn targets(
    fitting: &Fitting,
    images: &CalibrationImages,
    units: &[&Unit],
    places: &[Places],
    parents: &Parents,
) -> Result<Vec<Vec<f32>>, MergeError> {
    let architecture = fitting.architecture;
    let outputs: Vec<Operand> = units.iter().map(|unit| unit.output).collect();
    let part = architecture.returning(&outputs);
    let device = Device::flex();
    let of =
        |(unit, places): (&&Unit, &Places)| vec![0.0; places.chosen.len() * unit.layer.channels()];
    let mut targets: Vec<Vec<f32>> = units.iter().zip(places).map(of).collect();
    for (network, share) in parents.contributing() {
        let weights = upload_weights(architecture, network, &device);
        let mut written = vec![0; units.len()];
        for (first, pass) in images.passes(PASS) {
            let returned =
                activations(fitting, &part, &weights, &pass, &device).map_err(unmeasured)?;
            for (index, (unit, returned)) in units.iter().zip(&returned).enumerate() {
                let axis = unit.layer.channel_axis;
                let values = by_channel(&returned.download(), returned.shape(), axis);
                let (channels, width) = (unit.layer.channels(), places[index].each * pass.shape[0]);
                if targets[index].is_empty() || values.len() != width * channels {
                    targets[index].clear();
                    continue;
                }
                for place in places[index].within(first, pass.shape[0]) {
                    let row = &mut targets[index][written[index]..][..channels];
                    let column = values.iter().skip(place).step_by(width);
                    for (target, value) in row.iter_mut().zip(column) {
                        *target += share as f32 * value;
                    }
                    written[index] += channels;
                }
            }
        }
    }
    Ok(targets)
}

/// Runs a network up to a value, a pass after the other. `take` gets the number of the first image of a pass, the
/// shape and the values; the first extent of the shape is the number of images.
fn run(
    fitting: &Fitting,
    images: &CalibrationImages,
    weights: &Weights,
    value: Operand,
    mut take: impl FnMut(usize, &[usize], &[f32]),
) -> Result<(), MergeError> {
    let Fitting { architecture, registry, .. } = *fitting;
    let mut shape = architecture.fact(value).and_then(|fact| fact.shape).unwrap_or_default();
    let mut give = |first: usize, count: usize, values: &[f32]| {
        if let Some(extent) = shape.first_mut() {
            *extent = count;
        }
        take(first, &shape, values);
    };
    if let Operand::Input(_) = value {
        images.passes(PASS).for_each(|(first, pass)| give(first, pass.shape[0], &pass.data));
        return Ok(());
    }
    let part = architecture.returning(&[value]);
    let of = |shape| Runner::of_batch(&part, shape, registry).map_err(unmeasured);
    let whole = images.range(0..PASS.min(images.shape[0])).shape;
    let runner = of(whole)?;
    let mut scratch = Scratch::default();
    for (first, pass) in images.passes(PASS) {
        let shorter = if pass.shape == whole { None } else { Some(of(pass.shape)?) };
        let runner = shorter.as_ref().unwrap_or(&runner);
        let running = NormStatistics::Running;
        let values = runner.logits(weights, pass.view(), &running, &mut scratch)?;
        give(first, pass.shape[0], &values);
    }
    Ok(())
}

/// Mean and variance of the channels of a value, which are along its second axis.
fn moments(
    fitting: &Fitting,
    images: &CalibrationImages,
    weights: &Weights,
    value: Operand,
) -> Result<[Vec<f32>; 2], MergeError> {
    let mut sums: Vec<[f64; 2]> = Vec::new();
    let mut count = 0.0;
    run(fitting, images, weights, value, |_, shape, values| {
        let &[images, channels, ..] = shape else { return };
        sums.resize(channels, [0.0; 2]);
        let inner = (values.len() / (images * channels).max(1)).max(1);
        for (index, plane) in values.chunks_exact(inner).enumerate() {
            let [sum, square] = &mut sums[index % channels.max(1)];
            for &value in plane {
                *sum += f64::from(value);
                *square += f64::from(value).powi(2);
            }
        }
        count += (images * inner) as f64;
    })?;
    let mean = |&[sum, _]: &[f64; 2]| (sum / count) as f32;
    let variance =
        |&[sum, square]: &[f64; 2]| (square / count - (sum / count).powi(2)).max(0.0) as f32;
    Ok([sums.iter().map(mean).collect(), sums.iter().map(variance).collect()])
}

fn unmeasured(why: String) -> MergeError {
    MergeError::Unmeasured { needs: "'regression'", why }
}
