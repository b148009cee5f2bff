"""Exports torchvision and timm classifiers, reads, fills and runs them, and compares with PyTorch.

    pip install torch torchvision timm onnxscript safetensors numpy
    cargo build --release --bin weightsmith --example run_onnx
    python tests/python/check_exports.py target/release/weightsmith target/release/examples/run_onnx \\
        [--only NAME,..] [--exports DIR] [--json benches/results/exports.json] \\
        [--page docs/compatibility.md] [--fixtures tests/fixtures/exports]

Every network (random weights, nothing is downloaded) is exported in four forms: TorchScript
(opsets 13 to 20 in turn, every other one without weights), dynamo (opsets 18 to 20, folded, with
weights), dynamo as docs/compatibility.md advises (unfolded, every other one without weights), and
TorchScript without folding (opsets 14 to 20) of a network as it is initialised. Checked are
- read:   `inspect` takes the file, nothing in it is unsupported;
- shapes: the inferred shape of the output is PyTorch's;
- filled: `predict` fills everything;
- loads strictly: the predicted state dict of an unfolded export does, in PyTorch;
- runs:   our executor computes what PyTorch does, within 1e-4 of the largest logit: with the file's
          weights where it has them, with the predicted ones for unfolded exports.

--exports keeps the exports in a folder and takes those it already holds. Exits with 1 if any check
fails.
"""

import argparse
import json
import re
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np
import onnx
import timm
import torch
from safetensors.numpy import load_file, save_file

from forms import FORMS
from networks import NETWORKS, fresh, refusal
from tools import Tools, put_into

TOLERANCE = 1e-4
UNFOLDED = ["unfolded", "script_nofold"]


# Small exports without weights that the test suite reads.
FIXTURES = [
    ("ecaresnet26t", "torchscript"),
    ("mobilenetv4_conv_small", "torchscript"),
    ("vit_tiny_patch16_224", "torchscript"),
    ("maxvit_2_stages", "unfolded"),
    ("skresnet18", "unfolded"),
    ("vit_2_layers", "unfolded"),
]


def randomised(build):
    """A network in which nothing is zero or one by initialisation, so that nothing hides."""
    torch.manual_seed(0)
    module = build().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            spread = 0.1 if parameter.dim() < 2 else 0.01
            parameter.add_(spread * torch.randn_like(parameter))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return module


def strip(path, module):
    """Takes out the values of what training learns; index tables and masks stay."""
    learned = {name for name, _ in module.named_parameters()}
    learned |= {name for name, _ in module.named_buffers() if ".running_" in name}
    model = onnx.load(path)
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in learned]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save(model, path)


def export(folder, index, build, size):
    """Writes the four forms; returns what each is, or why an exporter failed."""
    module, image = randomised(build), torch.randn(1, 3, size, size, generator=torch.manual_seed(1))
    with torch.no_grad():
        logits = module(image)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(module.state_dict(), folder / "state_dict.pt")
    save_file({"input": image.numpy(), "output": logits.numpy()}, folder / "expected.safetensors")
    forms = {}

    def attempt(name, opset, weights, write):
        forms[name] = {"opset": opset, "weights": weights}
        try:
            write(folder / f"{name}.onnx")
        except Exception as error:  # Exporters raise anything.
            forms[name]["exporter"] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"

    opset, weights = 13 + index % 8, index % 2 == 0
    script = {"opset_version": opset, "export_params": weights, "dynamo": False}
    attempt("torchscript", opset, weights, lambda path: torch.onnx.export(module, (image,), path, **script))
    opset, weights = 18 + index % 3, not weights
    program = None

    def unfolded(path):
        nonlocal program
        program = torch.onnx.export(
            module, (image,), dynamo=True, optimize=False, opset_version=opset, verbose=False
        )
        program.save(path, keep_initializers_as_inputs=True)
        if not weights:
            strip(path, module)

    def folded(path):
        program.optimize()
        program.save(path)

    attempt("unfolded", opset, weights, unfolded)
    if program is not None:
        attempt("dynamo", opset, True, folded)
    opset = 14 + index % 7
    attempt(
        "script_nofold",
        opset,
        True,
        lambda path: torch.onnx.export(
            fresh(build), (image,), path, opset_version=opset, **FORMS["script_nofold"]
        ),
    )
    (folder / "forms.json").write_text(json.dumps(forms, indent=1))
    return forms


