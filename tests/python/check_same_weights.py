"""Exports networks in many ways and checks that every export gets the same weights and rank.

    pip install torch torchvision timm onnxscript onnxruntime safetensors numpy pillow
    cargo build --release --bin weightsmith
    python tests/python/check_same_weights.py target/release/weightsmith --exports DIR \\
        --data ../shared/data/cifar10.tar.xz \\
        [--only NAME,..] [--json benches/results/same_weights.json] [--page docs/compatibility.md]

Forty networks of torchvision and timm, as they are initialised, each in eight exports: five that
fold nothing and three that fold norms into convolutions. Checked are
- weights:  parameters of the same name are equal within 1e-5 of the largest value of the tensor,
            and no name is missing;
- outputs:  ONNX Runtime computes the same on 8 images, within 1e-4 of the largest logit;
- rank:     one call that gets the five puts them on one rank;
- folded:   the folding exports agree with each other in the same way, and where names are missing, a
            notice says which export has them;
- strict:   PyTorch's load_state_dict(strict=True) takes what was predicted;
- accuracy: on CIFAR-10, the folding exports are within 5 points of the others on the mean.

--exports keeps the exports and writes those that are missing. Exits with 1 if any check fails.
"""

import argparse
import json
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.numpy import load_file

from cifar10 import Images
from forms import FORMS, export
from networks import compared, fresh, refusal
from tools import Tools, put_into

# Name of an export: its form, and its opset if it is not PyTorch's default.
UNFOLDED = {
    "unfolded": ("unfolded", None),
    "opset21": ("unfolded", 21),
    "script_nofold": ("script_nofold", None),
    "opset13": ("script_nofold", 13),
    "weightless": ("weightless_nofold", None),
}
FOLDED = {
    "script": ("script", None),
    "dynamo": ("dynamo", None),
    "weightless_folded": ("weightless", None),
}
STRICT = ["unfolded", "script_nofold"]
WEIGHTS, OUTPUTS, POINTS = 1e-5, 1e-4, 5


