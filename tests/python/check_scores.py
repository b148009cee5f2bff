"""Compares scores of `weightsmith rank` with independent versions in PyTorch, on identical weights.

    pip install torch onnx safetensors numpy
    python tests/python/check_scores.py target/release/weightsmith [GRAPH.onnx ...]

The graphs are run by a small interpreter below, in double precision, with weights, images and labels
that `weightsmith rank --evidence` wrote; synflow, nwot, snip and grad-norm are written as their papers'
code has them. Exits with 1 if one differs by more than 1e-3, relative.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.numpy import load_file
from torch.nn import functional as F

NAMED = Path(__file__).resolve().parents[2] / "architectures" / "named"
GRAPHS = ["plain-cnn", "lenet-5", "resnet-20", "resnet-32", "wrn-16-4", "mobilenet-v2",
          "nas-bench-201-best", "squeezenet-1.1", "densenet-40", "vgg-11"]
TOLERANCE = 1e-3


def activations(linear):
    """Non-linearities by operator; the identity in a linear network."""
    if linear:
        return {name: lambda x, *_: x for name in ("Relu", "Clip", "Tanh")}
    return {"Relu": lambda x: x.relu(), "Clip": lambda x, low, high: x.clamp(float(low), float(high)),
            "Tanh": lambda x: x.tanh()}


def run(model, weights, images, codes=None, linear=False):
    """Logits of a graph in training mode. `codes` collects what non-linearities return; a linear
    network leaves them and the batch normalisations out."""
    values = {initializer.name: torch.tensor(numpy_helper.to_array(initializer))
              for initializer in model.graph.initializer} | weights
    values[next(i.name for i in model.graph.input if i.name not in weights)] = images
    nonlinear = activations(linear)
    for node in model.graph.node:
        a = {it.name: onnx.helper.get_attribute_value(it) for it in node.attribute}
        x = [values[name] for name in node.input if name]
        op = node.op_type
        if op in nonlinear:
            y = nonlinear[op](*x)
            if codes is not None:
                codes.append(y)
        elif op == "Constant":
            value = next(iter(a.values()))
            y = torch.tensor(numpy_helper.to_array(value) if hasattr(value, "raw_data") else value)
        elif op == "Conv":
            top, left, bottom, right = a["pads"]
            padded = F.pad(x[0], (left, right, top, bottom))
            y = F.conv2d(padded, *x[1:], stride=a["strides"], groups=a["group"])
        elif op == "BatchNormalization":
            y = x[0] if linear else F.batch_norm(x[0], None, None, x[1], x[2], True, eps=a["epsilon"])
        elif op == "Gemm":
            y = F.linear(*x)
        elif op == "Add":
            y = x[0] + x[1]
        elif op == "Concat":
            y = torch.cat(x, a["axis"])
        elif op == "GlobalAveragePool":
            y = x[0].mean((2, 3), keepdim=True)
        elif op == "Flatten":
            y = x[0].flatten(1)
        elif op == "AveragePool":
            y = F.avg_pool2d(x[0], a["kernel_shape"], a["strides"], a["pads"][0],
                             count_include_pad=bool(a["count_include_pad"]))
        elif op == "MaxPool":
            y = F.max_pool2d(x[0], a["kernel_shape"], a["strides"], a["pads"][0])
        else:
            raise NotImplementedError(op)
        values[node.output[0]] = y
    return values[model.graph.output[0].name]


def matrices(weights):
    return [weight for weight in weights.values() if weight.ndim > 1 and weight.grad is not None]


def scores(model, evidence):
    images, labels = torch.tensor(evidence.pop("images")).double(), torch.tensor(evidence.pop("labels"))
    fresh = lambda turn: {name: turn(torch.tensor(value).double()).requires_grad_()
                          for name, value in evidence.items()}
    result = {}

    weights, codes = fresh(lambda value: value), []
    F.cross_entropy(run(model, weights, images, codes), labels).backward()
    result["snip"] = sum((w * w.grad).abs().sum().item() for w in matrices(weights))
    result["grad-norm"] = sum(w.grad.norm().item() for w in matrices(weights))

    kernel = 0
    for code in codes:
        code = (code.detach().flatten(1) > 0).double()
        kernel = kernel + code @ code.T + (1 - code) @ (1 - code).T
    result["nwot"] = np.linalg.slogdet(kernel.numpy())[1]

    weights = fresh(torch.abs)
    run(model, weights, torch.ones_like(images[:1]), linear=True).sum().backward()
    result["synflow"] = np.log(sum((w * w.grad).abs().sum().item() for w in matrices(weights)))
    return result


def main():
    binary = sys.argv[1]
    graphs = [Path(it) for it in sys.argv[2:]] or [NAMED / f"{name}.onnx" for name in GRAPHS]
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        for predictor in ("cifar10", "mnist"):
            channels = {"cifar10": 3, "mnist": 1}[predictor]
            reads = lambda path: onnx.load(path).graph.input[0].type.tensor_type.shape.dim[1].dim_value
            chosen = [str(path) for path in graphs if reads(path) == channels]
            if not chosen:
                continue
            command = [binary, "rank", *chosen, "--by", "synflow,nwot,snip,grad-norm", "--no-cache",
                       "--predictor", predictor, "--size", "32", "--evidence", folder, "--json", "--jobs", "1"]
            answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            for row in sorted(answer["ranking"], key=lambda row: row["file"]):
                path = Path(row["file"])
                own = scores(onnx.load(path), load_file(Path(folder) / f"{path.stem}.safetensors"))
                for name, value in own.items():
                    error = abs(row["scores"][name] - value) / max(abs(value), 1e-12)
                    worst = max(worst, error)
                    print(f"{path.stem:20} {name:10} {row['scores'][name]:16.8g} {value:16.8g} {error:.1e}"
                          + ("" if error < TOLERANCE else "  DIFFERS"))
    print(f"largest relative difference {worst:.1e}")
    return int(worst >= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
