"""ONNX graphs in eager PyTorch: the operators that our graphs use, in training mode."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


class Unsupported(Exception):
    """A graph, or a part of one, that is not handled; the message says which part."""


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def symmetric_pads(a):
    pads = a.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:]:
        raise Unsupported("asymmetric pads")
    return pads[:2]


def pooled(function, x, a, **further):
    return function(x, a["kernel_shape"], a.get("strides"), symmetric_pads(a), **further)


def convolve(a, x, w, b=None):
    strides, dilations = a.get("strides", 1), a.get("dilations", 1)
    return F.conv2d(x, w, b, strides, symmetric_pads(a), dilations, a.get("group", 1))


def normalise(a, x, w, b, mean, variance):
    return F.batch_norm(x, None, None, w, b, True, 0.0, a.get("epsilon", 1e-5))


def reshape(a, x, shape):
    sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    return x.reshape(sizes)


def gemm(a, x, w, b=None):
    return F.linear(x, w if a.get("transB") else w.t(), b)


def sliced(a, x, starts, ends, axes):
    for start, end, axis in zip(starts, ends, axes, strict=True):
        x = x[(slice(None),) * (axis % x.dim()) + (slice(start, end),)]
    return x


OPERATORS = {
    "Add": lambda a, x, y: x + y,
    "AveragePool": lambda a, x: pooled(
        F.avg_pool2d, x, a, count_include_pad=bool(a.get("count_include_pad", 0))
    ),
    "BatchNormalization": normalise,
    "Clip": lambda a, x, low=None, high=None: x.clamp(low, high),
    "Concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "Conv": convolve,
    "Div": lambda a, x, y: x / y,
    "Elu": lambda a, x: F.elu(x, a.get("alpha", 1.0)),
    "Flatten": lambda a, x: x.flatten(1),
    "Gelu": lambda a, x: F.gelu(x, approximate=a.get("approximate", b"none").decode()),
    "Gemm": gemm,
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True),
    "GroupNormalization": lambda a, x, w, b: F.group_norm(x, a["num_groups"], w, b, a["epsilon"]),
    "HardSigmoid": lambda a, x: F.hardsigmoid(x),
    "HardSwish": lambda a, x: F.hardswish(x),
    "LayerNormalization": lambda a, x, w, b: F.layer_norm(x, w.shape, w, b, a["epsilon"]),
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a["alpha"]),
    "MatMul": lambda a, x, y: x @ y,
    "MaxPool": lambda a, x: pooled(F.max_pool2d, x, a),
    "Mul": lambda a, x, y: x * y,
    "ReduceMean": lambda a, x, axes: x.mean(list(axes), keepdim=bool(a.get("keepdims", 1))),
    "Relu": lambda a, x: F.relu(x),
    "Reshape": reshape,
    "Shape": lambda a, x: x.shape,
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Slice": sliced,
    "Softmax": lambda a, x: F.softmax(x, a["axis"]),
    "Softplus": lambda a, x: F.softplus(x),
    "Softsign": lambda a, x: F.softsign(x),
    "Split": lambda a, x, sizes: x.split(list(sizes), a.get("axis", 0)),
    "Squeeze": lambda a, x, axes: x.squeeze(tuple(axes)),
    "Tanh": lambda a, x: torch.tanh(x),
    "Transpose": lambda a, x: x.permute(a["perm"]),
}


class Node(NamedTuple):
    operator: str
    attributes: dict[str, Any]
    inputs: list[str]
    outputs: list[str]


class Network:
    """An ONNX graph; weights are what the graph lists as inputs after the image."""

    def __init__(self, model: onnx.ModelProto):
        graph = model.graph
        self.nodes: list[Node] = []
        self.constants: dict[str, Any] = {}
        for node in graph.node:
            a = attributes(node)
            if node.op_type == "Constant":
                ((form, value),) = a.items()
                self.constants[node.output[0]] = value
            elif node.op_type in OPERATORS:
                self.nodes.append(Node(node.op_type, a, list(node.input), list(node.output)))
            else:
                raise Unsupported(f"operator {node.op_type}")
        for tensor in graph.initializer:
            self.constants[tensor.name] = numpy_helper.to_array(tensor).tolist()
        image, *weights = graph.input
        self.image: str = image.name
        self.result: str = graph.output[0].name
        self.shapes: dict[str, tuple[int, ...]] = {
            weight.name: tuple(d.dim_value for d in weight.type.tensor_type.shape.dim)
            for weight in weights
        }

    def forward(
        self,
        images: torch.Tensor,
        weights: Mapping[str, torch.Tensor],
        observe: Callable[[Node, list], None] = lambda node, values: None,
    ) -> torch.Tensor:
        """Logits; batch norm uses the statistics of the batch and reads no running ones.

        `observe` sees every node and what it reads.
        """
        values = {**self.constants, **dict.fromkeys(self.shapes), **weights, "": None}
        values[self.image] = images
        for node in self.nodes:
            read = [values[name] for name in node.inputs]
            observe(node, read)
            result = OPERATORS[node.operator](node.attributes, *read)
            values.update(zip(node.outputs, result if len(node.outputs) > 1 else [result]))
        return values[self.result]
