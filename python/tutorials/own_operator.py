"""An operator of your own: python own_operator.py [FOLDER]"""

# %% A layer that no library has, as PyTorch's operator `mine::tanh_conv`. A kernel of yours would stand here.
import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import nn

import weightsmith

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


@torch.library.custom_op("mine::tanh_conv", mutates_args=())
def tanh_conv(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return scale * torch.tanh(nn.functional.conv2d(x, weight, padding=1))


@tanh_conv.register_fake
def shape_of_tanh_conv(x, weight, scale):
    return x.new_empty(x.shape[0], weight.shape[0], *x.shape[2:])


class TanhConv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, 3, 3))
        self.scale = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x):
        return tanh_conv(x, self.weight, self.scale)


network = nn.Sequential(
    TanhConv(3, 32), nn.MaxPool2d(2), TanhConv(32, 64), nn.MaxPool2d(2), TanhConv(64, 128),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 3),
)

# %% What it computes, in operators of ONNX: weightsmith sees the convolution, and knows what its weights are for.
from onnxscript import opset18 as onnx


def onnx_tanh_conv(x, weight, scale):
    return onnx.Mul(scale, onnx.Tanh(onnx.Conv(x, weight, pads=[1, 1, 1, 1])))


path = folder / "own_operator.onnx"
torch.onnx.export(
    network.eval(), (torch.zeros(1, 3, 32, 32),), path, dynamo=True, optimize=False, verbose=False,
    keep_initializers_as_inputs=True, custom_translation_table={torch.ops.mine.tanh_conv.default: onnx_tanh_conv},
)


# %% Images of three kinds, and the weights for them.
KINDS = ["rising", "falling", "upright"]


def pictures(count, seed):
    random = np.random.default_rng(seed)
    row, column = np.mgrid[0:32, 0:32] / 8.0
    labels = np.arange(count) % 3
    kinds = [row + column, row - column, column * 2]
    waves = [np.sin(kinds[label] * random.uniform(1.4, 2) + random.uniform(0, 6)) for label in labels]
    pixels = 128 + 90 * np.stack(waves)[..., None] + random.normal(0, 30, (count, 32, 32, 3))
    return pixels.clip(0, 255).astype(np.uint8), labels


filled = weightsmith.predict(path, data=pictures(60, seed=0))
print(filled.report)
state = {name: torch.from_numpy(values) for name, values in filled.state_dict().items()}
network.load_state_dict(state, strict=True)

# %% What the operator of yours says with them of other images.
images, labels = pictures(300, seed=1)
normalisation = filled.report["provenance"]["normalisation"]
mean, std = (torch.tensor(normalisation[key]).view(-1, 1, 1) for key in ("mean", "std"))
with torch.no_grad():
    guesses = network((torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std).argmax(1).numpy()
print(f"right: {(guesses == labels).mean():.1%}")

figure, axes = plt.subplots(2, 6, figsize=(9, 3.4))
for axis, image, guess in zip(axes.flat, images, guesses):
    axis.imshow(image)
    axis.set_title(KINDS[guess], fontsize=9)
    axis.axis("off")
figure.tight_layout()
figure.savefig(folder / "own_operator.png", dpi=120)