def difference(ours, theirs):
    """Largest difference relative to the largest logit."""
    if ours.shape != theirs.shape:
        return f"shape {list(ours.shape)}"
    gap = float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-30))
    return "" if gap <= TOLERANCE else f"logits differ by {gap:.1e}"


def check(tools, folder, form, about, build):
    """What holds of one export."""
    result = dict(about, read=False, shapes=False, filled=False, run=None, problems=[])
    if "exporter" in about:
        return result
    path = folder / f"{form}.onnx"
    expected = load_file(folder / "expected.safetensors")
    problem = result["problems"].append
    code, report, error = tools.inspect(path)
    images = report.get("inputs", [])
    result["read"] = code == 0 and len(images) == 1
    result["nodes"] = sum(report.get("operators", {}).values())
    if len(images) > 1:
        problem(f"read: inputs {[image['name'] for image in images]}")
    if code != 0:
        problem(f"read: {'; '.join(report.get('unsupported', [])) or error}")
    shapes = [output["shape"] for output in report.get("outputs", [])]
    result["shapes"] = shapes == [list(expected["output"].shape)]
    if not result["shapes"]:
        problem(f"shapes: {shapes}")
    with tempfile.TemporaryDirectory() as out:
        out = Path(out)
        code, report, error = tools.predict(path, out / "filled")
        result["filled"] = code == 0
        if code != 0:
            skipped = report.get("parameters", {}).get("skipped")
            problem(f"filled: {error or skipped}")
        filled = out / "filled"
        if form in UNFOLDED and result["filled"]:
            module = fresh(build)
            why = refusal(module, filled / f"{form}.safetensors")
            result["strict"] = not why
            if why:
                problem(f"strict: {why}")
        if about["weights"] and form not in UNFOLDED:
            logits, error = tools.run(path, expected["input"], out)
            target = expected["output"]
        elif result.get("strict"):
            logits, error = tools.run(filled / f"{form}.onnx", expected["input"], out)
            # In 64 bits: PyTorch's own rounding is not what is judged.
            with torch.no_grad():
                target = module.double()(torch.from_numpy(expected["input"]).double()).numpy()
        else:
            return result
        why = error if logits is None else difference(logits, target)
        result["run"] = not why
        if why:
            problem(f"run: {why}")
    return result


def gap(forms):
    """What is missing, in a few words: the operator where it is one."""
    problems = [problem for form in forms for problem in form["problems"]]
    operators = sorted({name for line in problems for name in re.findall(r"operator (\w+)", line)})
    if operators:
        return ", ".join(f"`{name}`" for name in operators)
    missing = [name for line in problems for name in re.findall(r'Missing key.*?"([^"]+)"', line)]
    if missing:
        return f"the export lacks `{missing[0]}`"
    return problems[0].split(":")[0] if problems else ""


def families(results):
    """One row for each network: whether each check holds for all its exports."""
    rows = []
    for entry in results:
        forms = [form for form in entry["forms"].values() if "exporter" not in form]
        holds = lambda key: bool(forms) and all(form.get(key) is not False for form in forms)
        tried = lambda key: any(form.get(key) is not None for form in forms)
        row = {key: holds(key) for key in ("read", "shapes", "filled")}
        row |= {form: entry["forms"].get(form, {}).get("strict") for form in UNFOLDED}
        row["run"] = holds("run") if tried("run") else None
        names = {"family": entry["family"], "network": entry["network"], "exports": len(forms)}
        rows.append(names | row | {"gap": gap(forms)})
    return rows


