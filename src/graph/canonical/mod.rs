//! One network is one graph, whoever exported it. What exporters spell in many ways becomes one form here,
//! before anything else reads the graph: features, fingerprints, ranks, lowering and channel groups all see
//! the canonical graph, and only reading and splicing know the file. Each rewrite has a file of its own. One
//! that changes parameters records in a [`Storage`](super::Storage) or a [`Wiring`](super::Wiring) how the
//! tensors of the file follow from them, so that writing back is exact.

mod attention;
mod cast;
mod clip;
mod edit;
mod formula;
mod gelu;
mod group_norm;
mod hard_swish;
mod identity;
mod instance_norm;
mod layer_norm;
mod merged;
mod mish;
mod order;
mod prelu;
mod rms_norm;
mod root_mean_square;
mod silu;
mod softmax_head;
mod unbind;
mod vector;

use super::{Architecture, NodeIndex};
use edit::Editor;

/// A rewrite of the pattern that ends at a node, if it is there.
type Rewrite = fn(&mut Editor, NodeIndex) -> Option<()>;

/// Every rewrite of nodes, in the order in which they are tried at each of them.
const REWRITES: &[Rewrite] = &[
    identity::remove,
    cast::name_type,
    gelu::recognise,
    silu::recognise,
    silu::recognise_sigmoid,
    hard_swish::recognise,
    mish::recognise,
    mish::recognise_softplus,
    clip::recognise,
    layer_norm::recognise,
    rms_norm::recognise,
    group_norm::recognise,
    prelu::flatten,
    attention::spell,
    attention::transpose_keys,
    unbind::split,
];

impl Architecture {
    /// Takes one step towards the canonical form of an architecture whose shapes and uses of parameters are
    /// known; says whether anything changed, so that they must be found anew. When nothing does, the
    /// graph is canonical.
    pub fn canonicalise(&mut self) -> bool {
        let mut editor = Editor::new(self);
        instance_norm::keep_invented(&mut editor);
        softmax_head::take_off(&mut editor);
        merged::tell_apart(&mut editor);
        for node in editor.architecture.order.clone() {
            for rewrite in REWRITES {
                if rewrite(&mut editor, node).is_some() {
                    break;
                }
            }
        }
        editor.finish()
    }
}
