//! The cases: every operator, in every form of its attributes and opsets that is supported.

use super::model::{Case, op};

/// All cases.
pub fn cases() -> Vec<Case> {
    [
        convolutions(),
        products(),
        normalisations(),
        activations(),
        arithmetic(),
        joins(),
        renames(),
        pools(),
        reductions(),
        statics(),
        comparisons(),
        places(),
        sums_of_products(),
        resampling(),
        attention(),
        recurrences(),
    ]
    .concat()
}

fn convolutions() -> Vec<Case> {
    let conv = |opset| op("Conv", opset).x([2, 4, 7, 6]);
    let transposed = || op("ConvTranspose", 11).x([2, 4, 4, 3]);
    vec![
        conv(11).w([6, 4, 3, 3]),
        conv(1).w([6, 4, 3, 3]).w([6]).with("kernel_shape", [3, 3]),
        conv(11).w([6, 4, 3, 3]).w([6]).with("pads", [1, 1, 1, 1]),
        conv(11).w([6, 4, 3, 2]).w([6]).with("pads", [0, 1, 2, 0]),
        conv(11).w([6, 4, 3, 3]).with("strides", [2, 1]).with("pads", [1, 0, 0, 1]),
        conv(11).w([6, 4, 3, 2]).with("dilations", [2, 3]).with("pads", [2, 2, 2, 2]),
        conv(11).w([6, 2, 3, 3]).w([6]).with("group", 2),
        conv(11).w([4, 1, 3, 3]).w([4]).with("group", 4).with("pads", [1, 1, 1, 1]),
        conv(11).w([8, 1, 3, 3]).with("group", 4).with("strides", [2, 2]),
        conv(11).w([5, 4, 1, 1]).w([5]),
        conv(22).w([5, 4, 1, 1]).with("strides", [2, 2]),
        conv(11).w([3, 4, 3, 3]).with("auto_pad", "SAME_UPPER").with("strides", [2, 2]),
        conv(11).w([3, 4, 2, 4]).with("auto_pad", "SAME_UPPER"),
        conv(11).w([3, 4, 2, 4]).with("auto_pad", "SAME_LOWER"),
        conv(11).w([3, 4, 3, 3]).with("auto_pad", "VALID"),
        conv(11).w([3, 4, 7, 6]),
        // Rows and volumes.
        op("Conv", 11).x([2, 4, 7]).w([6, 2, 3]).w([6]).with("group", 2).with("pads", [1, 0]),
        op("Conv", 11).x([2, 3, 9]).w([4, 3, 3]).with("strides", [2]).with("dilations", [2]),
        op("Conv", 11)
            .x([1, 2, 4, 5, 3])
            .w([3, 2, 2, 3, 1])
            .w([3])
            .with("pads", [1, 0, 0, 0, 1, 0]),
        transposed().w([4, 3, 3, 3]),
        transposed().w([4, 3, 3, 2]).w([3]).with("strides", [2, 3]),
        transposed().w([4, 3, 3, 3]).with("strides", [2, 2]).with("pads", [1, 1, 1, 1]),
        transposed().w([4, 3, 3, 3]).with("strides", [2, 2]).with("pads", [0, 1, 2, 0]),
        transposed().w([4, 3, 2, 2]).with("strides", [2, 2]).with("output_padding", [1, 0]),
        transposed().w([4, 3, 2, 3]).w([3]).with("dilations", [2, 2]).with("pads", [1, 0, 0, 1]),
        transposed().w([4, 2, 3, 3]).w([4]).with("group", 2).with("strides", [2, 2]),
    ]
}

fn products() -> Vec<Case> {
    let gemm = |opset| op("Gemm", opset);
    vec![
        gemm(13).x([3, 4]).w([4, 5]).w([5]),
        gemm(11).x([3, 4]).w([5, 4]).w([5]).with("transB", 1),
        gemm(9).x([4, 3]).w([4, 5]).w([5]).with("transA", 1),
        gemm(11).x([4, 3]).w([5, 4]).with("transA", 1).with("transB", 1),
        gemm(11).x([3, 4]).w([4, 5]).w([3, 1]).with("alpha", 0.5).with("beta", -2.0),
        gemm(11).x([3, 4]).w([4, 5]).w([3, 5]).with("beta", 0.25),
        gemm(11).x([3, 4]).w([4, 5]).scalar(0.75),
        op("MatMul", 13).x([3, 4]).w([4, 5]),
        op("MatMul", 9).x([2, 3, 4]).w([4, 5]),
        op("MatMul", 13).x([2, 3, 4]).w([2, 4, 5]),
        op("MatMul", 13).x([3, 4]).w([2, 4, 5]),
        op("MatMul", 13).x([2, 1, 3, 4]).w([3, 4, 5]),
        op("MatMul", 13).x([2, 3, 4]).w([4]),
        op("MatMul", 13).x([4]).w([4, 5]),
        op("MatMul", 13).x([4]).w([2, 4, 5]),
        op("MatMul", 13).x([2, 3, 4]).w([2, 4, 5]),
    ]
}