CHECKS = {
    "read": "read",
    "shapes": "shapes",
    "filled": "filled",
    "unfolded": "loads strictly, dynamo",
    "script_nofold": "loads strictly, script",
    "run": "runs",
}


def summary(rows):
    return {key: f"{sum(row[key] is True for row in rows)} of {len(rows)}" for key in CHECKS}


def markdown(rows):
    mark = {True: "yes", False: "**no**", None: "–"}
    lines = [
        "| family | network | exports | " + " | ".join(CHECKS.values()) + " | gap |",
        "|" + "---|" * (len(CHECKS) + 4),
    ]
    for row in rows:
        cells = " | ".join(mark[row[key]] for key in CHECKS)
        lines.append(
            f"| {row['family']} | `{row['network']}` | {row['exports']} | {cells} | {row['gap']} |"
        )
    totals = " | ".join(f"**{total}**" for total in summary(rows).values())
    exports = sum(row["exports"] for row in rows)
    lines.append(f"| **all** | {len(rows)} networks | {exports} | {totals} | |")
    return "\n".join(lines)


def bare(source, target):
    """A small copy without notes about where the exporter ran."""
    model = onnx.load(source)
    graph = model.graph
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in [*graph.input, *graph.output, *graph.value_info]:
        kept = [note for note in value.metadata_props if "InputSpec" in note.key]
        del value.metadata_props[:]
        value.metadata_props.extend(kept)
    del graph.metadata_props[:]
    graph.doc_string = model.doc_string = ""
    onnx.save(model, target)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("weightsmith", type=Path)
    parser.add_argument("run_onnx", type=Path)
    parser.add_argument("--only", help="names of networks, with commas")
    parser.add_argument("--exports", type=Path, help="keep the exports here and reuse them")
    parser.add_argument("--export-only", action="store_true")
    parser.add_argument("--json", type=Path, help="where to write everything")
    parser.add_argument("--page", type=Path, help="file whose table is replaced")
    parser.add_argument("--fixtures", type=Path, help="folder for small exports without weights")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    only = arguments.only.split(",") if arguments.only else None
    kept = tempfile.TemporaryDirectory() if arguments.exports is None else None
    root = Path(kept.name) if kept else arguments.exports
    tools = Tools(arguments.weightsmith.resolve(), arguments.run_onnx.resolve())
    results = []
    for index, (family, network, build, size) in enumerate(NETWORKS):
        if only and network not in only:
            continue
        folder = root / network
        if (folder / "forms.json").exists():
            forms = json.loads((folder / "forms.json").read_text())
        else:
            try:
                forms = export(folder, index, build, size)
            except Exception:
                print(f"{network}: {traceback.format_exc().splitlines()[-1]}", flush=True)
                continue
        if arguments.export_only:
            print(network, forms, flush=True)
            continue
        entry = {"family": family, "network": network, "input": [3, size, size], "forms": {}}
        for form, about in forms.items():
            found = check(tools, folder, form, about, build)
            entry["forms"][form] = found
            marks = " ".join(
                f"{key} {'-' if found[key] is None else 'ok' if found[key] else 'NO'}"
                for key in ("read", "shapes", "filled", "run")
            )
            print(f"{network:24} {form:12} opset {about['opset']} {marks}", flush=True)
            for line in found["problems"] + [about.get("exporter")]:
                if line:
                    print(f"    {line[:400]}", flush=True)
        results.append(entry)
    rows = families(results)
    print(summary(rows))
    if arguments.json:
        versions = {"torch": torch.__version__, "timm": timm.__version__}
        report = {"summary": summary(rows), "versions": versions, "networks": results}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.page:
        put_into(arguments.page, "exports", markdown(rows))
    if arguments.fixtures:
        arguments.fixtures.mkdir(parents=True, exist_ok=True)
        for network, form in FIXTURES:
            name = f"{network}.{form}.onnx"
            bare(root / network / f"{form}.onnx", arguments.fixtures / name)
    return int(any(form["problems"] for entry in results for form in entry["forms"].values()))


if __name__ == "__main__":
    sys.exit(main())
