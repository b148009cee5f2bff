"""Fills the networks of torchvision and timm through the Python package, as a user does.

    pip install ./python torch torchvision timm onnx onnxscript onnxruntime
    python tests/python/check_fill.py [--only NAME,..]

Checked are: the module takes all tensors, strictly; its outputs and those of the exported file in ONNX Runtime are
equal within 1e-4 of the largest; the file has the bytes that the program writes with the same seed. Networks that
torch cannot export or whose file does not name all tensors are listed and count as failures. Exits with 1 if there
are any.
"""

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import weightsmith
from weightsmith._modules import exported, load_

from networks import NETWORKS

TOLERANCE = 1e-4
SEED = 5


def check(build, size):
    """What is wrong with a network that was filled; nothing if all is well."""
    torch.manual_seed(0)
    module = build().eval()
    images = torch.randn(4, 3, size, size)
    with exported(module, images[:1]) as path, tempfile.TemporaryDirectory() as folder:
        filled = weightsmith.predict(path, seed=SEED)
        load_(module, filled)
        command = [sys.executable, "-m", "weightsmith", "predict", path, "--out", folder]
        subprocess.run([*command, "--seed", str(SEED), "-q"], check=False, capture_output=True)
        onnx = filled.onnx_bytes()
        if Path(folder, Path(path).name).read_bytes() != onnx:
            return "other bytes than the program's"
    session = onnxruntime.InferenceSession(onnx)
    name = session.get_inputs()[0].name
    with torch.no_grad():
        ours = np.stack([module(image[None])[0].numpy() for image in images])
    theirs = np.stack([session.run(None, {name: image[None].numpy()})[0][0] for image in images])
    difference = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-6)
    return None if difference <= TOLERANCE else f"outputs differ by {difference:.1e}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    only = [name for name in parser.parse_args().only.split(",") if name]
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(3)
    chosen = [row for row in NETWORKS if not only or row[1] in only]
    failures = 0
    for _, name, build, size in chosen:
        try:
            problem = check(build, size)
        except weightsmith.WeightsmithError as error:
            problem = str(error)
        failures += problem is not None
        print(f"{name}: {problem or 'as it should be'}", flush=True)
    print(f"{len(chosen) - failures} of {len(chosen)} networks are as they should be")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