fn normalisations() -> Vec<Case> {
    let batch = |opset| op("BatchNormalization", opset);
    let group = |opset| op("GroupNormalization", opset).with("num_groups", 2).x([2, 4, 3, 2]);
    let layer = || op("LayerNormalization", 17).x([2, 3, 4]);
    let lrn = || op("LRN", 13).x([2, 5, 3, 2]);
    vec![
        batch(9).x([2, 3, 4, 5]).w([3]).w([3]).w([3]).w_in([3], 0.5, 2.0),
        batch(15).x([4, 3]).w([3]).w([3]).w([3]).w_in([3], 0.5, 2.0).with("epsilon", 1e-2),
        batch(14).x([2, 3, 5]).w([3]).w([3]).w([3]).w_in([3], 0.5, 2.0),
        // One gain and shift per channel.
        group(21).w([4]).w([4]).with("epsilon", 1e-3).spelled(
            11,
            &[
                ["Reshape", "i0 i:2,2,12", "x"],
                ["ReduceMean axes=2", "x", "mean"],
                ["Sub", "x mean", "centred"],
                ["Mul", "centred centred", "square"],
                ["ReduceMean axes=2", "square", "variance"],
                ["Add", "variance f:0.001", "sum"],
                ["Sqrt", "sum", "deviation"],
                ["Div", "centred deviation", "standard"],
                ["Reshape", "standard i:2,4,3,2", "back"],
                ["Reshape", "i1 i:4,1,1", "gain"],
                ["Reshape", "i2 i:4,1,1", "shift"],
                ["Mul", "back gain", "scaled"],
                ["Add", "scaled shift", "o0"],
            ],
        ),
        // One gain and shift per group.
        group(18).w([2]).w([2]).spelled(
            11,
            &[
                ["Reshape", "i0 i:2,2,12", "x"],
                ["ReduceMean axes=2", "x", "mean"],
                ["Sub", "x mean", "centred"],
                ["Mul", "centred centred", "square"],
                ["ReduceMean axes=2", "square", "variance"],
                ["Add", "variance f:0.00001", "sum"],
                ["Sqrt", "sum", "deviation"],
                ["Div", "centred deviation", "standard"],
                ["Reshape", "i1 i:2,1", "gain"],
                ["Reshape", "i2 i:2,1", "shift"],
                ["Mul", "standard gain", "scaled"],
                ["Add", "scaled shift", "sharp"],
                ["Reshape", "sharp i:2,4,3,2", "o0"],
            ],
        ),
        // tract's own takes the mean over the batch too.
        op("InstanceNormalization", 6).x([2, 3, 4, 5]).w([3]).w([3]).with("epsilon", 1e-2).spelled(
            11,
            &[
                ["ReduceMean axes=2,3", "i0", "mean"],
                ["Sub", "i0 mean", "centred"],
                ["Mul", "centred centred", "square"],
                ["ReduceMean axes=2,3", "square", "variance"],
                ["Add", "variance f:0.01", "sum"],
                ["Sqrt", "sum", "deviation"],
                ["Div", "centred deviation", "standard"],
                ["Reshape", "i1 i:3,1,1", "gain"],
                ["Reshape", "i2 i:3,1,1", "shift"],
                ["Mul", "standard gain", "scaled"],
                ["Add", "scaled shift", "o0"],
            ],
        ),
        op("InstanceNormalization", 6).x([1, 3, 7]).w([3]).w([3]),
        layer().w([4]),
        layer().w([4]).w([4]),
        layer().w([3, 4]).w([3, 4]).with("axis", 1).with("epsilon", 1e-3),
        layer().w([4]).w([4]).with("axis", -1),
        lrn().with("size", 3).with("alpha", 0.5).with("beta", 0.6).with("bias", 1.5),
        lrn().with("size", 5),
        lrn().with("size", 4).with("alpha", 0.3),
        op("PRelu", 9).x([2, 3, 4, 2]).w([3, 1, 1]),
        op("PRelu", 16).x([2, 5]).w([5]),
        op("PRelu", 9).x([2, 3, 4]).scalar(0.2),
        op("PRelu", 9).x([2, 3, 4]).w([1]),
        op("PRelu", 6)
            .x([2, 3, 4, 2])
            .w([3])
            .spelled(9, &[["Reshape", "i1 i:3,1,1", "slope"], ["PRelu", "i0 slope", "o0"]]),
    ]
}

