"""Two networks from different starts, trained on the UCI digits and merged halfway.

    python benches/merge_digits.py OPTDIGITS OUT [--weightsmith PROGRAM]

OPTDIGITS holds optdigits.tra, .hol and .tes. Prints what `weightsmith merge` says for every alignment and
repair; the networks, the data set and the merged networks are left in OUT.
"""

import argparse
import pathlib
import subprocess

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).parent.parent
SIDE = 8
OPTIMISERS = {"resnet-20": "sgd", "plain-cnn": "adamw"}
WAYS = [
    ("none", "rescale"),
    ("weights", "rescale"),
    ("activations", "rescale"),
    ("activations", "closed-form"),
]


def write_digits(folder, out):
    """The digits as one .npz: `.tra` and `.hol` are trained on, `.tes` judges."""

    def read(name, header):
        rows = np.loadtxt(folder / f"optdigits.{name}", delimiter=",", skiprows=header)
        pixels = np.clip(rows[:, :-1] * 15, 0, 255).astype(np.uint8)
        return pixels.reshape(-1, SIDE, SIDE), rows[:, -1].astype(np.int64)

    (x, y), (held_x, held_y), (test_x, test_y) = read("tra", 1), read("hol", 0), read("tes", 1)
    np.savez(
        out,
        x_train=np.concatenate([x, held_x]),
        y_train=np.concatenate([y, held_y]),
        x_test=test_x,
        y_test=test_y,
    )


def write_start(filled, out, seed):
    """He initialisation of a filled network, for images of the digits' size."""
    random = np.random.default_rng(seed)
    model = onnx.load(filled)
    for tensor in model.graph.initializer:
        shape = tuple(tensor.dims)
        if len(shape) > 1:
            values = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        elif tensor.name.endswith(("bias", "running_mean")):
            values = np.zeros(shape)
        else:
            values = np.ones(shape)
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
    sides = model.graph.input[0].type.tensor_type.shape.dim[2:]
    for side in sides:
        side.dim_value = SIDE
    del model.graph.value_info[:]
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("optdigits", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--weightsmith", default="weightsmith")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    data = out / "digits.npz"
    write_digits(arguments.optdigits, data)

    def run(*words):
        command = [arguments.weightsmith, *map(str, words), "--force"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    for name, optimiser in OPTIMISERS.items():
        run("predict", ROOT / f"architectures/named/{name}.onnx", "--out", out / name)
        parents = []
        for seed in (1, 2):
            start = out / f"start-{seed}" / f"{name}.onnx"
            write_start(out / name / f"{name}.onnx", start, seed)
            tuned = out / f"{name}-{seed}"
            run(
                *["finetune", start, "--support", data, "--out", tuned, "--seed", seed, "--epochs", 15],
                *["--batch", 64, "--decay", 0.0005, "--augmentation", "shift", "--optimiser", optimiser],
            )
            parents.append(tuned / f"{name}.onnx")
        for align, repair in WAYS:
            if repair == "closed-form" and name == "plain-cnn":
                continue
            print(f"{name}, aligned by {align}, repaired by {repair}")
            ways = ["--align", align, "--repair", repair, "--data", data, "--path", 3]
            print(run("merge", *parents, *ways, "--out", out / f"{name}-{align}-{repair}"))


if __name__ == "__main__":
    main()
