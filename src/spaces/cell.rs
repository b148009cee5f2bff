//! Cells of the tabular NAS benchmarks: small graphs that a network repeats. Only what lies on a
//! way from a cell's input to its output is kept.

use serde::{Deserialize, Serialize};

use super::draw::{Draw, Weighted};

/// Nodes of an edge cell, input and output included.
const NODES: usize = 4;
/// Cells drawn before one that is certainly whole is taken.
const ATTEMPTS: usize = 50;

/// A cell of NAS-Bench-201: a node is the sum of what comes from all nodes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EdgeCell {
    /// The operator from one node to another; `None` passes nothing.
    pub edges: [[Option<EdgeOp>; NODES]; NODES],
}

/// What an edge does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EdgeOp {
    /// Passes on what it reads.
    Skip,
    /// Activation, 1×1 convolution, norm.
    Conv1,
    /// Activation, 3×3 convolution, norm.
    Conv3,
    /// 3×3 mean.
    AveragePool,
    /// Zeros, as the code of the benchmarks has it.
    Zero,
}

impl EdgeCell {
    /// Each of the six edges is one of five operators, as likely.
    pub fn draw(draw: &mut Draw) -> Self {
        let ops = [
            (None, 1.0),
            (Some(EdgeOp::Skip), 1.0),
            (Some(EdgeOp::Conv1), 1.0),
            (Some(EdgeOp::Conv3), 1.0),
            (Some(EdgeOp::AveragePool), 1.0),
        ];
        for _ in 0..ATTEMPTS {
            let mut cell = Self { edges: [[None; NODES]; NODES] };
            for to in 1..NODES {
                for from in 0..to {
                    cell.edges[from][to] = draw.pick(&ops).flatten();
                }
            }
            cell.prune();
            if cell.edges.iter().flatten().any(Option::is_some) {
                return cell;
            }
        }
        let mut cell = Self { edges: [[None; NODES]; NODES] };
        cell.edges[0][NODES - 1] = Some(EdgeOp::Conv3);
        cell
    }

    /// Each of the edges is one of these operators, dead ones and those of a broken cell too.
    pub fn draw_open(draw: &mut Draw, ops: &Weighted<EdgeOp>) -> Self {
        let mut edges = [[None; NODES]; NODES];
        for to in 1..NODES {
            for row in edges.iter_mut().take(to) {
                row[to] = draw.pick(ops);
            }
        }
        Self { edges }
    }

    /// Whether something leads from the input to the output.
    pub fn leads_through(&self) -> bool {
        live(NODES, |from, to| self.edges[from][to].is_some())[0]
    }

    fn prune(&mut self) {
        let live = live(NODES, |from, to| self.edges[from][to].is_some());
        for (from, row) in self.edges.iter_mut().enumerate() {
            for (to, edge) in row.iter_mut().enumerate() {
                if !live[from] || !live[to] {
                    *edge = None;
                }
            }
        }
    }
}

/// A cell of NAS-Bench-101: vertices in topological order, the first the input, the last the
/// output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VertexCell {
    /// Operators of the vertices between input and output.
    pub ops: Vec<VertexOp>,
    /// Pairs of vertices, in order.
    pub edges: Vec<(usize, usize)>,
}

/// What an interior vertex does to the sum of what reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VertexOp {
    /// Convolution of this kernel, norm, activation.
    Conv(usize),
    /// 3×3 maximum.
    MaxPool,
}

impl VertexCell {
    /// The benchmark's limit.
    const MOST_EDGES: usize = 9;

    /// Four to seven vertices before pruning, with at least one operator left after it.
    pub fn draw(draw: &mut Draw) -> Self {
        let ops = [(VertexOp::Conv(3), 0.4), (VertexOp::Conv(1), 0.3), (VertexOp::MaxPool, 0.3)];
        for _ in 0..ATTEMPTS {
            let vertices = draw.pick(&[(4, 0.1), (5, 0.2), (6, 0.3), (7, 0.4)]).unwrap_or(4);
            let interior: Vec<_> = (2..vertices).filter_map(|_| draw.pick(&ops)).collect();
            let pairs =
                (0..vertices).flat_map(|from| (from + 1..vertices).map(move |to| (from, to)));
            let edges: Vec<_> = pairs.filter(|_| draw.chance(0.45)).collect();
            let cell = Self { ops: interior, edges }.pruned();
            if !cell.ops.is_empty() && cell.edges.len() <= Self::MOST_EDGES {
                return cell;
            }
        }
        Self { ops: vec![VertexOp::Conv(3)], edges: vec![(0, 1), (1, 2)] }
    }