fn activations() -> Vec<Case> {
    let plain = |name, opset| op(name, opset).x([2, 3, 2, 2]);
    let gelu = [
        ["Mul", "i0 f:0.70710678", "narrow"],
        ["Erf", "narrow", "erf"],
        ["Add", "erf f:1", "twice"],
        ["Mul", "twice f:0.5", "phi"],
        ["Mul", "i0 phi", "o0"],
    ];
    let gelu_tanh = [
        ["Mul", "i0 i0", "square"],
        ["Mul", "square i0", "cube"],
        ["Mul", "cube f:0.044715", "small"],
        ["Add", "i0 small", "sum"],
        ["Mul", "sum f:0.7978845608", "inner"],
        ["Tanh", "inner", "tanh"],
        ["Add", "tanh f:1", "twice"],
        ["Mul", "twice f:0.5", "phi"],
        ["Mul", "i0 phi", "o0"],
    ];
    vec![
        plain("Relu", 6),
        plain("Relu", 14),
        plain("LeakyRelu", 6),
        plain("LeakyRelu", 16).with("alpha", 0.3),
        plain("Sigmoid", 13),
        plain("Tanh", 13),
        plain("HardSigmoid", 6),
        plain("HardSigmoid", 6).with("alpha", 0.7).with("beta", 0.1),
        plain("HardSwish", 14),
        plain("Elu", 6),
        plain("Elu", 6).with("alpha", 0.4),
        plain("Gelu", 20).spelled(13, &gelu),
        plain("Gelu", 20).with("approximate", "none").spelled(13, &gelu),
        plain("Gelu", 20).with("approximate", "tanh").spelled(13, &gelu_tanh),
        plain("Gelu", 13).domain("com.microsoft").spelled(13, &gelu),
        plain("Clip", 6).with("min", -0.5).with("max", 1.25),
        plain("Clip", 6).with("max", 0.25),
        plain("Clip", 6),
        plain("Clip", 13).scalar(-0.5).scalar(1.25),
        plain("Clip", 11).none().scalar(0.5),
        plain("Clip", 13).scalar(-0.25),
        plain("Clip", 13),
        plain("Softplus", 1),
        plain("Softsign", 1),
        plain("Selu", 6),
        plain("Selu", 22)
            .with("alpha", 1.2)
            .with("gamma", 0.8)
            .spelled(13, &[["Selu alpha=1.2 gamma=0.8", "i0", "o0"]]),
        plain("Celu", 12).with("alpha", 0.7).spelled(
            13,
            &[
                ["Relu", "i0", "positive"],
                ["Min", "i0 f:0.0", "below"],
                ["Div", "below f:0.7", "slow"],
                ["Exp", "slow", "power"],
                ["Sub", "power f:1", "shifted"],
                ["Mul", "shifted f:0.7", "negative"],
                ["Add", "positive negative", "o0"],
            ],
        ),
        plain("Mish", 18).spelled(
            13,
            &[["Softplus", "i0", "soft"], ["Tanh", "soft", "gate"], ["Mul", "i0 gate", "o0"]],
        ),
        plain("ThresholdedRelu", 10).with("alpha", 0.4),
        plain("Erf", 13),
        op("Sqrt", 13).x_in([2, 3], 0.5, 4.0),
        plain("Exp", 13),
        op("Log", 13).x_in([2, 3], 0.5, 4.0),
        plain("Neg", 13),
        plain("Abs", 13),
        op("Reciprocal", 13).x_in([2, 3], 0.5, 4.0),
        plain("Sign", 13),
        plain("Sin", 7),
        plain("Cos", 7),
        plain("Round", 11),
        op("Neg", 13).ints([1, -2]),
        op("Abs", 13).ints([1, -2]),
        op("Sign", 13).ints([0, 5, -2]).spelled(13, &[["Identity", "i:0,1,-1", "o0"]]),
        plain("Floor", 13),
        plain("Ceil", 13),
        op("Softmax", 13).x([2, 3, 4]),
        op("Softmax", 13).x([2, 3, 4]).with("axis", 1),
        op("Softmax", 11).x([2, 3, 4]),
        op("Softmax", 9).x([2, 3, 4]).with("axis", 2),
        op("Softmax", 11).x([2, 3, 4]).with("axis", -1),
        op("Softmax", 9).x([3, 5]),
        op("Softmax", 13).x_in([2, 5], 80.0, 200.0),
        op("LogSoftmax", 13).x([2, 3, 4]),
        op("LogSoftmax", 13).x([2, 3, 4]).with("axis", 0),
        op("LogSoftmax", 11).x([2, 3, 4]),
    ]
}

fn arithmetic() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["Add", "Sub", "Mul", "Div", "Sum", "Max", "Min"] {
        let pair = || op(name, 13).x([2, 3, 4]);
        cases.extend([
            pair().w_in([2, 3, 4], 0.5, 1.5),
            pair().w_in([4], 0.5, 1.5),
            pair().w_in([3, 1], 0.5, 1.5),
            pair().w_in([2, 2, 3, 4], 0.5, 1.5),
            pair().scalar(0.75),
            op(name, 9).x([1, 3, 1]).w_in([2, 1, 4], 0.5, 1.5),
        ]);
    }
    let power = || op("Pow", 13).x_in([2, 3, 4], 0.5, 2.0);
    cases.extend([
        op("Sum", 13).x([2, 3]).w([2, 3]).w([3]).w([2, 1]),
        op("Sum", 8).x([2, 3]),
        op("Max", 13).x([2, 3]).w([2, 3]).w([3]),
        op("Min", 12).x([2, 3]).w([2, 3]).w([3]),
        op("Min", 12).x([2, 3]),
        op("Add", 7).x([2, 3, 4, 5]).w([3, 1, 1]),
        // Before opset 7 operands align where the attribute says.
        op("Add", 6)
            .x([2, 3, 4])
            .w([3])
            .with("broadcast", 1)
            .with("axis", 1)
            .spelled(9, &[["Reshape", "i1 i:3,1", "column"], ["Add", "i0 column", "o0"]]),
        op("Mul", 6)
            .x([2, 3, 4])
            .w([3, 4])
            .with("broadcast", 1)
            .spelled(9, &[["Mul", "i0 i1", "o0"]]),
        power().scalar(2.0),
        power().scalar(0.5),
        power().w([4]),
        op("Pow", 13).x([2, 3]).scalar(2.0),
        op("Pow", 13).x([2, 3]).scalar(3.0),
        op("Mod", 13).x([2, 3]).scalar(0.8).with("fmod", 1),
        op("Mod", 13)
            .ints([7, -7, 7, -7])
            .ints([3, 3, -3, -3])
            .spelled(13, &[["Identity", "i:1,2,-2,-1", "o0"]]),
    ]);
    cases
}

