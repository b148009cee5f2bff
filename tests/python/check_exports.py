"""Exports torchvision and timm classifiers, reads, fills and runs them, and compares with PyTorch.

    pip install torch torchvision timm onnxscript safetensors numpy
    cargo build --release --bin weightsmith --example run_onnx
    python tests/python/check_exports.py target/release/weightsmith target/release/examples/run_onnx \\
        [--only NAME,..] [--exports DIR] [--json benches/results/exports.json] \\
        [--page docs/compatibility.md] [--fixtures tests/fixtures/exports]

Every network (random weights, nothing is downloaded) is exported in three forms: TorchScript
(opsets 13 to 20 in turn, every other one without weights), dynamo (opsets 18 to 20, folded, with
weights), and dynamo as docs/compatibility.md advises (unfolded, every other one without weights). Checked are
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
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import timm
import torch
import torchvision.models as tv
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_state_dict
from torch import nn

CLASSES = 10
TOLERANCE = 1e-4


def torchvision_model(name, **options):
    return lambda: getattr(tv, name)(weights=None, num_classes=CLASSES, **options)


def timm_model(name, **options):
    return lambda: timm.create_model(name, num_classes=CLASSES, **options)


def small_vit():
    return tv.VisionTransformer(32, 8, 2, 4, 64, 128, num_classes=CLASSES)


def small_swin(block=None):
    from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

    v2 = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2} if block else {}
    return lambda: tv.SwinTransformer(
        [4, 4], 32, [2, 2], [2, 4], [4, 4], num_classes=CLASSES, **v2
    )


def small_maxvit():
    return tv.MaxVit((64, 64), 16, 4, [16, 32], [1, 1], 8, 0.0, num_classes=CLASSES)


# Family, network, how to build it, height and width of the image.
NETWORKS = [
    ("AlexNet", "alexnet", torchvision_model("alexnet"), 224),
    ("VGG", "vgg11_bn", torchvision_model("vgg11_bn"), 224),
    ("ResNet", "resnet18", torchvision_model("resnet18"), 64),
    ("ResNet-D", "resnet26d", timm_model("resnet26d"), 64),
    ("ResNeXt", "resnext50_32x4d", torchvision_model("resnext50_32x4d"), 32),
    ("Res2Net", "res2net50_14w_8s", timm_model("res2net50_14w_8s"), 64),
    ("ResNeSt", "resnest14d", timm_model("resnest14d"), 64),
    ("SENet", "legacy_seresnet18", timm_model("legacy_seresnet18"), 64),
    ("SKNet", "skresnet18", timm_model("skresnet18"), 64),
    ("ECA-Net", "ecaresnet26t", timm_model("ecaresnet26t"), 64),
    ("GCNet", "gcresnext26ts", timm_model("gcresnext26ts"), 64),
    ("BAT", "bat_resnext26ts", timm_model("bat_resnext26ts"), 256),
    ("BoTNet", "botnet26t_256", timm_model("botnet26t_256", img_size=64), 64),
    ("HaloNet", "halonet26t", timm_model("halonet26t"), 256),
    ("LambdaNet", "lambda_resnet26t", timm_model("lambda_resnet26t"), 64),
    ("BiT (ResNetV2)", "resnetv2_18", timm_model("resnetv2_18"), 64),
    ("NFNet", "nf_regnet_b0", timm_model("nf_regnet_b0"), 64),
    ("DenseNet", "densenet121", torchvision_model("densenet121"), 64),
    ("DPN", "dpn48b", timm_model("dpn48b"), 64),
    ("DLA", "dla46_c", timm_model("dla46_c"), 64),
    ("HRNet", "hrnet_w18_small", timm_model("hrnet_w18_small"), 64),
    ("SelecSLS", "selecsls42b", timm_model("selecsls42b"), 64),
    ("VoVNet", "ese_vovnet19b_slim_dw", timm_model("ese_vovnet19b_slim_dw"), 64),
    ("CSPNet", "cs3darknet_s", timm_model("cs3darknet_s"), 64),
    ("GoogLeNet", "googlenet", torchvision_model("googlenet", aux_logits=False, init_weights=False), 64),
    ("Inception", "inception_v3", torchvision_model("inception_v3", aux_logits=False, init_weights=False), 96),
    ("Xception", "xception41", timm_model("xception41"), 64),
    ("SqueezeNet", "squeezenet1_1", torchvision_model("squeezenet1_1"), 64),
    ("ShuffleNetV2", "shufflenet_v2_x0_5", torchvision_model("shufflenet_v2_x0_5"), 64),
    ("MobileNetV2", "mobilenet_v2", torchvision_model("mobilenet_v2"), 64),
    ("MobileNetV3", "mobilenet_v3_small", torchvision_model("mobilenet_v3_small"), 64),
    ("MobileNetV4", "mobilenetv4_conv_small", timm_model("mobilenetv4_conv_small"), 64),
    ("MobileOne", "mobileone_s0", timm_model("mobileone_s0"), 64),
    ("MnasNet", "mnasnet0_5", torchvision_model("mnasnet0_5"), 64),
    ("EfficientNet", "efficientnet_b0", torchvision_model("efficientnet_b0"), 64),
    ("EfficientNet (TF pads)", "tf_efficientnet_lite0", timm_model("tf_efficientnet_lite0"), 64),
    ("GhostNet", "ghostnet_050", timm_model("ghostnet_050"), 64),
    ("ReXNet", "rexnet_100", timm_model("rexnet_100"), 64),
    ("RegNet", "regnety_002", timm_model("regnety_002"), 64),
    ("RepVGG", "repvgg_a0", timm_model("repvgg_a0"), 64),
    ("StarNet", "starnet_s1", timm_model("starnet_s1"), 64),
    ("ConvNeXt", "convnext_tiny", torchvision_model("convnext_tiny"), 64),
    ("ConvNeXt V2", "convnextv2_atto", timm_model("convnextv2_atto"), 64),
    ("ConvMixer", "convmixer_768_32", timm_model("convmixer_768_32"), 64),
    ("InceptionNeXt", "inception_next_atto", timm_model("inception_next_atto"), 64),
    ("FocalNet", "focalnet_tiny_srf", timm_model("focalnet_tiny_srf"), 64),
    ("MambaOut", "mambaout_femto", timm_model("mambaout_femto"), 64),
    ("MLP-Mixer", "mixer_s32_224", timm_model("mixer_s32_224", img_size=64), 64),
    ("ResMLP", "resmlp_12_224", timm_model("resmlp_12_224", img_size=64), 64),
    ("gMLP", "gmlp_ti16_224", timm_model("gmlp_ti16_224", img_size=64), 64),
    ("PoolFormer", "poolformer_s12", timm_model("poolformer_s12"), 64),
    ("MetaFormer", "caformer_s18", timm_model("caformer_s18"), 64),
    ("ViT (torchvision)", "vit_2_layers", small_vit, 32),
    ("ViT (timm)", "vit_tiny_patch16_224", timm_model("vit_tiny_patch16_224", img_size=64), 64),
    ("DeiT", "deit_tiny_distilled_patch16_224", timm_model("deit_tiny_distilled_patch16_224", img_size=64), 64),
    ("EVA-02", "eva02_tiny_patch14_224", timm_model("eva02_tiny_patch14_224", img_size=56), 56),
    ("Swin", "swin_2_stages", small_swin(), 32),
    ("Swin V2", "swin_v2_2_stages", small_swin("v2"), 32),
    ("MaxViT", "maxvit_2_stages", small_maxvit, 64),
    ("CaiT", "cait_xxs24_224", timm_model("cait_xxs24_224", img_size=64), 64),
    ("XCiT", "xcit_nano_12_p16_224", timm_model("xcit_nano_12_p16_224", img_size=64), 64),
    ("PiT", "pit_ti_224", timm_model("pit_ti_224", img_size=64), 64),
    ("PVT", "pvt_v2_b0", timm_model("pvt_v2_b0"), 64),
    ("Twins", "twins_svt_small", timm_model("twins_svt_small"), 64),
    ("LeViT", "levit_128s", timm_model("levit_128s"), 224),
    ("CoaT", "coat_lite_tiny", timm_model("coat_lite_tiny", img_size=64), 64),
    ("CrossViT", "crossvit_tiny_240", timm_model("crossvit_tiny_240"), 240),
    ("MobileViT", "mobilevit_xxs", timm_model("mobilevit_xxs"), 64),
    ("EdgeNeXt", "edgenext_xx_small", timm_model("edgenext_xx_small"), 64),
    ("EfficientFormer", "efficientformer_l1", timm_model("efficientformer_l1"), 224),
    ("EfficientViT", "efficientvit_b0", timm_model("efficientvit_b0"), 64),
    ("FastViT", "fastvit_t8", timm_model("fastvit_t8"), 64),
    ("RepViT", "repvit_m0_9", timm_model("repvit_m0_9"), 64),
    ("TinyViT", "tiny_vit_5m_224", timm_model("tiny_vit_5m_224"), 224),
    ("Hiera", "hiera_tiny_224", timm_model("hiera_tiny_224", img_size=64), 64),
    ("DaViT", "davit_tiny", timm_model("davit_tiny"), 64),
    ("Sequencer2D", "sequencer2d_s", timm_model("sequencer2d_s", img_size=64), 64),
]


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
    """Writes the three forms; returns what each is, or why an exporter failed."""
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
    (folder / "forms.json").write_text(json.dumps(forms, indent=1))
    return forms


class Tools:
    """The two programs."""

    def __init__(self, weightsmith, run_onnx):
        self.weightsmith, self.run_onnx = weightsmith, run_onnx

    def call(self, *command):
        result = subprocess.run(command, capture_output=True, text=True, timeout=600)
        last = (result.stderr.strip().splitlines() or [""])[-1]
        return result.returncode, result.stdout, last

    def inspect(self, path):
        code, out, error = self.call(self.weightsmith, "inspect", path, "--json")
        return code, json.loads(out) if out else {}, error

    def predict(self, path, out):
        code, out, error = self.call(self.weightsmith, "predict", path, "--out", out, "--json", "-q")
        return code, json.loads(out) if out else {}, error

    def run(self, path, image, folder):
        save_file({"input": image}, folder / "images.safetensors")
        code, _, error = self.call(
            self.run_onnx, path, folder / "images.safetensors", folder / "logits.safetensors"
        )
        if code != 0:
            return None, error
        return next(iter(load_file(folder / "logits.safetensors").values())), ""


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
        if form == "unfolded" and result["filled"]:
            module = randomised(build)
            try:
                state = OrderedDict(load_state_dict(filled / "unfolded.safetensors"))
                # torchvision's MnasNet asks which version of it wrote the file.
                state._metadata = module.state_dict()._metadata
                module.load_state_dict(state, strict=True)
                result["strict"] = True
            except RuntimeError as error:
                result["strict"] = False
                problem("strict: " + " ".join(str(error).split())[:300])
        if about["weights"] and form != "unfolded":
            logits, error = tools.run(path, expected["input"], out)
            target = expected["output"]
        elif result.get("strict"):
            logits, error = tools.run(filled / f"{form}.onnx", expected["input"], out)
            with torch.no_grad():
                target = module(torch.from_numpy(expected["input"])).numpy()
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
        row |= {key: holds(key) if tried(key) else None for key in ("strict", "run")}
        names = {"family": entry["family"], "network": entry["network"], "exports": len(forms)}
        rows.append(names | row | {"gap": gap(forms)})
    return rows


CHECKS = {
    "read": "read",
    "shapes": "shapes",
    "filled": "filled",
    "strict": "loads strictly",
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


def put_into(path, table):
    """Replaces what stands between the two marks."""
    start, end = "<!-- exports -->\n", "\n<!-- /exports -->"
    before, rest = path.read_text().split(start)
    path.write_text(before + start + table + end + rest.split(end)[1])


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
        put_into(arguments.page, markdown(rows))
    if arguments.fixtures:
        arguments.fixtures.mkdir(parents=True, exist_ok=True)
        for network, form in FIXTURES:
            name = f"{network}.{form}.onnx"
            bare(root / network / f"{form}.onnx", arguments.fixtures / name)
    return int(any(form["problems"] for entry in results for form in entry["forms"].values()))


if __name__ == "__main__":
    sys.exit(main())
