//! From conditions to terms of tokens.

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData},
};

use crate::{
    neural::{gelu, linear, matrix, upload},
    patches::Family,
    predictor::placed::Placed,
};

use super::{Condition, DiffusionConfig};

/// Waves that tell noise levels apart.
const WAVES: usize = 3;
/// What is told of a condition besides its latent: time and its waves, quality and whether it is known.
const TOLD: usize = 1 + 2 * WAVES + 3;

/// The part of a denoiser that reads its condition. All that it adds starts at zero but for the latent's
/// part: samples that start alike would stay alike.
#[derive(Module, Debug)]
pub struct Conditioner {
    enter: Linear,
    latent_to_nodes: Linear,
    latent_to_addresses: Linear,
    adds_to_nodes: Linear,
    adds_to_addresses: Linear,
    /// One per patch position of every family, as the output layers.
    patches: Vec<Vec<Linear>>,
    adds_read_to_nodes: Linear,
    adds_read_to_addresses: Linear,
    latent: usize,
    anchored: bool,
}

/// What was read of the noisy patches of some architectures.
#[derive(Debug)]
pub struct Reading {
    /// By address, `[addresses, patch width]`.
    addresses: Tensor<2>,
    /// Sums over the addresses of every node, `[graphs · nodes, patch width]`.
    sums: Tensor<2>,
    /// Addresses of every node.
    counts: Vec<f32>,
}

/// What conditions say to every node and to every address of their graphs, `[graphs, width]` each.
#[derive(Debug)]
pub struct Told {
    nodes: Tensor<2>,
    addresses: Tensor<2>,
}

impl Conditioner {
    /// An empty conditioner for tokens of the given width.
    pub fn new(config: &DiffusionConfig, width: usize, device: &Device) -> Self {
        let readers = |family: &Family| {
            let [rows, columns] = family.patch();
            let reader = || matrix(2 * rows * columns, config.patch, device);
            (0..family.positions()).map(|_| reader()).collect()
        };
        Self {
            enter: linear(TOLD, width, device),
            latent_to_nodes: matrix(config.latent, width, device),
            latent_to_addresses: matrix(config.latent, width, device),
            adds_to_nodes: linear(width, width, device),
            adds_to_addresses: linear(width, width, device),
            patches: Family::ALL.iter().map(readers).collect(),
            adds_read_to_nodes: matrix(config.patch, width, device),
            adds_read_to_addresses: matrix(config.patch, width, device),
            latent: config.latent,
            anchored: config.anchored,
        }
    }

    /// Length of the latent.
    pub fn latent(&self) -> usize {
        self.latent
    }

    /// What all conditions say; `None` counts as full noise and nothing asked.
    pub fn told(&self, conditions: &[Option<&Condition>], device: &Device) -> Told {
        let told = self.said(conditions, device);
        if !self.anchored {
            return told;
        }
        let anchor = self.said(&[Some(&Condition::full_noise(Some(1.0), Vec::new()))], device);
        Told { nodes: told.nodes - anchor.nodes, addresses: told.addresses - anchor.addresses }
    }

    /// As [`Conditioner::told`], without an anchor.
    fn said(&self, conditions: &[Option<&Condition>], device: &Device) -> Told {
        let mut values = Vec::with_capacity(conditions.len() * TOLD);
        let mut latents = Vec::with_capacity(conditions.len() * self.latent);
        for condition in conditions {
            let time = condition.map_or(1.0, |condition| condition.time);
            values.push(time);
            for wave in 0..WAVES {
                let angle = std::f32::consts::PI * time * (1 << wave) as f32;
                values.extend([angle.sin(), angle.cos()]);
            }
            let quality = condition.and_then(|condition| condition.quality);
            let known = f32::from(quality.is_some());
            let quality = quality.unwrap_or(0.0);
            values.extend([known, 2.0 * quality, 2.0 * quality * quality]);
            let latent = condition.map_or(&[][..], |condition| &condition.latent);
            latents.extend((0..self.latent).map(|index| latent.get(index).copied().unwrap_or(0.0)));
        }
        let told = upload(values, [conditions.len(), TOLD], device);
        let hidden = gelu(self.enter.forward(told));
        let latent = upload(latents, [conditions.len(), self.latent], device);
        Told {
            nodes: self.adds_to_nodes.forward(hidden.clone())
                + self.latent_to_nodes.forward(latent.clone()),
            addresses: self.adds_to_addresses.forward(hidden)
                + self.latent_to_addresses.forward(latent),
        }
    }

