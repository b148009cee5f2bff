"""Ranks a space of networks without training one: python rank_space.py [FOLDER]"""

# %% A space: depths and widths of a plain network, as ONNX files.
import itertools
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import nn

import weightsmith

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def network(depth, width, kernel):
    layers, inputs = [], 3
    for stage in range(3):
        for layer in range(depth):
            outputs, stride = width << stage, 2 if layer == 0 and stage else 1
            layers += [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10)).eval()


space = list(itertools.product([1, 2, 3], [8, 16, 24], [1, 3]))
files = Path(tempfile.mkdtemp())
for depth, width, kernel in space:
    path = files / f"depth{depth}-width{width}-kernel{kernel}.onnx"
    torch.onnx.export(network(depth, width, kernel), (torch.zeros(1, 3, 32, 32),), path, dynamo=True, verbose=False)

# %% The ranking: rows for pandas.DataFrame, best first.
rows = weightsmith.rank([files])
for row in rows[:5]:
    print(row["rank"], Path(row["file"]).stem, f"{row['flops'] / 1e6:.1f} M multiply-accumulates")

# %% Scores by cost, with the networks that no cheaper one beats.
rows.sort(key=lambda row: row["flops"])
best, front = len(rows) + 1, []
for row in rows:
    if row["rank"] < best:
        best = row["rank"]
        front.append(row)
figure, axis = plt.subplots(figsize=(7, 4.5))
axis.scatter([row["flops"] for row in rows], [row["score"] for row in rows])
axis.plot([row["flops"] for row in front], [row["score"] for row in front], color="tab:red")
for row in front:
    axis.annotate(row["rank"], (row["flops"], row["score"]), textcoords="offset points", xytext=(4, -10))
axis.set(xscale="log", xlabel="multiply-accumulates", ylabel="score")
figure.tight_layout()
figure.savefig(folder / "rank_space.png", dpi=120)