fn joins() -> Vec<Case> {
    let slice = || op("Slice", 13).x([4, 5, 6]);
    let old = || op("Slice", 9).x([4, 5, 6]);
    let pad = || op("Pad", 13).x([2, 3, 4]);
    vec![
        op("Concat", 13).x([2, 3, 4]).w([2, 1, 4]).w([2, 2, 4]).with("axis", 1),
        op("Concat", 13).x([2, 3]).w([2, 2]).with("axis", -1),
        op("Concat", 4).x([2, 3]).w([1, 3]).with("axis", 0),
        op("Split", 13).x([2, 6, 3]).outputs(3).with("axis", 1),
        op("Split", 13).x([2, 6]).ints([1, 5]).outputs(2).with("axis", -1),
        op("Split", 11).x([6, 2]).outputs(2).with("split", [2, 4]),
        op("Split", 2).x([6, 2]).outputs(3),
        slice().ints([1, 0]).ints([3, 4]),
        slice().ints([1]).ints([-1]).ints([2]),
        slice().ints([-3]).ints([i64::MAX]).ints([1]),
        slice().ints([0, 1]).ints([4, 100]).ints([0, -1]).ints([2, 3]),
        slice().ints([-1]).ints([i64::MIN + 1]).ints([1]).ints([-1]),
        slice().ints([4]).ints([0]).ints([2]).ints([-2]),
        old().with("starts", [1, 2]).with("ends", [3, 1000]).with("axes", [0, 2]),
        old()
            .with("starts", [1, -2])
            .with("ends", [-1, 5])
            .spelled(9, &[["Slice starts=1,-2,0 ends=-1,5,6", "i0", "o0"]]),
        op("Gather", 13).x([3, 4, 2]).ints([2, 0, 2, -1]),
        op("Gather", 13).x([3, 4, 2]).ints([1, 3]).with("axis", 1),
        op("Gather", 11).x([3, 4]).int(1).with("axis", 1),
        pad().ints([0, 1, 2, 1, 0, 3]),
        pad().ints([0, 0, 1, 0, 0, 1]).scalar(-1.5),
        pad().ints([0, 0, 2, 0, 1, 3]).with("mode", "edge"),
        pad().ints([0, 2, 0, 0, 1, 3]).with("mode", "reflect"),
        op("Pad", 19).x([2, 3, 4]).ints([0, 0, 1, 0, 0, 4]).with("mode", "wrap").spelled(
            9,
            &[
                ["Slice starts=0,0,3 ends=2,3,4", "i0", "last"],
                ["Concat axis=2", "last i0 i0", "o0"],
            ],
        ),
        op("Pad", 18).x([2, 3, 4]).ints([1, -1, 2, -2]).scalar(0.5).ints([-2, 2]).spelled(
            9,
            &[
                ["Slice starts=0,0,1 ends=2,3,2", "i0", "cut"],
                ["Pad pads=0,1,0,0,2,0 value=0.5", "cut", "o0"],
            ],
        ),
        op("Pad", 9).x([2, 3]).with("pads", [1, 0, 0, 2]).with("value", 0.5),
        op("Pad", 2).x([2, 3]).with("pads", [0, 1, 0, 1]).with("mode", "constant"),
    ]
}

fn renames() -> Vec<Case> {
    vec![
        op("Reshape", 13).x([2, 3, 4]).ints([4, 6]),
        op("Reshape", 13).x([2, 3, 4]).ints([0, -1]),
        op("Reshape", 5).x([2, 3, 4]).ints([-1, 2, 3, 1]),
        op("Reshape", 13).x([2, 3, 4]).ints([-1]),
        op("Flatten", 13).x([2, 3, 4]),
        op("Flatten", 9).x([2, 3, 4]).with("axis", 2),
        op("Flatten", 9).x([2, 3, 4]).with("axis", 0),
        op("Flatten", 13).x([2, 3, 4]).with("axis", -1),
        op("Flatten", 13).x([2, 3, 4]).with("axis", 3),
        op("Squeeze", 13).x([1, 3, 1, 4]),
        op("Squeeze", 13).x([1, 3, 1, 4]).ints([2]),
        op("Squeeze", 11).x([1, 3, 1, 4]).with("axes", [0, -2]),
        op("Unsqueeze", 13).x([3, 4]).ints([0, 3]),
        op("Unsqueeze", 11).x([3, 4]).with("axes", [1]),
        op("Unsqueeze", 11).x([3, 4]).with("axes", [-1]),
        op("Identity", 13).x([2, 3]),
        op("Dropout", 9).x([2, 3]),
        op("Flatten", 9).x([2, 3, 1, 1]),
        op("Dropout", 13).x([2, 3]).scalar(0.5).spelled(13, &[["Identity", "i0", "o0"]]),
        op("Transpose", 13).x([2, 3, 4]),
        op("Transpose", 13).x([2, 3, 4, 5]).with("perm", [0, 2, 3, 1]),
        op("Transpose", 13).x([2, 3, 4, 2, 2]).with("perm", [0, 2, 1, 4, 3]),
        op("Expand", 13).x([3, 1]).ints([2, 1, 4]),
        op("Expand", 13).x([3, 4]).ints([1, 1]),
    ]
}

