"""One architecture-step of the same ONNX graphs in PyTorch, beside ours, in turns.

    pip install torch onnx numpy
    cargo build --release
    python benches/peers/torch_step.py benches/graphs/*.onnx --out benches/results/arch_step.json

PyTorch runs what our step runs on the network: forward in training mode, cross-entropy, backward to
the weights. Ours is `weightsmith bench step`, which also encodes the graph, decodes its weights,
differentiates the predictor and updates it. Both use the same graphs, batch and number of threads.
Rounds alternate (ours, PyTorch, ours, PyTorch, ...); ratios are of the times of one round.
"""

import argparse
import json
import math
import platform
import statistics
import subprocess
import time

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def pooled(function, x, a, **further):
    pads = a.get("pads", [0, 0, 0, 0])
    assert pads[:2] == pads[2:], "asymmetric pads"
    return function(x, a["kernel_shape"], a.get("strides"), pads[:2], **further)


def convolve(a, x, w, b=None):
    pads = a.get("pads", [0, 0, 0, 0])
    assert pads[:2] == pads[2:], "asymmetric pads"
    return F.conv2d(x, w, b, a.get("strides", 1), pads[:2], a.get("dilations", 1), a.get("group", 1))


def normalise(a, x, w, b, mean, variance):
    return F.batch_norm(x, None, None, w, b, True, 0.0, a.get("epsilon", 1e-5))


def reshape(a, x, shape):
    sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    return x.reshape(sizes)


def gemm(a, x, w, b=None):
    return F.linear(x, w if a.get("transB") else w.t(), b)


OPERATORS = {
    "Add": lambda a, x, y: x + y,
    "AveragePool": lambda a, x: pooled(
        F.avg_pool2d, x, a, count_include_pad=bool(a.get("count_include_pad", 0))
    ),
    "BatchNormalization": normalise,
    "Concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "Conv": convolve,
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
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Softmax": lambda a, x: F.softmax(x, a["axis"]),
    "Tanh": lambda a, x: torch.tanh(x),
    "Transpose": lambda a, x: x.permute(a["perm"]),
}


class Network:
    """An ONNX graph in eager PyTorch; weights are what the graph lists as inputs after the image."""

    def __init__(self, path, size):
        model = onnx.load(path)
        self.nodes = []
        self.constants = {}
        for node in model.graph.node:
            a = attributes(node)
            if node.op_type == "Constant":
                ((form, value),) = a.items()
                self.constants[node.output[0]] = value
            else:
                self.nodes.append((OPERATORS[node.op_type], a, list(node.input), node.output[0]))
        for tensor in model.graph.initializer:
            self.constants[tensor.name] = numpy_helper.to_array(tensor).tolist()
        self.image, *weights = model.graph.input
        self.result = model.graph.output[0].name
        generator = torch.Generator().manual_seed(0)
        self.weights = {}
        for weight in weights:
            shape = [d.dim_value for d in weight.type.tensor_type.shape.dim]
            fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
            value = torch.randn(shape, generator=generator) * (2.0 / fan_in) ** 0.5
            self.weights[weight.name] = value.requires_grad_()

    def forward(self, images):
        values = {self.image.name: images, **self.weights, **self.constants, "": None}
        for operator, a, inputs, output in self.nodes:
            values[output] = operator(a, *(values[name] for name in inputs))
        return values[self.result]

    def step(self, images, labels):
        for weight in self.weights.values():
            weight.grad = None
        F.cross_entropy(self.forward(images), labels).backward()


def torch_seconds(path, size, batch, repeat):
    network = Network(path, size)
    images = torch.randn(batch, 3, size, size)
    labels = torch.randint(0, 10, (batch,))
    network.step(images, labels)
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        network.step(images, labels)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def our_seconds(binary, path, size, batch, repeat, *further):
    command = [binary, "bench", "step", path, "--json", "-q", "--size", str(size), *further]
    command += ["--batch", str(batch), "--repeat", str(repeat)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return result["timings"][0]["median"]


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--binary", default="target/release/weightsmith")
    parser.add_argument("--before", help="binary of an earlier version, timed in the same rounds")
    parser.add_argument("--without-kernels", action="store_true", help="time burn's operations too")
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for path in options.models:
        for size in options.sizes:
            name = path.rsplit("/", 1)[-1].removesuffix(".onnx")
            at = (path, size, options.batch, options.repeat)
            pairs = []
            try:
                for _ in range(options.rounds):
                    seconds = {"weightsmith": our_seconds(options.binary, *at)}
                    seconds["torch"] = torch_seconds(*at)
                    if options.without_kernels:
                        burn = our_seconds(options.binary, *at, "--without-kernels")
                        seconds["without_kernels"] = burn
                    if options.before:
                        seconds["before"] = our_seconds(options.before, *at)
                    pairs.append(seconds)
            except subprocess.CalledProcessError as error:
                print(f"{name} at {size}: left out: {error.stderr.decode().strip()}")
                continue
            row = {"graph": name, "size": size}
            line = f"{name:22} {size:3}"
            for who in pairs[0]:
                row[f"{who}_seconds"] = statistics.median(pair[who] for pair in pairs)
                line += f"  {who} {1e3 * row[f'{who}_seconds']:8.2f} ms"
            row["ratios"] = [pair["weightsmith"] / pair["torch"] for pair in pairs]
            row["ratio"] = statistics.median(row["ratios"])
            line += f"  ratio to torch {row['ratio']:.2f}"
            for who in ("without_kernels", "before"):
                if who in pairs[0]:
                    speed_ups = [pair[who] / pair["weightsmith"] for pair in pairs]
                    row[f"speed_up_over_{who}"] = statistics.median(speed_ups)
                    line += f"  {row[f'speed_up_over_{who}']:.2f} x {who}"
            rows.append(row)
            print(line, flush=True)
    result = {
        "schema": 1,
        "threads": options.threads,
        "batch": options.batch,
        "rounds": options.rounds,
        "versions": {
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "weightsmith": subprocess.run(
                [options.binary, "--version"], capture_output=True, text=True
            ).stdout.strip(),
        },
        "processor": processor(),
        "geomean_ratio": geometric_mean([row["ratio"] for row in rows]),
        "graphs": rows,
    }
    for who in ("without_kernels", "before"):
        if f"speed_up_over_{who}" in rows[0]:
            speed_ups = [row[f"speed_up_over_{who}"] for row in rows]
            result[f"geomean_speed_up_over_{who}"] = geometric_mean(speed_ups)
    print(f"geometric mean of the ratios: {result['geomean_ratio']:.3f}")
    if options.out:
        with open(options.out, "w") as file:
            json.dump(result, file, indent=2)
            file.write("\n")


def processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0]}, {len(names)} threads" if names else platform.processor()


if __name__ == "__main__":
    main()
