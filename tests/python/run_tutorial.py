"""Runs the section "Your own images" of the README as it stands, on generated images.

    pip install torch onnx onnxscript safetensors pillow
    cargo build --release
    python tests/python/run_tutorial.py target/release/weightsmith

Exits with 1 if a step fails, or if PyTorch classifies another share of the test images right than
`weightsmith evaluate` says, by more than 0.1 points.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = "Your own images"
CLASSES = ("rings", "slopes", "spots")
TRAINING, TEST = 40, 60


def blocks():
    """Language and text of the section's code blocks."""
    section = README.read_text().split(f"## {SECTION}\n")[1].split("\n## ")[0]
    return re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)


def draw(kind, random):
    """A noisy picture of a kind, 32 x 32 pixels."""
    row, column = np.mgrid[0:32, 0:32] - random.uniform(10, 22, (2, 1, 1))
    waves = {
        "rings": np.sin(np.hypot(row, column)),
        "slopes": np.sin(0.7 * (row + column)),
        "spots": np.sin(0.8 * row) * np.sin(0.8 * column),
    }
    light = 0.5 + 0.3 * waves[kind][..., None] * random.uniform(0.3, 1, 3)
    pixels = np.clip(light + random.normal(0, 0.45, (32, 32, 3)), 0, 1)
    return Image.fromarray((255 * pixels).astype(np.uint8))


def write_photos(folder):
    random = np.random.default_rng(0)
    for part, number in (("train", TRAINING), ("test", TEST)):
        for kind in CLASSES:
            place = folder / part / kind
            place.mkdir(parents=True)
            for index in range(number):
                draw(kind, random).save(place / f"{index}.png")


def share_right(model, report):
    """Of the test images, by the classes and the normalisation of the report."""
    mean, std = (
        torch.tensor(report["provenance"]["normalisation"][key]).view(1, -1, 1, 1)
        for key in ("mean", "std")
    )
    right = 0
    for label, kind in enumerate(report["classes"]):
        files = sorted(Path("photos/test", kind).iterdir())
        pixels = np.stack([np.asarray(Image.open(file)) for file in files])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            right += (model((images - mean) / std).argmax(1) == label).sum().item()
    return right / (TEST * len(report["classes"]))


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("bin").mkdir()
        shutil.copy(program, "bin/weightsmith")
        path = f"{Path('bin').resolve()}{os.pathsep}{os.environ['PATH']}"
        environment = {"XDG_RUNTIME_DIR": folder, **os.environ, "PATH": path}
        write_photos(Path("photos"))
        names = {}
        for language, text in blocks():
            if language == "python":
                exec(text, names)
            elif not text.startswith("pip "):
                subprocess.run(["sh", "-ec", text], check=True, env=environment)
        command = ["bin/weightsmith", "evaluate", "fitted/own.onnx", "--data", "photos", "--json"]
        said = subprocess.run(command, check=True, env=environment, capture_output=True)
        said = json.loads(said.stdout)
        ours = said["top1"]
        report = json.loads(Path("fitted/report.json").read_text())
        theirs = share_right(names["model"], report)
        os.chdir("/")
    print(f"top-1: weightsmith {100 * ours:.2f} %, PyTorch {100 * theirs:.2f} %")
    return 0 if abs(ours - theirs) <= 1e-3 and ours > 0.6 else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
