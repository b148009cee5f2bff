"""Low-rank adapters that start from predictions, beside those that start from zero.

    python benches/generated_adapters.py PARENTS DOMAINS OUT [--weightsmith PROGRAM]

DOMAINS holds <name>.npz of some 284 training images of 32 x 32 pixels each, of which a tenth is held out. PARENTS is what
`soups.py --data CIFAR10` left: networks of the predictor's own classes, and the predictions that they were fine-tuned from,
so that channels have one order. The difference between the prediction for a data set (with STEPS steps on
its images) and the prediction without data, cut to a rank, is added to the network; `adapt` goes on from there, and from
the network as it is. Prints top-1 on test images after so many further steps.
"""

import argparse
import json
import pathlib
import subprocess

import numpy as np
import onnx
from onnx import numpy_helper

SETS = ["farsi_digits", "devanagari_digits", "telugu_digits", "bangla_digits", "sign_digits"]
RANK = 4
STEPS = 16
RATES = [1e-3, 4e-3, 1.6e-2]
# Epochs of `adapt`, by its steps: 64 images to a step.
EPOCHS = {0: None, 4: 1, 16: 4, 64: 16}


def values(path):
    return {it.name: numpy_helper.to_array(it) for it in onnx.load(path).graph.initializer}


def cut(difference):
    matrix = difference.reshape(len(difference), -1)
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    return ((u[:, :RANK] * s[:RANK]) @ v[:RANK]).reshape(difference.shape)


def write_start(parent, before, after, out):
    """The parent and the difference of two predictions, cut to a rank; heads are solved anew anyway."""
    before, after, model = values(before), values(after), onnx.load(parent)
    for tensor in model.graph.initializer:
        own = numpy_helper.to_array(tensor)
        if own.ndim > 1 and own.dtype == np.float32:
            changed = own + cut(after[tensor.name] - before[tensor.name])
            tensor.CopyFrom(numpy_helper.from_array(changed.astype(np.float32), tensor.name))
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parents", type=pathlib.Path)
    parser.add_argument("domains", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--weightsmith", default="weightsmith")
    arguments = parser.parse_args()

    def run(*words):
        command = [arguments.weightsmith, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in (0, 3):
            raise SystemExit(f"{command}: {done.stderr[-500:]}")
        return done.stdout

    def adapted(start, data, out, steps):
        """Top-1 at the rate that is best on validation images, the larger one of equals."""
        tried = []
        for rate in RATES if steps else RATES[:1]:
            way = ["--rank", RANK, "--epochs", EPOCHS[steps], "--rate", rate] if steps else ["--method", "head"]
            run("adapt", start, "--support", data, *way, "--out", out, "--force")
            report = json.loads((out / "report.json").read_text())["provenance"].get("finetuned")
            validated = report["epochs"][report["best"]]["top1"] if steps else 0
            judged = json.loads(run("evaluate", out / start.name, "--data", data, "--json"))
            tried.append((validated, rate, 100 * judged["top1"]))
        return max(tried)[-1]

    rows = []
    for index, folder in enumerate(sorted(it for it in arguments.parents.iterdir() if (it / "child-0").exists())):
        name, out = folder.name, arguments.out / folder.name
        data = arguments.domains / f"{SETS[index % len(SETS)]}.npz"
        base, parent = folder / "base" / f"{name}.onnx", folder / "child-0" / f"{name}.onnx"
        graph = next(pathlib.Path(__file__).parent.parent.glob(f"*/*/{name}.onnx"))
        run("predict", graph, "--support", data, "--support-steps", STEPS, "--out", out / "predicted", "--force")
        start = out / "start" / f"{name}.onnx"
        write_start(parent, base, out / "predicted" / f"{name}.onnx", start)
        row = [[adapted(it, data, out / "adapted", steps) for steps in EPOCHS] for it in (parent, start)]
        rows.append(row)
        zero, generated = (" ".join(f"{it:5.1f}" for it in of) for of in row)
        print(f"{name:<20} {data.stem:<18} from zero {zero}   generated {generated}", flush=True)
    zero, generated = np.mean(rows, axis=0)
    print("mean, from zero", np.round(zero, 1), "generated", np.round(generated, 1), f"{len(rows)} graphs,"
          f" steps {list(EPOCHS)}; generated took {STEPS} more")


if __name__ == "__main__":
    main()