fn pools() -> Vec<Case> {
    let max = |opset| op("MaxPool", opset).x([2, 3, 7, 6]);
    let average = |opset| op("AveragePool", opset).x([2, 3, 7, 6]);
    vec![
        max(12).with("kernel_shape", [2, 2]),
        max(8).with("kernel_shape", [3, 2]).with("strides", [2, 2]),
        max(8).with("kernel_shape", [3, 3]).with("strides", [2, 2]).with("pads", [1, 1, 1, 1]),
        max(12).with("kernel_shape", [3, 3]).with("strides", [2, 1]).with("pads", [0, 1, 2, 0]),
        max(10).with("kernel_shape", [2, 2]).with("strides", [2, 2]).with("ceil_mode", 1),
        // tract's own ignores dilations.
        max(10).with("kernel_shape", [2, 2]).with("dilations", [2, 3]).spelled(
            9,
            &[
                ["Slice starts=0,0 ends=5,3 axes=2,3", "i0", "a"],
                ["Slice starts=2,0 ends=7,3 axes=2,3", "i0", "b"],
                ["Slice starts=0,3 ends=5,6 axes=2,3", "i0", "c"],
                ["Slice starts=2,3 ends=7,6 axes=2,3", "i0", "d"],
                ["Max", "a b c d", "o0"],
            ],
        ),
        max(12).with("kernel_shape", [3, 3]).with("strides", [2, 2]).with("auto_pad", "SAME_UPPER"),
        max(12).with("kernel_shape", [2, 2]).with("auto_pad", "SAME_LOWER"),
        op("MaxPool", 12).x([2, 3, 7]).with("kernel_shape", [3]).with("strides", [2]),
        op("AveragePool", 11).x([2, 3, 7]).with("kernel_shape", [3]).with("pads", [1, 1]),
        average(11).with("kernel_shape", [2, 2]),
        average(7).with("kernel_shape", [3, 3]).with("strides", [2, 2]).with("pads", [1, 1, 1, 1]),
        average(11)
            .with("kernel_shape", [3, 3])
            .with("pads", [1, 0, 1, 2])
            .with("count_include_pad", 1),
        average(11).with("kernel_shape", [2, 2]).with("strides", [2, 2]).with("ceil_mode", 1),
        // Windows that are larger than the image.
        average(11)
            .with("kernel_shape", [20, 8])
            .with("strides", [20, 3])
            .with("ceil_mode", 1)
            .with("count_include_pad", 1)
            .spelled(9, &[["GlobalAveragePool", "i0", "o0"]]),
        max(12)
            .with("kernel_shape", [9, 9])
            .with("strides", [3, 4])
            .with("ceil_mode", 1)
            .spelled(9, &[["GlobalMaxPool", "i0", "o0"]]),
        average(11)
            .with("kernel_shape", [3, 3])
            .with("strides", [2, 2])
            .with("auto_pad", "SAME_UPPER"),
        op("GlobalAveragePool", 1).x([2, 3, 4, 5]),
        op("GlobalAveragePool", 1).x([2, 3, 4]),
        op("GlobalMaxPool", 1).x([2, 3, 4, 5]),
    ]
}

fn reductions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, moved) in [
        ("ReduceMean", 18),
        ("ReduceSum", 13),
        ("ReduceMax", 18),
        ("ReduceMin", 18),
        ("ReduceL2", 18),
        ("ReduceL1", 18),
        ("ReduceProd", 18),
    ] {
        cases.extend([
            op(name, 11).x([2, 3, 4]).with("axes", [1]),
            op(name, 11).x([2, 3, 4, 2]).with("axes", [-1, 2]).with("keepdims", 0),
            op(name, 11).x([2, 3, 4]),
            op(name, 1).x([2, 3, 4]).with("axes", [0, 2]),
            op(name, moved).x([2, 3, 4]).ints([2]),
            op(name, moved).x([2, 3, 4, 2]).ints([2, 3]).with("keepdims", 0),
            op(name, moved).x([2, 3, 4]).with("keepdims", 0),
        ]);
    }
    cases
}

fn statics() -> Vec<Case> {
    vec![
        op("Shape", 13).x([2, 3, 4]),
        op("Shape", 15).x([2, 3, 4]).with("start", 1).with("end", -1),
        op("Cast", 13).x([2, 3]).with("to", 1),
        op("CastLike", 15).x([2, 3]).scalar(1.0).spelled(13, &[["Identity", "i0", "o0"]]),
        op("CastLike", 19).ints([2, 3]).scalar(1.0).spelled(13, &[["Identity", "f:2,3", "o0"]]),
        op("ConstantOfShape", 9).ints([2, 3]),
    ]
}

fn comparisons() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, opset) in
        [("Equal", 13), ("Greater", 13), ("GreaterOrEqual", 16), ("Less", 13), ("LessOrEqual", 16)]
    {
        cases.extend([
            op(name, opset).x([2, 3]).w([3]),
            op(name, opset).x([2, 1, 3]).w([2, 3]),
            op(name, opset).ints([1, 2, 3]).ints([3, 2, 1]),
        ]);
    }
    let truths = |name| op(name, 7).ints([0, 0, 1, 1]).ints([0, 1, 0, 1]);
    cases.extend([
        truths("And").spelled(13, &[["Mul", "i0 i1", "o0"]]),
        truths("Or").spelled(13, &[["Max", "i0 i1", "o0"]]),
        truths("Xor").spelled(13, &[["Sub", "i0 i1", "gap"], ["Mul", "gap gap", "o0"]]),
        op("IsNaN", 13).x([2, 3]).spelled(13, &[["Sub", "i0 i0", "o0"]]),
        op("Not", 1).ints([0, 1]).spelled(13, &[["Sub", "i:1 i0", "o0"]]),
        op("Where", 9).ints([1, 0, 1]).x([2, 3]).w([2, 1]).spelled(
            13,
            &[
                ["Mul", "i1 f:1,0,1", "here"],
                ["Mul", "i2 f:0,1,0", "there"],
                ["Add", "here there", "o0"],
            ],
        ),
        op("Where", 16)
            .ints([1, 0])
            .ints([5, 6])
            .ints([7])
            .spelled(13, &[["Mul", "i:1,0 i:-2,-1", "gap"], ["Add", "gap i:7,7", "o0"]]),
    ]);
    cases
}

