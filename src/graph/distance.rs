//! Shortest and longest paths in the DAG.

use std::collections::VecDeque;

use petgraph::Direction;

use super::{Architecture, NodeIndex};

/// Distances between nodes, in edges.
#[derive(Clone, Debug)]
pub struct Distances {
    nodes: usize,
    shortest: Vec<u16>,
    from_input: Vec<usize>,
    to_output: Vec<usize>,
}

const UNREACHED: u16 = u16::MAX;

impl Architecture {
    /// All distances; shortest paths longer than `cutoff` count as unreached.
    pub fn distances(&self, cutoff: u16) -> Distances {
        let nodes = self.dag.node_count();
        let mut shortest = vec![UNREACHED; nodes * nodes];
        let mut queue = VecDeque::new();
        for start in self.dag.node_indices() {
            let row = &mut shortest[start.index() * nodes..][..nodes];
            row[start.index()] = 0;
            queue.push_back(start);
            while let Some(node) = queue.pop_front() {
                let next = row[node.index()] + 1;
                if next > cutoff {
                    continue;
                }
                for neighbour in self.dag.neighbors(node) {
                    if row[neighbour.index()] == UNREACHED {
                        row[neighbour.index()] = next;
                        queue.push_back(neighbour);
                    }
                }
            }
        }
        let longest = |order: &mut dyn Iterator<Item = NodeIndex>, direction| {
            let mut depth = vec![0; nodes];
            for node in order {
                let before = self.dag.neighbors_directed(node, direction);
                depth[node.index()] = before.map(|n| depth[n.index()] + 1).max().unwrap_or(0);
            }
            depth
        };
        Distances {
            nodes,
            shortest,
            from_input: longest(&mut self.order.iter().copied(), Direction::Incoming),
            to_output: longest(&mut self.order.iter().rev().copied(), Direction::Outgoing),
        }
    }
}

impl Distances {
    /// Edges on the shortest directed path, if there is one within the cut-off.
    pub fn shortest(&self, from: NodeIndex, to: NodeIndex) -> Option<u16> {
        let distance = self.shortest[from.index() * self.nodes + to.index()];
        (distance != UNREACHED).then_some(distance)
    }

    /// Edges on the longest path that ends at a node.
    pub fn depth_from_input(&self, node: NodeIndex) -> usize {
        self.from_input[node.index()]
    }

    /// Edges on the longest path that starts at a node.
    pub fn depth_to_output(&self, node: NodeIndex) -> usize {
        self.to_output[node.index()]
    }
}
