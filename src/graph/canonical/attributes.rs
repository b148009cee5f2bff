//! Attributes that say what is so anyway. Exporters differ in which of them they write; here each operator
//! has those that it needs, whether the file says them or not.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
    permutation,
};

/// An attribute and what it is where a file leaves it out.
struct Implied {
    op_type: &'static str,
    name: &'static str,
    default: Usual,
}

/// What an attribute is where nothing is said.
#[derive(Clone, Copy)]
enum Usual {
    /// Written in every case.
    Int(i64),
    Float(f32),
    /// As many as the window has axes, or twice as many.
    Ones,
    Zeros,
    /// Left out where the file says just this.
    NoInt(i64),
    NoFloat(f32),
    NoString(&'static str),
    /// Once, or once for each direction.
    NoStrings(&'static [&'static str]),
    NoOnes,
    /// Of no consequence for what a trained network computes.
    Idle,
}

const fn implied(op_type: &'static str, name: &'static str, default: Usual) -> Implied {
    Implied { op_type, name, default }
}

use Usual::{Float, Idle, Int, NoFloat, NoInt, NoOnes, NoString, NoStrings, Ones, Zeros};

/// The operators' definitions in the ONNX specification.
const IMPLIED: &[Implied] = &[
    implied("AveragePool", "auto_pad", NoString("NOTSET")),
    implied("AveragePool", "ceil_mode", Int(0)),
    implied("AveragePool", "count_include_pad", Int(0)),
    implied("AveragePool", "dilations", NoOnes),
    implied("AveragePool", "pads", Zeros),
    implied("AveragePool", "strides", Ones),
    implied("BatchNormalization", "consumed_inputs", Idle),
    implied("BatchNormalization", "epsilon", Float(1e-5)),
    implied("BatchNormalization", "is_test", Idle),
    implied("BatchNormalization", "momentum", Float(0.9)),
    implied("BatchNormalization", "spatial", NoInt(1)),
    implied("BatchNormalization", "training_mode", Int(0)),
    implied("Conv", "auto_pad", NoString("NOTSET")),
    implied("Conv", "dilations", Ones),
    implied("Conv", "group", Int(1)),
    implied("Conv", "pads", Zeros),
    implied("Conv", "strides", Ones),
    implied("ConvTranspose", "auto_pad", NoString("NOTSET")),
    implied("ConvTranspose", "dilations", Ones),
    implied("ConvTranspose", "group", Int(1)),
    implied("ConvTranspose", "pads", Zeros),
    implied("ConvTranspose", "strides", Ones),
    implied("Elu", "alpha", Float(1.0)),
    implied("Flatten", "axis", Int(1)),
    implied("Gather", "axis", Int(0)),
    implied("Gemm", "alpha", Float(1.0)),
    implied("Gemm", "beta", Float(1.0)),
    implied("Gemm", "transA", NoInt(0)),
    implied("Gemm", "transB", Int(0)),
    implied("GroupNormalization", "epsilon", Float(1e-5)),
    implied("GroupNormalization", "stash_type", NoInt(1)),
    implied("HardSigmoid", "alpha", Float(0.2)),
    implied("HardSigmoid", "beta", Float(0.5)),
    implied("LayerNormalization", "axis", Int(-1)),
    implied("LayerNormalization", "epsilon", Float(1e-5)),
    implied("LayerNormalization", "stash_type", NoInt(1)),
    implied("LSTM", "activations", NoStrings(&["Sigmoid", "Tanh", "Tanh"])),
    implied("LSTM", "clip", NoFloat(0.0)),
    implied("LSTM", "direction", NoString("forward")),
    implied("LSTM", "input_forget", NoInt(0)),
    implied("LSTM", "layout", NoInt(0)),
    implied("LeakyRelu", "alpha", Float(0.01)),
    implied("MaxPool", "auto_pad", NoString("NOTSET")),
    implied("MaxPool", "ceil_mode", Int(0)),
    implied("MaxPool", "dilations", Ones),
    implied("MaxPool", "pads", Zeros),
    implied("MaxPool", "storage_order", NoInt(0)),
    implied("MaxPool", "strides", Ones),
    implied("ReduceMean", "keepdims", Int(1)),
    implied("ReduceMean", "noop_with_empty_axes", NoInt(0)),
    implied("ReduceL1", "keepdims", Int(1)),
    implied("ReduceL1", "noop_with_empty_axes", NoInt(0)),
    implied("ReduceL2", "keepdims", Int(1)),
    implied("ReduceL2", "noop_with_empty_axes", NoInt(0)),
    implied("ReduceMax", "keepdims", Int(1)),
    implied("ReduceMax", "noop_with_empty_axes", NoInt(0)),
    implied("ReduceMin", "keepdims", Int(1)),
    implied("ReduceMin", "noop_with_empty_axes", NoInt(0)),
    implied("ReduceSum", "keepdims", Int(1)),
    implied("ReduceSum", "noop_with_empty_axes", NoInt(0)),
    implied("Reshape", "allowzero", NoInt(0)),
    implied("Resize", "antialias", NoInt(0)),
    implied("Resize", "cubic_coeff_a", NoFloat(-0.75)),
    implied("Resize", "exclude_outside", NoInt(0)),
    implied("Resize", "extrapolation_value", NoFloat(0.0)),
    implied("Resize", "keep_aspect_ratio_policy", NoString("stretch")),
];

