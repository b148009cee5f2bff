"""Small networks of torchvision and timm, trained by PyTorch: torch_foreign.py OPTDIGITS OUT

`measure_records trace --foreign OUT` traces them: no predictor of ours had a part in them. Each takes 200 steps of AdamW at
32 images on the UCI digits, at 32 x 32 pixels, and is exported as torch.onnx.export does by default.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F

NAMES = ["lcnet_050", "mobilenetv2_035", "mobilenetv3_small_050", "mnasnet_small", "tinynet_e"]
STEPS, BATCH, SIDE = 200, 32, 32

digits, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
rows = np.loadtxt(digits / "optdigits.tra", delimiter=",", skiprows=1, dtype=np.float32)
images = torch.from_numpy(rows[:, :-1].reshape(-1, 1, 8, 8) / 8 - 1).expand(-1, 3, -1, -1)
labels = torch.from_numpy(rows[:, -1].astype(np.int64))
for name in NAMES:
    torch.manual_seed(0)
    module = timm.create_model(name, num_classes=10)
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3)
    for _ in range(STEPS):
        picked = torch.randint(len(labels), (BATCH,))
        loss = F.cross_entropy(module(F.interpolate(images[picked], size=SIDE)), labels[picked])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.zeros(1, 3, SIDE, SIDE),), out / f"{name}.onnx", dynamo=True,
                          verbose=False)
    print(f"{name}: loss {loss.item():.3f}")
