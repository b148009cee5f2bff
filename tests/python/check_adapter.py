"""Loads an adapter in PEFT: check_adapter.py WEIGHTSMITH DATA CLASSES

A torchvision ResNet-18 is filled for CIFAR-10, adapted at rank 4 by `weightsmith adapt`, and the adapter loaded
by PEFT onto the filled module. Its outputs are those of the merged file in ONNX Runtime, and of the file in which the
adapter is tensors of its own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torchvision
from peft import PeftModel
from safetensors.torch import load_file

program, data, classes = sys.argv[1], sys.argv[2], int(sys.argv[3])
work = Path(tempfile.mkdtemp())


def run(*arguments):
    subprocess.run([program, *map(str, arguments), "-q"], check=True)


module = torchvision.models.resnet18(num_classes=classes).eval()
image = torch.zeros(1, 3, 32, 32)
torch.onnx.export(module, (image,), work / "resnet18.onnx", dynamo=True, optimize=False,
                  keep_initializers_as_inputs=True, verbose=False)
run("predict", work / "resnet18.onnx", "--support", data, "--support-steps", 0, "--out", work / "filled")
run("adapt", work / "filled" / "resnet18.onnx", "--support", data, "--out", work / "adapted", "--epochs", 1)
module.load_state_dict(load_file(work / "filled" / "resnet18.safetensors"))
adapted = PeftModel.from_pretrained(module, work / "adapted").eval()
images = torch.randn(4, 3, 32, 32, generator=torch.manual_seed(0))
with torch.no_grad():
    own = adapted(images).numpy()
options = onnxruntime.SessionOptions()
options.log_severity_level = 3  # Weights that are listed as inputs, as the advised export has them.
for file in ("resnet18.onnx", "resnet18.adapter.onnx"):
    session = onnxruntime.InferenceSession(work / "adapted" / file, options)
    name = session.get_inputs()[0].name
    outputs = np.concatenate([session.run(None, {name: image[None].numpy()})[0] for image in images])
    distance = np.abs(own - outputs).max()
    print(f"{file}: largest distance {distance:.1e}, of outputs up to {np.abs(outputs).max():.1f}")
    assert distance < 1e-3 * max(1, np.abs(outputs).max())