    /// Reads the noisy patches of the jobs that have any; `None` if none has. `rows` is the number of
    /// node tokens.
    pub(crate) fn read(&self, placed: &Placed, rows: usize, device: &Device) -> Option<Reading> {
        let noisy = |job: usize| placed.jobs[job].condition.and_then(|it| it.noisy.as_ref());
        if (0..placed.jobs.len()).all(|job| noisy(job).is_none()) {
            return None;
        }
        let mut read: Vec<Tensor<2>> = Vec::new();
        let mut of_address: Vec<i32> = Vec::new();
        for family in Family::ALL {
            let [height, columns] = family.patch();
            let area = height * columns;
            for position in 0..family.positions() {
                let mut values = Vec::new();
                let before = of_address.len();
                for (job, span) in placed.spans(family, position) {
                    let Some(noisy) = noisy(job) else { continue };
                    let start = values.len();
                    values.resize(start + 2 * area, 0.0);
                    let (own, previous) = values[start..].split_at_mut(area);
                    for (weights, patch) in [(&noisy.weights, own), (&noisy.previous, previous)] {
                        if let Some(tensor) = weights.get(span.parameter) {
                            span.read(tensor, columns, patch);
                        }
                    }
                    of_address.push((placed.first_address[job] + span.address) as i32);
                }
                let count = of_address.len() - before;
                if count > 0 {
                    let values = upload(values, [count, 2 * area], device);
                    read.push(self.patches[family as usize][position].forward(values));
                }
            }
        }
        let read = Tensor::cat(read, 0);
        let [spans, width] = read.dims();
        let index: Tensor<1, Int> = Tensor::from_data(TensorData::new(of_address, [spans]), device);
        let add = IndexingUpdateOp::Add;
        let addresses = Tensor::<2>::zeros([placed.addresses.len(), width], device)
            .select_assign(0, index, read, add);
        let mut counts = vec![0.0; rows];
        let tokens: Vec<i32> = placed.addresses.iter().map(|it| it.token as i32).collect();
        for (job, window) in placed.ranges().enumerate() {
            if noisy(job).is_some() {
                tokens[window].iter().for_each(|&token| counts[token as usize] += 1.0);
            }
        }
        let tokens: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(tokens, [placed.addresses.len()]), device);
        let add = IndexingUpdateOp::Add;
        let sums = Tensor::<2>::zeros([rows, width], device).select_assign(
            0,
            tokens,
            addresses.clone(),
            add,
        );
        Some(Reading { addresses, sums, counts })
    }

    /// What is added to node tokens, `[graphs · nodes, width]`: the condition of the graph, and the
    /// mean of what was read at the node's addresses.
    pub fn of_nodes(
        &self,
        told: &Told,
        readings: &[&Reading],
        nodes: usize,
        device: &Device,
    ) -> Tensor<2> {
        let [graphs, width] = told.nodes.dims();
        let own = told.nodes.clone().reshape([graphs, 1, width]).expand([graphs, nodes, width]);
        let own = own.reshape([graphs * nodes, width]);
        let Some((first, others)) = readings.split_first() else { return own };
        let mut sums = first.sums.clone();
        let mut counts = first.counts.clone();
        for other in others {
            sums = sums + other.sums.clone();
            counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        }
        let shares: Vec<f32> = counts.iter().map(|count| 1.0 / count.max(1.0)).collect();
        let shares = upload(shares, [graphs * nodes, 1], device);
        own + self.adds_read_to_nodes.forward(sums * shares)
    }

    /// What is added to patch tokens, `[addresses, width]`: the condition of the address's graph, and
    /// what was read there.
    pub(crate) fn of_addresses(
        &self,
        told: &Told,
        reading: Option<&Reading>,
        placed: &Placed,
        device: &Device,
    ) -> Tensor<2> {
        let mut graph = vec![0i32; placed.addresses.len()];
        for (job, window) in placed.ranges().enumerate() {
            graph[window].fill(job as i32);
        }
        let graph: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(graph, [placed.addresses.len()]), device);
        let own = told.addresses.clone().select(0, graph);
        match reading {
            None => own,
            Some(reading) => own + self.adds_read_to_addresses.forward(reading.addresses.clone()),
        }
    }
}
