//! Topological order.

use std::collections::BTreeSet;

use petgraph::Direction;

use super::{super::NodeIndex, ReadError, Reader};

impl Reader<'_> {
    /// Kahn's algorithm, the earliest node of the file first.
    pub(super) fn sort(&mut self) -> Result<(), ReadError> {
        let dag = &self.architecture.dag;
        // Parallel edges count as often as they occur, here and below.
        let mut waiting: Vec<usize> = dag
            .node_indices()
            .map(|node| dag.neighbors_directed(node, Direction::Incoming).count())
            .collect();
        let mut ready: BTreeSet<NodeIndex> =
            dag.node_indices().filter(|node| waiting[node.index()] == 0).collect();
        let mut order = Vec::with_capacity(dag.node_count());
        while let Some(node) = ready.pop_first() {
            order.push(node);
            for next in dag.neighbors(node) {
                waiting[next.index()] -= 1;
                if waiting[next.index()] == 0 {
                    ready.insert(next);
                }
            }
        }
        if order.len() < dag.node_count() {
            let node = self.architecture.describe(self.on_cycle(&waiting));
            return Err(ReadError::Cycle { file: self.file(), node });
        }
        if !order.is_sorted() {
            let notice = "nodes are not in topological order; the file's order is kept";
            self.architecture.notices.push(notice.to_owned());
        }
        self.architecture.order = order;
        Ok(())
    }

    /// A node on a cycle, given the nodes that wait for others: behind each stands another one, so
    /// walking back ends on a cycle.
    fn on_cycle(&self, waiting: &[usize]) -> NodeIndex {
        let dag = &self.architecture.dag;
        let waits = |node: &NodeIndex| waiting[node.index()] > 0;
        let mut node = dag.node_indices().find(waits).unwrap_or_default();
        let mut passed = BTreeSet::new();
        while passed.insert(node) {
            let behind = dag.neighbors_directed(node, Direction::Incoming).find(waits);
            node = behind.unwrap_or(node);
        }
        node
    }
}
