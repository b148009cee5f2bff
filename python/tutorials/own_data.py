"""Your own classes in five minutes: python own_data.py [FOLDER]"""

# %% Images of three kinds. Yours are a folder with an image folder for each class.
import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
KINDS = ["slopes", "rings", "stripes"]


def pictures(count, seed):
    """Pixels `[count, 32, 32, 3]` and labels; phases, colours and noise differ."""
    random = np.random.default_rng(seed)
    row, column = np.mgrid[0:32, 0:32] / 8.0
    labels = np.arange(count) % 3
    made = []
    for label in labels:
        x, y = random.uniform(1, 3, 2)
        kind = [row + column, np.hypot(row - y, column - x) * 3, np.sin(column * 4 + x) * 2][label]
        wave = np.sin(kind * random.uniform(0.7, 1.4) + random.uniform(0, 6))
        made.append(128 + 60 * wave[..., None] * random.uniform(0.3, 1, 3) + random.normal(0, 30, (32, 32, 3)))
    return np.stack(made).clip(0, 255).astype(np.uint8), labels


images, labels = pictures(60, seed=0)
test_images, test_labels = pictures(300, seed=1)

# %% A network. Nobody has trained it.
import torch
from torch import nn

import weightsmith


def block(inputs, outputs, stride):
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


torch.manual_seed(0)
network = nn.Sequential(
    *block(3, 32, 1), *block(32, 64, 2), *block(64, 128, 2),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, len(KINDS)),
)

# %% Its weights, for these images: seconds.
report = weightsmith.fill_(network, torch.zeros(1, 3, 32, 32), data=(images, labels))
print(report)

# %% What it says of images it has not seen. They are normalised as the report says.
normalisation = report["provenance"]["normalisation"]


def read(pixels):
    mean, std = (torch.tensor(normalisation[key]).view(-1, 1, 1) for key in ("mean", "std"))
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std


@torch.no_grad()
def guesses(network):
    return network.eval()(read(test_images)).argmax(1).numpy()


predicted = guesses(network)
print(f"right without a gradient step in PyTorch: {(predicted == test_labels).mean():.1%}")

figure, axes = plt.subplots(2, 6, figsize=(9, 3.4))
for axis, image, guess in zip(axes.flat, test_images, predicted):
    axis.imshow(image)
    axis.set_title(KINDS[guess], fontsize=9)
    axis.axis("off")
figure.tight_layout()
figure.savefig(folder / "own_data.png", dpi=120)

# %% From here on it is an ordinary module: train on.
optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
network.train()
for _ in range(20):
    optimiser.zero_grad()
    nn.functional.cross_entropy(network(read(images)), torch.from_numpy(labels)).backward()
    optimiser.step()
print(f"after 20 steps: {(guesses(network) == test_labels).mean():.1%}")