fn places() -> Vec<Case> {
    let columns = ["Slice starts=0 ends=1 axes=1", "i0", "first"];
    vec![
        op("GatherElements", 13).x([4, 2]).ints2([2, 2], [3, 0, -1, 2]).spelled(
            9,
            &[
                columns,
                ["Slice starts=1 ends=2 axes=1", "i0", "second"],
                ["Gather axis=0", "first i:3,3", "a"],
                ["Gather axis=0", "second i:0,2", "b"],
                ["Concat axis=1", "a b", "o0"],
            ],
        ),
        op("GatherND", 13)
            .x([3, 4, 2])
            .ints2([2, 2], [0, 1, -1, 3])
            .spelled(9, &[["Reshape", "i0 i:12,2", "rows"], ["Gather", "rows i:1,11", "o0"]]),
        op("GatherND", 12)
            .x([3, 4])
            .ints2([2, 1], [2, 0])
            .spelled(9, &[["Gather", "i0 i:2,0", "o0"]]),
        op("ScatterND", 13).x([3, 2]).ints2([1, 1], [1]).w([1, 2]).spelled(
            9,
            &[
                ["Slice starts=0 ends=1 axes=0", "i0", "a"],
                ["Slice starts=2 ends=3 axes=0", "i0", "b"],
                ["Concat axis=0", "a i2 b", "o0"],
            ],
        ),
        op("ScatterElements", 13).x([3, 2]).ints2([1, 2], [2, 2]).w([1, 2]).spelled(
            9,
            &[["Slice starts=0 ends=2 axes=0", "i0", "a"], ["Concat axis=0", "a i2", "o0"]],
        ),
        op("Trilu", 14).x([2, 2, 2]).spelled(
            9,
            &[
                ["Mul", "i0 f:1,0", "low"],
                ["Sub", "i0 i0", "none"],
                ["Add", "i0 none", "all"],
                ["Slice starts=0 ends=1 axes=1", "all", "top"],
                ["Slice starts=1 ends=2 axes=1", "i0", "bottom"],
                ["Mul", "bottom f:0,1", "kept"],
                ["Concat axis=1", "top kept", "o0"],
            ],
        ),
        op("Trilu", 14).x([2, 2]).int(-1).with("upper", 0).spelled(
            9,
            &[
                ["Slice starts=0 ends=1 axes=0", "i0", "top"],
                ["Mul", "top f:0,0", "none"],
                ["Slice starts=1 ends=2 axes=0", "i0", "bottom"],
                ["Mul", "bottom f:1,0", "kept"],
                ["Concat axis=0", "none kept", "o0"],
            ],
        ),
        op("Tile", 13).x([2, 3]).ints([2, 3]),
        op("Tile", 6).x([2, 1, 3]).ints([1, 4, 2]),
        op("DepthToSpace", 13).x([1, 8, 2, 3]).with("blocksize", 2).spelled(
            13,
            &[
                ["Reshape", "i0 i:1,2,2,2,2,3", "split"],
                ["Transpose perm=0,3,4,1,5,2", "split", "moved"],
                ["Reshape", "moved i:1,2,4,6", "o0"],
            ],
        ),
        op("DepthToSpace", 13).x([1, 8, 2, 3]).with("blocksize", 2).with("mode", "CRD").spelled(
            13,
            &[
                ["Reshape", "i0 i:1,2,2,2,2,3", "split"],
                ["Transpose perm=0,1,4,2,5,3", "split", "moved"],
                ["Reshape", "moved i:1,2,4,6", "o0"],
            ],
        ),
        op("SpaceToDepth", 13).x([1, 2, 4, 6]).with("blocksize", 2).spelled(
            13,
            &[
                ["Reshape", "i0 i:1,2,2,2,3,2", "split"],
                ["Transpose perm=0,3,5,1,2,4", "split", "moved"],
                ["Reshape", "moved i:1,8,2,3", "o0"],
            ],
        ),
        op("Range", 11).int(2).int(11).int(3).spelled(13, &[["Identity", "i:2,5,8", "o0"]]),
        op("Range", 11).int(3).int(-2).int(-2).spelled(13, &[["Identity", "i:3,1,-1", "o0"]]),
        op("Range", 11)
            .scalar(0.0)
            .scalar(1.0)
            .scalar(0.4)
            .spelled(13, &[["Identity", "f:0,0.4,0.8", "o0"]]),
        op("EyeLike", 9)
            .x([2, 3])
            .with("k", 1)
            .spelled(13, &[["Reshape", "f:0,1,0,0,0,1 i:2,3", "o0"]]),
        op("CumSum", 14).x([2, 3]).int(1).spelled(9, &SUMS),
        op("CumSum", 14).x([2, 2]).int(-1).with("exclusive", 1).with("reverse", 1).spelled(
            9,
            &[
                ["Slice starts=1 ends=2 axes=1", "i0", "last"],
                ["Sub", "last last", "none"],
                ["Concat axis=1", "last none", "o0"],
            ],
        ),
        op("CumSum", 11).ints([1, 2, 3]).int(0).spelled(13, &[["Identity", "i:1,3,6", "o0"]]),
    ]
}

