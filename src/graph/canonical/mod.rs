//! One network is one graph, whoever exported it. What exporters spell in many ways becomes one form here,
//! before anything else reads the graph: features, fingerprints, ranks, lowering and channel groups all see
//! the canonical graph, and only reading and splicing know the file. Each rewrite has a file of its own. One
//! that changes parameters records in a [`Storage`](super::Storage) or a [`Wiring`](super::Wiring) how the
//! tensors of the file follow from them, so that writing back is exact.

mod adaptive_pool;
mod attention;
mod attributes;
mod batch;
mod branches;
mod broadcast;
mod cast;
mod clip;
mod constants;
mod edit;
mod einsum;
mod flattened;
mod folded_norm;
mod formula;
mod gates;
mod gather;
mod gelu;
mod group_norm;
mod hard_swish;
mod identity;
mod instance_norm;
mod kernels;
mod layer_norm;
mod layout;
mod linear;
mod logarithm;
mod look;
mod lstm;
mod merged;
mod merged_nodes;
mod mish;
mod order;
mod overwritten;
mod padding;
mod patches;
mod permutation;
mod pixels;
mod pooling;
mod prelu;
mod removed_bias;
mod repeated;
mod reshapes;
mod rms_norm;
mod root_mean_square;
mod safe_softmax;
mod sequences;
mod silu;
mod softmax_head;
mod space_to_depth;
mod spectral_norm;
mod stack;
mod standardised;
mod transposes;
mod twins;
mod unbind;
mod vector;
mod weight_norm;

use super::{Architecture, NodeIndex, Operand};
pub use batch::BatchRepair;
use edit::Editor;
pub use gates::GATE_PLACES;

/// Domain of operators that only canonical graphs have.
pub const CANONICAL_DOMAIN: &str = "weightsmith";

/// A rewrite of the pattern that ends at a node, if it is there.
type Rewrite = fn(&mut Editor, NodeIndex) -> Option<()>;

/// Every rewrite of nodes, in the order in which they are tried at each of them.
const REWRITES: &[Rewrite] = &[
    constants::fold,
    identity::remove,
    branches::take,
    merged_nodes::tell_apart,
    cast::name_type,
    attributes::become_inputs,
    attributes::complete,
    attributes::count_axes,
    padding::fold,
    attributes::plain_reshape,
    identity::remove_neutral,
    broadcast::unexpanded,
    broadcast::scaled,
    constants::remove_zero_bias,
    constants::plain_slice,
    standardised::in_evaluation_mode,
    weight_norm::solve,
    spectral_norm::solve,
    repeated::merge,
    overwritten::solve,
    overwritten::replaced,
    lstm::by_direction,
    logarithm::solve,
    folded_norm::unfold,
    removed_bias::restore,
    einsum::multiply,
    sequences::normed,
    sequences::split_maps,
    sequences::mix_maps,
    transposes::join,
    kernels::turn,
    space_to_depth::stride,
    layout::channels_first,
    flattened::reorder,
    linear::turn_matrix,
    linear::transposed_gemm,
    linear::rows,
    linear::rows_without_bias,
    linear::bias_first,
    adaptive_pool::recognise,
    stack::reduce,
    pooling::mean_of_images,
    pooling::of_the_image,
    pooling::mean_of_rows,
    pooling::flatten,
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
    gather::rows,
    patches::put_together,
    safe_softmax::unguarded,
    sequences::reshape_maps,
    attention::spell,
    attention::transpose_keys,
    reshapes::join,
    reshapes::stand_before_swap,
    reshapes::by_numbers,
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
        twins::tie(&mut editor);
        for node in editor.architecture.order.clone() {
            if editor.is_dead(node) {
                // Nobody asks for what it makes of parameters.
                if !editor.follows_input(Operand::Node { node, slot: 0 }) {
                    editor.leave_out(node);
                }
                continue;
            }
            for rewrite in REWRITES {
                if rewrite(&mut editor, node).is_some() {
                    break;
                }
            }
        }
        editor.finish()
    }
}
