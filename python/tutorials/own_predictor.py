"""Trains a small predictor for a minute and judges it: python own_predictor.py [FOLDER] [STEPS]"""

# %% Images of ten kinds: stripes in ten directions, as an array file. The program reads it by its path.
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
work = Path(tempfile.mkdtemp())


def stripes(count, seed):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    row, column = np.mgrid[0:16, 0:16]
    angle, width, phase = np.pi * labels / 10, random.uniform(0.6, 1.2, count), random.uniform(0, 6, count)
    along = np.sin(angle)[:, None, None] * column + np.cos(angle)[:, None, None] * row
    wave = np.sin(along * width[:, None, None] + phase[:, None, None])
    return (127.5 + 120 * wave).astype(np.uint8)[..., None], labels


train, test = stripes(4000, 0), stripes(500, 1)
data = work / "stripes.npz"
np.savez(data, x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1])

# %% A recipe. Steps are few here; the cards of our predictors say what hours bring.
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
(work / "recipe.toml").write_text(f"""
name = "stripes"
space = "tiny"
data = "{data}"
out = "{work / 'run'}"
meta_batch = 4
batch = 32
graphs = 256
augmentation = "none"
validate_every = {max(steps // 3, 1)}

[network]
trunk = 96
hidden = 64
calibration = 16

[network.encoder]
width = 32
heads = 2
layers = 1

[optimiser]
learning_rate = 2e-3
warmup = 10

[[stages]]
steps = {steps}
size = 16
statistics = "calibration"
""")
weightsmith = [sys.executable, "-m", "weightsmith"]
subprocess.run([*weightsmith, "train", str(work / "recipe.toml"), "-q"], check=True)

# %% How good it became, on graphs that it did not train on.
metrics = [json.loads(line) for line in (work / "run" / "metrics.jsonl").read_text().splitlines()]
curve = [(it["step"], it["exported"]) for it in metrics if it["event"] == "validation"]
print("validation:", curve)


def judged(weights):
    """Accuracy of predicted networks on test images and its 95 % interval, on graphs of test seeds."""
    command = [*weightsmith, "bench", "transfer", "--predictor", weights, "--like", predictor, "--space", "tiny"]
    answer = subprocess.run([*command, "--data", str(data), "--quick", "--json"], check=True, capture_output=True)
    return json.loads(answer.stdout)["splits"][0]["methods"][0]["top1"]


predictor = str(work / "run" / "predictor")
for name, weights in [("predicted", predictor), ("random", "he")]:
    top1 = judged(weights)
    print(f"{name} weights: {top1['mean']:.1%} ({top1['low']:.1%} to {top1['high']:.1%})")

figure, axis = plt.subplots(figsize=(6, 4))
axis.plot(*zip(*curve), marker="o", label="validation graphs")
axis.axhline(0.1, color="grey", linestyle="--", label="chance")
axis.set(xlabel="steps", ylabel="accuracy", ylim=(0, 1))
axis.legend()
figure.tight_layout()
figure.savefig(folder / "own_predictor.png", dpi=120)