/// Running sums of three columns.
const SUMS: [[&str; 3]; 6] = [
    ["Slice starts=0 ends=1 axes=1", "i0", "a"],
    ["Slice starts=1 ends=2 axes=1", "i0", "b"],
    ["Slice starts=2 ends=3 axes=1", "i0", "c"],
    ["Add", "a b", "ab"],
    ["Add", "ab c", "abc"],
    ["Concat axis=1", "a ab abc", "o0"],
];

fn sums_of_products() -> Vec<Case> {
    let einsum = |equation| op("Einsum", 12).with("equation", equation);
    vec![
        einsum("ij,jk->ik").x([2, 3]).w([3, 4]).spelled(9, &[["MatMul", "i0 i1", "o0"]]),
        einsum("bhqd,bhkd->bhqk")
            .x([2, 2, 3, 4])
            .w([2, 2, 5, 4])
            .spelled(9, &[["Transpose perm=0,1,3,2", "i1", "keys"], ["MatMul", "i0 keys", "o0"]]),
        einsum("b n h d, b m h d -> b h n m").x([2, 3, 2, 4]).w([2, 5, 2, 4]).spelled(
            9,
            &[
                ["Transpose perm=0,2,1,3", "i0", "queries"],
                ["Transpose perm=0,2,3,1", "i1", "keys"],
                ["MatMul", "queries keys", "o0"],
            ],
        ),
        einsum("ij->j")
            .x([2, 3])
            .spelled(9, &[["ReduceSum axes=0", "i0", "row"], ["Squeeze axes=0", "row", "o0"]]),
        einsum("ijk,ik->ij").x([2, 3, 4]).w([2, 4]).spelled(
            9,
            &[
                ["Unsqueeze axes=2", "i1", "columns"],
                ["MatMul", "i0 columns", "cells"],
                ["Squeeze axes=2", "cells", "o0"],
            ],
        ),
        einsum("ij,kj")
            .x([2, 3])
            .w([4, 3])
            .spelled(9, &[["Transpose perm=1,0", "i1", "turned"], ["MatMul", "i0 turned", "o0"]]),
        einsum("ij,i->j").x([2, 3]).w([2]).spelled(
            9,
            &[
                ["Unsqueeze axes=0", "i1", "row"],
                ["MatMul", "row i0", "cells"],
                ["Squeeze axes=0", "cells", "o0"],
            ],
        ),
    ]
}

/// PyTorch's bicubic interpolation of two pixels by four.
const CUBIC: [[&str; 3]; 2] = [
    [
        "Reshape",
        "f:1.10546875,0.7734375,0.2265625,-0.10546875,-0.10546875,0.2265625,0.7734375,1.10546875 i:2,4",
        "matrix",
    ],
    ["MatMul", "i0 matrix", "o0"],
];

/// Every pixel of 3 × 4 as a block of 2 × 3.
const BLOCKS: [[&str; 3]; 3] = [
    ["Unsqueeze axes=3,5", "i0", "cells"],
    ["Expand", "cells i:1,2,3,2,4,3", "wide"],
    ["Reshape", "wide i:1,2,6,12", "o0"],
];

fn resampling() -> Vec<Case> {
    let resize = |opset| op("Resize", opset).x([1, 2, 3, 4]);
    let row = || op("Resize", 13).x([1, 2]).none().w_fixed([2], [1.0, 2.0]);
    // tract asks for the region of interest, which these conventions do not look at.
    let twice = |case: Case| case.w_fixed([8], [0.0; 8]).w_fixed([4], [1.0, 1.0, 2.0, 2.0]);
    vec![
        twice(resize(11))
            .with("coordinate_transformation_mode", "asymmetric")
            .with("nearest_mode", "floor"),
        // tract and PyTorch do not agree on the edge of half pixels; these are PyTorch's.
        row().with("mode", "linear").spelled(
            9,
            &[
                ["Reshape", "f:1,0.75,0.25,0,0,0.25,0.75,1 i:2,4", "matrix"],
                ["MatMul", "i0 matrix", "o0"],
            ],
        ),
        row()
            .with("mode", "linear")
            .with("coordinate_transformation_mode", "pytorch_half_pixel")
            .spelled(
                9,
                &[
                    ["Reshape", "f:1,0.75,0.25,0,0,0.25,0.75,1 i:2,4", "matrix"],
                    ["MatMul", "i0 matrix", "o0"],
                ],
            ),
        row().with("mode", "cubic").spelled(9, &CUBIC),
        twice(resize(13))
            .with("mode", "linear")
            .with("coordinate_transformation_mode", "align_corners"),
        twice(resize(13))
            .with("mode", "linear")
            .with("coordinate_transformation_mode", "asymmetric"),
        resize(13)
            .none()
            .none()
            .ints([1, 2, 6, 12])
            .with("coordinate_transformation_mode", "asymmetric")
            .with("nearest_mode", "floor")
            .spelled(9, &BLOCKS),
        op("Upsample", 9).x([1, 2, 3, 4]).w_fixed([4], [1.0, 1.0, 2.0, 3.0]).spelled(9, &BLOCKS),
    ]
}