def write_exports(folder, build, size):
    """Writes what is missing. Returns what the exporters said of those that failed."""
    done = folder / "exports.json"
    if done.exists():
        return json.loads(done.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    module = fresh(build)
    image = torch.randn(1, 3, size, size, generator=torch.manual_seed(1))
    torch.save(module.state_dict(), folder / "state_dict.pt")
    captured, failures = None, {}
    for name, (form, opset) in (UNFOLDED | FOLDED).items():
        try:
            source = module
            if FORMS[form]["dynamo"]:
                source = captured = captured or torch.export.export(module, (image,))
            export(source, image, form, folder / f"{name}.onnx", opset)
        except Exception as error:  # Exporters raise anything.
            lines = str(error).strip().splitlines() or [""]
            failures[name] = f"{type(error).__name__}: {lines[0][:200]}"
            (folder / f"{name}.onnx").unlink(missing_ok=True)
    done.write_text(json.dumps(failures, indent=1))
    return failures


def logits(path, images):
    """What ONNX Runtime computes, image by image: exports fix the batch size."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(path, options)
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def distance(ours, theirs):
    """Largest difference relative to the largest value."""
    return float(np.abs(ours - theirs).max(initial=0) / max(np.abs(theirs).max(initial=0), 1e-30))


def uses(path):
    """The operator that each initializer goes into, behind those that only move values."""
    nodes = onnx.load(path, load_external_data=False).graph.node
    found = {}
    for node in reversed(nodes):
        operator = node.op_type
        if operator in ("Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze"):
            operator = found.get(node.output[0], operator)
        if operator != "Shape":
            found |= {name: operator for name in node.input if name}
    return found


def unequal(ours, theirs, operators):
    """Parameters that are missing or differ, by operator."""
    missing, different, largest = Counter(), Counter(), 0.0
    for name, tensor in theirs.items():
        if name.endswith("num_batches_tracked"):
            continue
        operator = operators.get(name, name)
        if name not in ours:
            missing[operator] += 1
        elif ours[name].shape != tensor.shape:
            different[operator] += 1
        elif (gap := distance(ours[name], tensor)) > WEIGHTS or not np.isfinite(gap):
            different[operator] += 1
            largest = max(largest, gap)
    listed = lambda counts: ", ".join(f"{count} of `{name}`" for name, count in counts.most_common(4))
    said = [f"differ: {listed(different)} (by {largest:.0e})"] if different else []
    return said + ([f"missing: {listed(missing)}"] if missing else [])


def kernels(path):
    """The kernels of all convolutions, by shape, in an order that no exporter decides."""
    model = onnx.load(path)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in values:
            kernel = values[node.input[1]]
            found.setdefault(kernel.shape, []).append(kernel)
    return {shape: sorted(of_shape, key=lambda kernel: kernel.sum()) for shape, of_shape in found.items()}


def unequal_kernels(path, other):
    ours, theirs = kernels(path), kernels(other)
    count = lambda kernels: {shape: len(of_shape) for shape, of_shape in kernels.items()}
    if count(ours) != count(theirs):
        return ["`Conv`: other kernels"]
    gaps = [distance(a, b) for shape in ours for a, b in zip(ours[shape], theirs[shape])]
    worse = [gap for gap in gaps if not gap <= WEIGHTS]
    return [f"differ: {len(worse)} kernels of `Conv` (by {max(worse):.0e})"] if worse else []


def missing_buffers(report):
    """What a report says of tables that an export without weights left out."""
    findings = [finding for check in report.get("sanity_checks", []) for finding in check["findings"]]
    return "; ".join(finding["reason"] for finding in findings if finding["kind"] == "missing_buffers")


class Network:
    """The exports of one network, filled."""

    def __init__(self, folder, out, build, failures):
        self.folder, self.out, self.build = folder, out, build
        self.problems = {name: [] for name in UNFOLDED | FOLDED if name not in failures}
        self.filled, self.outputs, self.notices = {}, {}, {}
        self.left_out = {}

    def fill(self, tools):
        for name in self.problems:
            code, report, error = tools.predict(self.folder / f"{name}.onnx", self.out / name)
            if code == 3 and (buffers := missing_buffers(report)):
                # A table of indices cannot be predicted: the exporter lacks it, and the exit code says so.
                self.left_out[name] = buffers
                continue
            if code != 0:
                operators = sorted(set(re.findall(r"operator (\w+)", " ".join(report.get("unsupported", [])))))
                self.problems[name].append(f"exit {code}: " + (", ".join(operators) or error[:120]))
            if (self.out / name / f"{name}.onnx").exists():
                self.filled[name] = self.out / name / f"{name}.onnx"
                self.notices[name] = report.get("notices", [])
        for name in self.left_out:
            del self.problems[name]

    def run(self, images):
        for name, path in self.filled.items():
            try:
                self.outputs[name] = logits(path, images[::max(1, len(images) // 8)][:8])
            except Exception as error:  # ONNX Runtime raises anything.
                self.problems[name].append(f"runs not: {str(error)[:120]}")

    def state(self, name):
        return load_file(self.filled[name].with_suffix(".safetensors"))

    def same_weights(self):
        reference, operators = self.state("unfolded"), uses(self.folder / "unfolded.onnx")
        for name in UNFOLDED:
            if name in self.filled and name != "unfolded":
                self.problems[name] += unequal(self.state(name), reference, operators)

    def names_the_call(self):
        """A state dict that lacks names comes with a notice that says which export has them."""
        wanted = {name for name in self.state("unfolded") if not name.endswith("num_batches_tracked")}
        for name in FOLDED:
            if name in self.filled and wanted - set(self.state(name)):
                if not re.search("optimize=False|do_constant_folding=False", str(self.notices[name])):
                    self.problems[name].append("names are missing, and no notice says how to export them")

    def same_outputs(self, group, reference):
        for name in group:
            if name in self.outputs and reference in self.outputs and name != reference:
                gap = distance(self.outputs[name], self.outputs[reference])
                if not gap <= OUTPUTS:
                    self.problems[name].append(f"outputs differ by {gap:.0e}")

    def same_kernels(self):
        for name in FOLDED:
            if name in self.filled and name != "script":
                self.problems[name] += unequal_kernels(self.filled[name], self.filled["script"])

    def refusal(self, name):
        if name not in self.filled:
            return "no state dict"
        return refusal(fresh(self.build), self.filled[name].with_suffix(".safetensors"))

    def rank(self, tools):
        """Why the unfolded exports have not one rank; empty if they have."""
        files = [self.folder / f"{name}.onnx" for name in UNFOLDED if name in self.problems]
        code, report, error = tools.rank(files)
        rows = report.get("ranking", [])
        if code != 0 or len(rows) < len(files):
            return f"ranked {len(rows)} of {len(files)}: {error[:120]}"
        missing = sorted({f"{Path(row['file']).stem} lacks {score}" for row in rows for score in row.get("missing", {})})
        if missing:
            return ", ".join(missing)
        spread = {score: np.ptp([row["scores"][score] for row in rows]) for score in rows[0]["scores"]}
        apart = [score for score, gap in spread.items() if gap > 1e-5 * max(1, abs(rows[0]["scores"][score]))]
        if apart or len({row["rank"] for row in rows}) > 1:
            return f"ranks {[row['rank'] for row in rows]}, other {', '.join(apart) or 'order'}"
        return ""


def check(tools, folder, out, build, failures, size, images):
    network = Network(folder, out, build, failures)
    network.fill(tools)
    pictures = images.at(size)
    network.run(pictures)
    if "unfolded" in network.filled:
        network.same_weights()
        network.names_the_call()
    network.same_outputs(UNFOLDED, "unfolded")
    network.same_outputs(FOLDED, "script")
    if "script" in network.filled:
        network.same_kernels()
    accuracy = {}
    for name in ("unfolded", "script", "dynamo"):
        if name in network.outputs:
            right = logits(network.filled[name], pictures).argmax(1) == images.labels
            accuracy[name] = round(100 * float(right.mean()), 1)
    return {
        "exporter": failures | network.left_out,
        "problems": network.problems,
        "notices": network.notices,
        "rank": network.rank(tools),
        "strict": {name: network.refusal(name) for name in STRICT},
        "accuracy": accuracy,
    }


def holds(entry):
    """Each check, yes or no."""
    problems = entry["problems"]
    weights = [line for name in UNFOLDED for line in problems.get(name, []) if "outputs" not in line]
    outputs = [line for name in UNFOLDED for line in problems.get(name, []) if "outputs" in line]
    return {
        "weights": not weights,
        "outputs": not outputs and not weights,
        "rank": not entry["rank"],
        "folded": not any(problems.get(name) for name in FOLDED),
        "strict": not any(entry["strict"].values()),
    }


def gap(entry):
    """Everything that is missing, in a few words."""
    refused = re.compile(r"'aten::(\w+)'")
    said = []
    for name, why in entry["exporter"].items():
        operator = refused.search(why)
        said.append(f"{name}: the exporter lacks `{operator[1]}`" if operator else f"{name}: {why}")
    of_line = {}
    for name, lines in entry["problems"].items():
        for line in lines:
            of_line.setdefault(line, []).append(name)
    said += [f"{', '.join(names)}: {line}" for line, names in of_line.items()]
    said += [f"rank: {entry['rank']}"] if entry["rank"] else []
    return "; ".join(said + [f"{name} strict: {why}" for name, why in entry["strict"].items() if why])


def means(results):
    of_form = lambda name: [entry["accuracy"][name] for entry in results if name in entry["accuracy"]]
    return {name: round(float(np.mean(of_form(name) or [0])), 1) for name in ("unfolded", "script", "dynamo")}


def summary(results):
    checks = [holds(entry) for entry in results]
    counts = {key: f"{sum(check[key] for check in checks)} of {len(checks)}" for key in checks[0]}
    return counts | {"accuracy": means(results)}


def markdown(results):
    mark = {True: "yes", False: "**no**"}
    columns = ["network", *holds(results[0]), "unfolded", "script", "dynamo", "gap"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for entry in results:
        cells = [mark[value] for value in holds(entry).values()]
        cells += [f"{entry['accuracy'].get(name, '–')}" for name in ("unfolded", "script", "dynamo")]
        lines.append("| " + " | ".join([f"`{entry['network']}`", *cells, gap(entry).replace("|", "/")]) + " |")
    total = summary(results)
    figures = total.pop("accuracy").values()
    cells = [f"**{value}**" for value in [*total.values(), *figures]]
    lines.append("| " + " | ".join(["**all**", *cells]) + " | |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("weightsmith", type=Path)
    parser.add_argument("--exports", type=Path, required=True, help="folder that keeps the exports")
    parser.add_argument("--export-only", action="store_true")
    parser.add_argument("--only", help="names of networks, with commas")
    parser.add_argument("--data", type=Path, help="CIFAR-10 as folders of images in an archive")
    parser.add_argument("--images", type=int, default=1000, help="test images to judge by")
    parser.add_argument("--predictor", type=Path, default=Path("predictors/diffusion"))
    parser.add_argument("--json", type=Path, help="where to write everything")
    parser.add_argument("--page", type=Path, help="file whose table is replaced")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    tools = Tools(arguments.weightsmith.resolve())
    if not arguments.export_only:
        config = json.loads((arguments.predictor / "config.json").read_text())
        images = Images(arguments.data, arguments.images, config)
    only = arguments.only.split(",") if arguments.only else None
    results = []
    for family, network, build, size in compared():
        if only and network not in only:
            continue
        start, folder = time.time(), arguments.exports / network
        failures = write_exports(folder, build, size)
        if arguments.export_only:
            print(network, f"{time.time() - start:.0f} s", failures, flush=True)
            continue
        with tempfile.TemporaryDirectory() as out:
            entry = check(tools, folder, Path(out), build, failures, size, images)
        results.append({"family": family, "network": network, "size": size} | entry)
        marks = " ".join(f"{key} {'ok' if value else 'NO'}" for key, value in holds(entry).items())
        print(f"{network:24} {time.time() - start:4.0f} s {marks} {entry['accuracy']}", flush=True)
        if gap(entry):
            print(f"    {gap(entry)}", flush=True)
    if not results:
        return 0
    print(summary(results))
    if arguments.json:
        versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
        report = {"summary": summary(results), "versions": versions, "networks": results}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.page:
        put_into(arguments.page, "same-weights", markdown(results))
    accuracy = means(results)
    apart = max(abs(accuracy["unfolded"] - accuracy[name]) for name in ("script", "dynamo"))
    return int(apart > POINTS or not all(all(holds(entry).values()) for entry in results))


if __name__ == "__main__":
    sys.exit(main())