pub(super) fn complete(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.node(node).domain.is_empty() {
        return None;
    }
    let before = editor.node(node).attributes.clone();
    valid(editor, node);
    kernel_shape(editor, node);
    last_axis(editor, node);
    let op_type = editor.node(node).op_type.clone();
    let axes = match editor.node(node).attributes.ints("kernel_shape") {
        Ok(Some(kernel)) => kernel.len(),
        _ => 0,
    };
    for Implied { name, default, .. } in IMPLIED.iter().filter(|it| it.op_type == op_type) {
        let given = editor.node(node).attributes.0.get(*name).cloned();
        let ones = |given: &Attribute| matches!(given, Attribute::Ints(values) if values.iter().all(|&value| value == 1));
        match (default, given) {
            (Int(value), None) => editor.set_attribute(node, name, Attribute::Int(*value)),
            (Float(value), None) => editor.set_attribute(node, name, Attribute::Float(*value)),
            (Ones, None) if axes > 0 => {
                editor.set_attribute(node, name, Attribute::Ints(vec![1; axes]));
            }
            (Zeros, None) if axes > 0 => {
                editor.set_attribute(node, name, Attribute::Ints(vec![0; 2 * axes]));
            }
            (NoInt(value), Some(Attribute::Int(given))) if given == *value => {
                editor.remove_attribute(node, name);
            }
            (NoFloat(value), Some(Attribute::Float(given))) if given == *value => {
                editor.remove_attribute(node, name);
            }
            (NoString(value), Some(Attribute::String(given))) if given == *value => {
                editor.remove_attribute(node, name);
            }
            (NoStrings(values), Some(Attribute::Strings(given)))
                if given.chunks(values.len()).all(|given| given == *values) =>
            {
                editor.remove_attribute(node, name);
            }
            (NoOnes, Some(given)) if ones(&given) => editor.remove_attribute(node, name),
            (Idle, Some(_)) => editor.remove_attribute(node, name),
            _ => {}
        }
    }
    counted_pads(editor, node);
    if op_type == "BatchNormalization" {
        editor.set_attribute(node, "momentum", Attribute::Float(0.9));
    }
    (editor.node(node).attributes != before).then_some(())
}

/// `VALID` is another name for no pads.
fn valid(editor: &mut Editor, node: NodeIndex) {
    let window = ["AveragePool", "Conv", "MaxPool"].iter().any(|it| editor.is(node, it));
    if window && editor.node(node).attributes.string("auto_pad", "NOTSET") == Ok("VALID") {
        editor.remove_attribute(node, "auto_pad");
        editor.remove_attribute(node, "pads");
    }
}

/// A convolution has the window of its kernel.
fn kernel_shape(editor: &mut Editor, node: NodeIndex) {
    if editor.is(node, "Conv") || editor.is(node, "ConvTranspose") {
        let kernel = editor.shape(editor.input(node, 1)).and_then(|shape| shape.get(2..));
        let kernel = kernel.map(|extents| extents.iter().map(|&it| it as i64).collect());
        if let Some(kernel) = kernel {
            editor.set_attribute(node, "kernel_shape", Attribute::Ints(kernel));
        }
    }
}