fn attention() -> Vec<Case> {
    let heads = || op("Attention", 23).x([2, 2, 3, 4]).w([2, 2, 5, 4]).w([2, 2, 5, 6]);
    let scores = [["Transpose perm=0,1,3,2", "i1", "keys"], ["MatMul", "i0 keys", "products"]];
    let spelled = |middle: &[[&'static str; 3]]| {
        [&scores[..], middle, &[["MatMul", "shares i2", "o0"]]].concat()
    };
    vec![
        heads().spelled(
            13,
            &spelled(&[["Mul", "products f:0.5", "scaled"], ["Softmax", "scaled", "shares"]]),
        ),
        heads().with("scale", 0.25).w([3, 5]).spelled(
            13,
            &spelled(&[
                ["Mul", "products f:0.25", "scaled"],
                ["Add", "scaled i3", "masked"],
                ["Softmax", "masked", "shares"],
            ]),
        ),
        heads().with("softcap", 2.0).spelled(
            13,
            &spelled(&[
                ["Mul", "products f:0.25", "scaled"],
                ["Tanh", "scaled", "capped"],
                ["Mul", "capped f:2.0", "wide"],
                ["Softmax", "wide", "shares"],
            ]),
        ),
        heads().ints([1, 1, 0, 1, 0]).spelled(
            13,
            &spelled(&[
                ["Mul", "products f:0.5", "scaled"],
                ["Add", "scaled f:0,0,-10000,0,-10000", "masked"],
                ["Softmax", "masked", "shares"],
            ]),
        ),
        op("Attention", 23)
            .x([1, 1, 2, 4])
            .w([1, 1, 2, 4])
            .w([1, 1, 2, 4])
            .with("is_causal", 1)
            .spelled(
                13,
                &spelled(&[
                    ["Mul", "products f:0.5", "scaled"],
                    ["Reshape", "f:0,-10000,0,0 i:2,2", "mask"],
                    ["Add", "scaled mask", "masked"],
                    ["Softmax", "masked", "shares"],
                ]),
            ),
        // Heads side by side, two of queries for one of keys.
        op("Attention", 23)
            .x([1, 3, 8])
            .w([1, 5, 4])
            .w([1, 5, 4])
            .with("q_num_heads", 2)
            .with("kv_num_heads", 1)
            .spelled(
                13,
                &[
                    ["Reshape", "i0 i:1,3,2,4", "split"],
                    ["Transpose perm=0,2,1,3", "split", "queries"],
                    ["Transpose perm=0,2,1", "i1", "keys"],
                    ["MatMul", "queries keys", "products"],
                    ["Mul", "products f:0.5", "scaled"],
                    ["Softmax", "scaled", "shares"],
                    ["MatMul", "shares i2", "mixed"],
                    ["Transpose perm=0,2,1,3", "mixed", "turned"],
                    ["Reshape", "turned i:1,3,8", "o0"],
                ],
            ),
        op("RMSNormalization", 23).x([2, 3, 4]).w([4]).with("epsilon", 1e-2).spelled(
            11,
            &[
                ["Mul", "i0 i0", "square"],
                ["ReduceMean axes=2", "square", "power"],
                ["Add", "power f:0.01", "sum"],
                ["Sqrt", "sum", "root"],
                ["Div", "i0 root", "standard"],
                ["Mul", "standard i1", "o0"],
            ],
        ),
        op("LpNormalization", 1)
            .x([2, 3, 4])
            .with("axis", 1)
            .spelled(11, &[["ReduceL2 axes=1", "i0", "length"], ["Div", "i0 length", "o0"]]),
        op("LpNormalization", 22).x([2, 3]).with("p", 1).spelled(
            11,
            &[
                ["Abs", "i0", "sizes"],
                ["ReduceSum axes=1", "sizes", "length"],
                ["Div", "i0 length", "o0"],
            ],
        ),
    ]
}

fn recurrences() -> Vec<Case> {
    let lstm = |opset| op("LSTM", opset).outputs(3).with("hidden_size", 4).x([5, 2, 3]);
    let forward = |opset| lstm(opset).w([1, 16, 3]).w([1, 16, 4]);
    let both = |opset| {
        lstm(opset).with("direction", "bidirectional").w([2, 16, 3]).w([2, 16, 4]).w([2, 32])
    };
    vec![
        forward(7),
        forward(14).w([1, 32]),
        forward(14).w([1, 32]).none().x([1, 2, 4]).x([1, 2, 4]),
        both(7),
        both(14).none().x([2, 2, 4]).x([2, 2, 4]),
        // tract gets sequences in reverse wrong, and leaves the layout out of account.
        forward(22)
            .w([1, 32])
            .with("direction", "reverse")
            .with("input_forget", 0)
            .outputs(1)
            .spelled(
                14,
                &[
                    ["Slice", "i0 i:-1 i:-9 i:0 i:-1", "x"],
                    ["LSTM", "x i1 i2 i3", "y"],
                    ["Slice", "y i:-1 i:-9 i:0 i:-1", "o0"],
                ],
            ),
        op("LSTM", 14).with("layout", 1).x([2, 5, 3]).w([1, 16, 3]).w([1, 16, 4]).spelled(
            14,
            &[
                ["Transpose perm=1,0,2", "i0", "x"],
                ["LSTM", "x i1 i2", "y"],
                ["Transpose perm=2,0,1,3", "y", "o0"],
            ],
        ),
    ]
}
