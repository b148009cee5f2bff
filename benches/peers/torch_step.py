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
from onnx_torch import Network


def random_weights(shapes):
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in shapes.items():
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
        value = torch.randn(shape, generator=generator) * (2.0 / fan_in) ** 0.5
        weights[name] = value.requires_grad_()
    return weights


def step(network, weights, images, labels):
    for weight in weights.values():
        weight.grad = None
    F.cross_entropy(network.forward(images, weights), labels).backward()


def torch_seconds(path, size, batch, repeat):
    network = Network(onnx.load(path))
    weights = random_weights(network.shapes)
    images = torch.randn(batch, 3, size, size)
    labels = torch.randint(0, 10, (batch,))
    step(network, weights, images, labels)
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        step(network, weights, images, labels)
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
