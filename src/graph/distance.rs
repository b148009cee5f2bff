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
    /// All distances; shortest paths longer than `cutoff` count as unreached. Takes two bytes for
    /// every pair of nodes: see [`Distances::LARGEST`].
    pub fn distances(&self, cutoff: u16) -> Distances {
        let cutoff = cutoff.min(UNREACHED - 1);
        let nodes = self.dag.node_count();
        let mut shortest = vec![UNREACHED; nodes * nodes];
        let mut queue = VecDeque::new();
        for start in self.dag.node_indices() {
            let row = &mut shortest[start.index() * nodes..][..nodes];
            row[start.index()] = 0;
            queue.push_back(start);
            while let Some(node) = queue.pop_front() {
                if row[node.index()] >= cutoff {
                    continue;
                }
                let next = row[node.index()] + 1;
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
    /// Nodes of a graph up to which the square of their number is a sensible amount of memory.
    pub const LARGEST: usize = 4096;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Edge;

    /// A graph with edges between numbered nodes, in topological order.
    fn graph(nodes: usize, edges: &[(usize, usize)]) -> Architecture {
        let mut architecture = Architecture::default();
        let node =
            crate::graph::Node { op_type: "Relu".to_owned(), opset: 1, ..Default::default() };
        architecture.order = (0..nodes).map(|_| architecture.dag.add_node(node.clone())).collect();
        for &(from, to) in edges {
            let edge = Edge { source_slot: 0, destination_slot: 0 };
            architecture.dag.add_edge(NodeIndex::new(from), NodeIndex::new(to), edge);
        }
        architecture
    }

    /// 0 → 1 → 2 → 3 → 4, a shortcut 0 → 3 that is there twice, and 5 alone.
    fn shortcut() -> Architecture {
        graph(6, &[(0, 1), (1, 2), (2, 3), (3, 4), (0, 3), (0, 3)])
    }

    #[test]
    fn shortest_paths_follow_the_edges() {
        let distances = shortcut().distances(50);
        let shortest = |from, to| distances.shortest(NodeIndex::new(from), NodeIndex::new(to));
        assert_eq!(shortest(0, 4), Some(2));
        assert_eq!(shortest(1, 4), Some(3));
        assert_eq!(shortest(2, 2), Some(0));
        assert_eq!(shortest(4, 0), None);
        assert_eq!(shortest(0, 5), None);
    }

    #[test]
    fn depths_are_of_the_longest_paths() {
        let distances = shortcut().distances(50);
        let depths = |node| {
            let node = NodeIndex::new(node);
            (distances.depth_from_input(node), distances.depth_to_output(node))
        };
        assert_eq!([0, 1, 3, 4, 5].map(depths), [(0, 4), (1, 3), (3, 1), (4, 0), (0, 0)]);
    }

    #[test]
    fn the_cut_off_is_the_longest_distance_kept() {
        let chain = graph(5, &[(0, 1), (1, 2), (2, 3), (3, 4)]);
        let reach = |cutoff| {
            let distances = chain.distances(cutoff);
            (0..5).filter_map(|to| distances.shortest(NodeIndex::new(0), NodeIndex::new(to))).max()
        };
        assert_eq!([0, 2, 4, u16::MAX].map(reach), [Some(0), Some(2), Some(4), Some(4)]);
    }
}