    /// Vertices, input and output included.
    pub fn vertices(&self) -> usize {
        self.ops.len() + 2
    }

    /// The vertices that a vertex reads.
    pub fn sources(&self, vertex: usize) -> impl Iterator<Item = usize> {
        self.edges.iter().filter(move |(_, to)| *to == vertex).map(|(from, _)| *from)
    }

    /// Channels of every vertex of a cell that returns `width`: those that the output reads share
    /// them, the others have as many as the widest that reads them.
    pub fn channels(&self, input: usize, width: usize) -> Vec<usize> {
        let last = self.vertices() - 1;
        let mut channels = vec![0; self.vertices()];
        (channels[0], channels[last]) = (input, width);
        let ends: Vec<_> = self.sources(last).filter(|&vertex| vertex > 0).collect();
        for (place, &vertex) in ends.iter().enumerate() {
            channels[vertex] = width / ends.len() + usize::from(place < width % ends.len());
        }
        for vertex in (1..last).rev().filter(|vertex| !ends.contains(vertex)) {
            let readers = self.edges.iter().filter(|(from, _)| *from == vertex);
            channels[vertex] = readers.map(|&(_, to)| channels[to]).max().unwrap_or(0);
        }
        channels
    }

    /// Without the vertices that lie on no way from input to output.
    pub fn pruned(&self) -> Self {
        let live = live(self.vertices(), |from, to| self.edges.contains(&(from, to)));
        let place =
            |vertex: usize| live[vertex].then(|| live[..vertex].iter().filter(|&&it| it).count());
        let renumbered = |&(from, to): &(usize, usize)| Some((place(from)?, place(to)?));
        let ops = self.ops.iter().zip(&live[1..]).filter(|(_, live)| **live);
        Self {
            ops: ops.map(|(op, _)| *op).collect(),
            edges: self.edges.iter().filter_map(renumbered).collect(),
        }
    }
}

/// Which of `count` nodes in topological order lie on a way from the first to the last.
fn live(count: usize, edge: impl Fn(usize, usize) -> bool) -> Vec<bool> {
    let (mut reached, mut reaches) = (vec![false; count], vec![false; count]);
    (reached[0], reaches[count - 1]) = (true, true);
    for node in 1..count {
        reached[node] = (0..node).any(|from| reached[from] && edge(from, node));
    }
    for node in (0..count - 1).rev() {
        reaches[node] = (node + 1..count).any(|to| reaches[to] && edge(node, to));
    }
    reached.into_iter().zip(reaches).map(|(reached, reaches)| reached && reaches).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells<T>(draw: impl Fn(&mut Draw) -> T) -> impl Iterator<Item = T> {
        (0..500).map(move |seed| draw(&mut Draw::new("cells", seed)))
    }

    #[test]
    fn every_edge_of_a_cell_is_on_a_way_through_it() {
        for cell in cells(EdgeCell::draw) {
            let mut again = cell;
            again.prune();
            assert_eq!(cell, again);
            assert!((0..NODES - 1).any(|from| cell.edges[from][NODES - 1].is_some()));
        }
        for cell in cells(VertexCell::draw) {
            assert_eq!(cell, cell.pruned());
            assert!(cell.edges.len() <= VertexCell::MOST_EDGES && cell.vertices() <= 7);
        }
    }

    #[test]
    fn channels_are_shared_as_the_benchmark_shares_them() {
        // 0 → 1 → 3 → 4, 0 → 2 → 4, with vertex 1 as wide as its reader.
        let cell = VertexCell {
            ops: vec![VertexOp::Conv(3); 3],
            edges: vec![(0, 1), (0, 2), (1, 3), (2, 4), (3, 4)],
        };
        assert_eq!(cell.channels(8, 21), [8, 10, 11, 10, 21]);
        for cell in cells(VertexCell::draw) {
            let channels = cell.channels(16, 33);
            let last = cell.vertices() - 1;
            let joined: usize = cell
                .sources(last)
                .filter(|&vertex| vertex > 0)
                .map(|vertex| channels[vertex])
                .sum();
            assert_eq!(joined, 33);
            for &(from, to) in cell.edges.iter().filter(|(from, to)| *from > 0 && *to < last) {
                assert!(channels[from] >= channels[to]);
            }
        }
    }
}