/// The last axis is −1 for what works along it.
fn last_axis(editor: &mut Editor, node: NodeIndex) {
    let along = ["LayerNormalization", "LogSoftmax", "RMSNormalization", "Softmax", "Split"];
    let rank = editor.shape(editor.input(node, 0)).map(<[usize]>::len);
    let given = editor.node(node).attributes.int("axis", -1).ok();
    if along.iter().any(|op_type| editor.is(node, op_type))
        && let (Some(rank), Some(axis)) = (rank, given)
        && axis >= 0
        && axis as usize + 1 == rank
    {
        editor.set_attribute(node, "axis", Attribute::Int(-1));
    }
    if editor.is(node, "Concat")
        && let (Some(rank), Some(axis)) = (rank, given)
        && axis < 0
        && axis + rank as i64 >= 0
    {
        editor.set_attribute(node, "axis", Attribute::Int(axis + rank as i64));
    }
}

/// Without pads it does not matter whether they count.
fn counted_pads(editor: &mut Editor, node: NodeIndex) {
    let attributes = &editor.node(node).attributes;
    let unpadded =
        matches!(attributes.ints("pads"), Ok(Some(pads)) if pads.iter().all(|&it| it == 0));
    let floor = attributes.int("ceil_mode", 0) == Ok(0);
    if editor.is(node, "AveragePool") && unpadded && floor && !attributes.0.contains_key("auto_pad")
    {
        editor.set_attribute(node, "count_include_pad", Attribute::Int(1));
    }
}

/// Axes that a node reads are counted from the first.
pub(super) fn count_axes(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let rank = match editor.node(node).op_type.as_str() {
        "Unsqueeze" => editor.shape(Operand::Node { node, slot: 0 })?.len(),
        "ReduceL1" | "ReduceL2" | "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceSum"
        | "Squeeze" => editor.shape(editor.input(node, 0))?.len(),
        _ => return None,
    };
    let given = editor.ints(editor.input(node, 1))?;
    let counted = |&axis: &i64| if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    let mut axes: Vec<i64> = given.iter().map(counted).collect();
    axes.sort_unstable();
    if axes == given {
        return None;
    }
    let axes = editor.int_list(axes);
    editor.set_input(node, 1, axes);
    Some(())
}

/// A `Reshape` of what no image reaches says the extents that it makes; no other speaks of zeros that it
/// does not have.
pub(super) fn plain_reshape(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Reshape").then_some(())?;
    let target = editor.ints(editor.input(node, 1))?.to_vec();
    if !target.contains(&0) && editor.node(node).attributes.0.contains_key("allowzero") {
        editor.remove_attribute(node, "allowzero");
        return Some(());
    }
    let made = editor.shape(Operand::Node { node, slot: 0 })?;
    let made: Vec<i64> = made.iter().map(|&extent| extent as i64).collect();
    let data = editor.input(node, 0);
    if target == made || made.contains(&0) || editor.follows_input(data) {
        return None;
    }
    let made = editor.int_list(made);
    editor.set_input(node, 1, made);
    Some(())
}

/// What became an input in a later opset is one: axes of reductions, `Squeeze` and `Unsqueeze`, lengths of
/// `Split`, bounds of `Slice`.
pub(super) fn become_inputs(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    /// First opset in which all of these are inputs.
    const INPUTS: i64 = 18;
    if !editor.node(node).domain.is_empty() {
        return None;
    }
    let data = editor.input(node, 0);
    let attributes = &editor.node(node).attributes;
    let list = |name: &str| attributes.ints(name).ok().flatten().map(<[i64]>::to_vec);
    let (inputs, names): (Vec<Vec<i64>>, &[&str]) = match editor.node(node).op_type.as_str() {
        "ReduceL1" | "ReduceL2" | "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceSum"
        | "Squeeze" | "Unsqueeze" => (vec![list("axes")?], &["axes"]),
        "Slice" => {
            let (starts, ends) = (list("starts")?, list("ends")?);
            let axes = list("axes").unwrap_or((0..starts.len() as i64).collect());
            (vec![starts, ends, axes], &["starts", "ends", "axes"])
        }
        "Split" if editor.input(node, 1) == Operand::Absent => {
            let rank = editor.shape(data)?.len();
            let axis = permutation::axis(attributes.int("axis", 0).ok()?, rank)?;
            let outputs = editor.node(node).outputs.iter();
            let lengths: Option<Vec<i64>> =
                outputs.map(|part| Some(*part.shape.as_ref()?.get(axis)? as i64)).collect();
            (vec![lengths?], &["num_outputs", "split"])
        }
        _ => return None,
    };
    let mut operands = vec![data];
    for list in inputs {
        operands.push(editor.int_list(list));
    }
    names.iter().for_each(|name| editor.remove_attribute(node, name));
    editor.set_inputs(node, &operands);
    editor.raise_opset(node, INPUTS);
    Some(())
}
