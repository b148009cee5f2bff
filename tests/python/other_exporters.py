"""Networks as other programs than PyTorch's exporters write them: small, with random weights."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

CLASSES = 3


class Graph:
    """Nodes and initializers in order; every node has one output."""

    def __init__(self, producer, opset, **domains):
        self.random = np.random.default_rng(0)
        self.nodes, self.initializers = [], []
        self.producer, self.opset, self.domains = producer, opset, domains

    def node(self, operator, inputs, output, name="", **attributes):
        made = helper.make_node(operator, inputs, [output], name or output, **attributes)
        self.nodes.append(made)
        return output

    def initializer(self, name, values):
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def constant(self, name, values):
        return self.node("Constant", [], name, value=numpy_helper.from_array(np.asarray(values)))

    def draw(self, *shape):
        spread = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
        return (spread * self.random.standard_normal(shape)).astype(np.float32)

    def norm(self, width):
        """Gain, shift, mean and variance that are neither one nor zero."""
        variance = self.random.uniform(0.5, 1.5, width).astype(np.float32)
        return 1 + self.draw(width), self.draw(width), self.draw(width), variance

    def model(self, name, inputs, outputs):
        values = lambda shapes: [
            helper.make_tensor_value_info(value, TensorProto.FLOAT, shape) for value, shape in shapes
        ]
        graph = helper.make_graph(self.nodes, name, values(inputs), values(outputs), self.initializers)
        imports = [helper.make_opsetid("", self.opset)]
        made = helper.make_model(graph, producer_name=self.producer, opset_imports=imports)
        made.ir_version = 8
        return made


def keras(transposed_everywhere):
    """A Keras classifier by way of tf2onnx: images are N×H×W×3, kernels are OIHW already.

    tf2onnx moves the transposes to the ends of a run of convolutions; an older one leaves a pair
    around each.
    """
    graph = Graph("tf2onnx", 15)
    value, planar = "input_1:0", False

    def to(planes, name):
        nonlocal value, planar
        if planes != planar:
            order = [0, 3, 1, 2] if planes else [0, 2, 3, 1]
            value = graph.node("Transpose", [value], name, perm=order)
        planar = planes

    def convolution(index, channels, width, stride, norm):
        nonlocal value
        scope = "model/conv2d" + (f"_{index}" if index else "")
        to(True, f"{scope}/Conv2D__{6 + 2 * index}:0")
        kernel = graph.draw(width, channels, 3, 3)
        inputs = [value, graph.initializer(f"{scope}/Conv2D/ReadVariableOp:0", kernel)]
        if not norm:
            inputs.append(graph.initializer(f"{scope}/BiasAdd/ReadVariableOp:0", graph.draw(width)))
        shape = {"kernel_shape": [3, 3], "strides": [stride, stride], "dilations": [1, 1], "group": 1}
        padding = {"auto_pad": "SAME_UPPER"} if stride == 1 else {"pads": [0, 0, 1, 1]}
        output = f"{scope}/{'Conv2D' if norm else 'BiasAdd'}:0"
        value = graph.node("Conv", inputs, output, output[:-2], **shape, **padding)
        if norm:
            scope = f"model/batch_normalization_{index}/FusedBatchNormV3"
            names = ["ReadVariableOp", "ReadVariableOp/resource", "mean", "variance"]
            pairs = zip(names, graph.norm(width))
            inputs = [value, *(graph.initializer(f"{scope}/{name}:0", values) for name, values in pairs)]
            value = graph.node("BatchNormalization", inputs, f"{scope}:0", scope, epsilon=1e-3)
        if transposed_everywhere:
            to(False, f"{scope}__{20 + index}:0")
        scope = f"model/re_lu_{index}/Relu"
        value = graph.node("Relu", [value], f"{scope}:0", scope)

    convolution(0, 3, 4, 2, norm=True)
    convolution(1, 4, 6, 1, norm=False)
    convolution(2, 6, 8, 2, norm=True)
    to(False, "model/global_average_pooling2d/Mean__40:0")
    scope = "model/global_average_pooling2d/Mean"
    value = graph.node("ReduceMean", [value], f"{scope}:0", scope, axes=[1, 2], keepdims=0)
    matrix = graph.initializer("model/dense/MatMul/ReadVariableOp:0", graph.draw(8, CLASSES))
    value = graph.node("MatMul", [value, matrix], "model/dense/MatMul:0", "model/dense/MatMul")
    shift = graph.initializer("model/dense/BiasAdd/ReadVariableOp:0", graph.draw(CLASSES))
    value = graph.node("Add", [value, shift], "model/dense/BiasAdd:0", "model/dense/BiasAdd")
    graph.node("Softmax", [value], "dense", "model/dense/Softmax", axis=-1)
    return graph.model("tf2onnx", [("input_1:0", ["unk__1", 8, 8, 3])], [("dense", ["unk__1", CLASSES])])


def paddle():
    """A PaddlePaddle classifier by way of paddle2onnx: weights are Constant nodes."""
    graph = Graph("", 13)
    for name, values in [
        ("conv2d_0.w_0", graph.draw(4, 3, 3, 3)),
        ("conv2d_1.w_0", graph.draw(6, 4, 3, 3)),
        ("conv2d_1.b_0", graph.draw(6)),
        ("linear_0.w_0", graph.draw(6, CLASSES)),
        ("linear_0.b_0", graph.draw(CLASSES)),
        *zip(["batch_norm2d_0." + end for end in ("w_0", "b_0", "w_1", "w_2")], graph.norm(4)),
    ]:
        graph.constant(name, values)
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "group": 1, "dilations": [1, 1]}
    value = graph.node("Conv", ["x", "conv2d_0.w_0"], "conv2d_2.tmp_0", strides=[2, 2], **window)
    norm = ["batch_norm2d_0." + end for end in ("w_0", "b_0", "w_1", "w_2")]
    value = graph.node("BatchNormalization", [value, *norm], "batch_norm_0.tmp_2", epsilon=1e-5)
    value = graph.node("Relu", [value], "relu_0.tmp_0")
    value = graph.node("Conv", [value, "conv2d_1.w_0"], "conv2d_3.tmp_0", strides=[1, 1], **window)
    # A bias of Paddle is an Add of its own, behind a Reshape.
    shape = graph.constant("Constant_9", np.array([1, 6, 1, 1]))
    shift = graph.node("Reshape", ["conv2d_1.b_0", shape], "Reshape_0")
    value = graph.node("Add", [value, shift], "conv2d_3.tmp_1")
    value = graph.node("Relu", [value], "relu_1.tmp_0")
    value = graph.node("GlobalAveragePool", [value], "pool2d_0.tmp_0")
    value = graph.node("Flatten", [value], "flatten_0.tmp_0", axis=1)
    value = graph.node("MatMul", [value, "linear_0.w_0"], "linear_1.tmp_0")
    value = graph.node("Add", [value, "linear_0.b_0"], "linear_1.tmp_1")
    graph.node("Softmax", [value], "softmax_0.tmp_0", axis=-1)
    return graph.model("Model from PaddlePaddle.", [("x", [-1, 3, 8, 8])], [("softmax_0.tmp_0", [-1, CLASSES])])


def sklearn():
    """An MLP of scikit-learn by way of skl2onnx."""
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPClassifier

    random = np.random.default_rng(0)
    points = random.standard_normal((60, 5)).astype(np.float32)
    labels = np.argmax(points[:, :CLASSES], axis=1)
    network = MLPClassifier((8, 6), max_iter=20, random_state=0).fit(points, labels)
    return to_onnx(network, points[:1])


def optimum(path):
    """A ViT of Hugging Face, by the call that optimum makes."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=8,
        patch_size=4,
        num_labels=CLASSES,
        attn_implementation="eager",
    )
    module = ViTForImageClassification(config).eval()
    axes = {0: "batch_size", 1: "num_channels", 2: "height", 3: "width"}
    torch.onnx.export(
        module,
        (torch.randn(2, 3, 8, 8),),
        path,
        dynamo=False,
        opset_version=14,
        input_names=["pixel_values"],
        output_names=["logits"],
        dynamic_axes={"pixel_values": axes, "logits": {0: "batch_size"}},
        do_constant_folding=True,
    )
    return onnx.load(path)
