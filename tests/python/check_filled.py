#!/usr/bin/env python3
"""Checks what `weightsmith predict` wrote with the tools its users will open it with.

Needs: pip install onnx onnxruntime numpy safetensors   (and torch, if it is to be checked too)

    check_filled.py DIR|MODEL.onnx [--original MODEL.onnx] [--logits FILE.json]

DIR is the folder that `predict --out` wrote. Checked are
- that onnx.checker accepts the file, with full shape inference;
- with --original, that nothing but initializers and metadata differs from it;
- that ONNX Runtime runs the file and its outputs are finite, and with --logits equal to those our
  executor wrote: {"input": {"shape": [..], "values": [..]}, "output": {"shape": [..], "values": [..]}};
- in a folder, that the .safetensors holds the values of the .onnx under the names in report.json,
  and that torch loads it where torch is installed.

Exit code 0 if all holds, 1 otherwise.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented
from safetensors import safe_open


class Checks:
    """Prints outcomes and remembers whether one failed."""

    def __init__(self):
        self.failed = False

    def that(self, holds, what, detail=""):
        self.failed |= not holds
        print(f"{'ok  ' if holds else 'FAIL'} {what}{f': {detail}' if detail else ''}")


def skeleton(model, filled):
    """The model without what a filled file may change.

    Weights that the original makes with ConstantOfShape nodes may become initializers.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.initializer[:]
    del copy.metadata_props[:]
    nodes = [node for node in model.graph.node if not filled.issuperset(node.output)]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy.SerializeToString(deterministic=True)


def check_graph(checks, path, original):
    try:
        onnx.checker.check_model(str(path), full_check=True)
        checks.that(True, "onnx.checker")
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        checks.that(False, "onnx.checker", error)
    if original is not None:
        filled, before = (onnx.load(file, load_external_data=False) for file in (path, original))
        names = {tensor.name for tensor in filled.graph.initializer}
        same = skeleton(filled, names) == skeleton(before, names)
        checks.that(same, "the graph is that of the original")


def images_for(session, initializers):
    """Random values for every input that holds no weights."""
    random = np.random.default_rng(0)
    feeds = {}
    for value in session.get_inputs():
        if value.name not in initializers:
            shape = [size if isinstance(size, int) and size > 0 else 1 for size in value.shape]
            kind = {"tensor(float)": np.float32, "tensor(float16)": np.float16}.get(value.type)
            if kind is None:
                sys.exit(f"input {value.name} has type {value.type}; give --logits")
            feeds[value.name] = random.standard_normal(shape).astype(kind)
    return feeds


def check_runtime(checks, path, initializers, logits, tolerance):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    except NotImplemented as error:
        print(f"skip ONNX Runtime: {error}")
        return
    if logits is None:
        outputs = session.run(None, images_for(session, initializers))
        finite = all(np.isfinite(output).all() for output in outputs)
        checks.that(finite, "ONNX Runtime", f"outputs {[list(output.shape) for output in outputs]}")
        return
    tensors = json.loads(Path(logits).read_text())
    given, expected = (
        np.array(tensors[key]["values"], np.float32).reshape(tensors[key]["shape"])
        for key in ("input", "output")
    )
    images = [value for value in session.get_inputs() if value.name not in initializers]
    if len(images) != 1:
        sys.exit(f"--logits is for networks of one input, this one has {len(images)}")
    name, shape = images[0].name, images[0].shape
    # A file with a fixed batch takes the images in portions of that size.
    portion = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else len(given)
    portions = [given[start : start + portion] for start in range(0, len(given), portion)]
    found = np.concatenate([session.run(None, {name: part})[0] for part in portions])
    if found.shape != expected.shape:
        checks.that(False, "ONNX Runtime", f"shape {found.shape}, expected {expected.shape}")
        return
    scale = max(float(np.abs(expected).max()), 1e-6)
    gap = float(np.abs(found - expected).max()) / scale
    checks.that(gap <= tolerance, "ONNX Runtime equals our executor", f"relative gap {gap:.1e}")


def check_safetensors(checks, path, initializers, report):
    with safe_open(path, framework="np") as file:
        origin = file.metadata()
        same = origin["format"] == "pt" and origin["weightsmith.seed"] == str(report["provenance"]["seed"])
        checks.that(same, "safetensors metadata", origin)
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    compared = 0
    for entry in report["tensors"]:
        name, initializer = entry["state_dict"], entry["initializer"]
        if name not in tensors or initializer not in initializers:
            continue
        stored = tensors[name]
        value = numpy_helper.to_array(initializers[initializer])
        # MatMul keeps [in, out], PyTorch [out, in]; exporters put unit axes around vectors.
        same = any(
            stored.shape == layout.shape and np.array_equal(stored, layout, equal_nan=True)
            for layout in (value, value.T, value.reshape(-1))
        )
        compared += 1
        if not same:
            checks.that(False, "safetensors", f"{name} differs from initializer {initializer}")
    checks.that(compared > 0, "safetensors", f"{compared} tensors compared with the .onnx")
    listed = {entry["state_dict"] for entry in report["tensors"]}
    extra = [
        name for name in tensors if name not in listed and not name.endswith("num_batches_tracked")
    ]
    checks.that(not extra, "every tensor is in the report", ", ".join(extra))
    try:
        from safetensors.torch import load_file
    except ImportError:
        print("skip torch is not installed")
        return
    checks.that(load_file(path).keys() == tensors.keys(), "torch loads the safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("filled", type=Path, help="a folder written by predict, or an .onnx file")
    parser.add_argument("--original", type=Path, help="the file that was filled")
    parser.add_argument("--logits", type=Path, help="input and output of our executor, as JSON")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="relative to the largest logit")
    arguments = parser.parse_args()

    path = arguments.filled
    if path.is_dir():
        models = sorted(path.glob("*.onnx"))
        if len(models) != 1:
            parser.error(f"{path} holds {len(models)} .onnx files, expected one")
        path = models[0]
    checks = Checks()
    check_graph(checks, path, arguments.original)
    initializers = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    check_runtime(checks, path, initializers, arguments.logits, arguments.tolerance)
    if arguments.filled.is_dir():
        report = json.loads((arguments.filled / "report.json").read_text())
        check_safetensors(checks, path.with_suffix(".safetensors"), initializers, report)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
