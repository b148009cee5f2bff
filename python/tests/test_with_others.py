"""The package beside the libraries that its users have: Lightning, Hugging Face data sets, Keras, Ray. A test whose library
is missing is skipped and says so."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weightsmith

ROOT = Path(__file__).resolve().parents[2]
NAMED = ROOT / "architectures" / "named"


@pytest.fixture(scope="module")
def images():
    """Thirty pictures of two kinds, dark and bright, with noise; and their labels."""
    labels = np.arange(30) % 2
    noise = np.random.default_rng(0).normal(0, 20, (30, 32, 32, 3))
    return (80 + 90 * labels[:, None, None, None] + noise).clip(0, 255).astype(np.uint8), labels


def two_classes():
    """A small module with two outputs."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(16, 2),
    )


def test_lightning_trains_from_predicted_weights(images, tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")
    torch = pytest.importorskip("torch")
    from weightsmith.lightning import InitFromPrediction

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = two_classes()

        def on_train_start(self):
            self.start = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

        def training_step(self, batch, index):
            return torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.network.parameters(), lr=1e-4)

    pixels, labels = images
    scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255.0
    batches = torch.utils.data.DataLoader(list(zip(scaled, torch.from_numpy(labels), strict=True)), 10)
    callback = InitFromPrediction(torch.zeros(1, 3, 32, 32), data=images, attribute="network")
    trainer = lightning.Trainer(
        max_steps=1, callbacks=[callback], accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, default_root_dir=tmp_path,
    )
    module = Classifier()
    trainer.fit(module, batches)
    written = two_classes()
    weightsmith.fill_(written, torch.zeros(1, 3, 32, 32), images)
    assert all(torch.equal(module.start[name], tensor) for name, tensor in written.state_dict().items())


def test_rows_of_the_hub_are_labelled_images(images):
    datasets = pytest.importorskip("datasets")
    torch = pytest.importorskip("torch")
    pillow = pytest.importorskip("PIL.Image")
    pixels, labels = images
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["dark", "bright"])})
    columns = {"image": [pillow.fromarray(image) for image in pixels], "label": labels.tolist()}
    rows = datasets.Dataset.from_dict(columns, features=features)
    filled = two_classes(), two_classes()
    for module, data in zip(filled, (rows, images), strict=True):
        weightsmith.fill_(module, torch.zeros(1, 3, 32, 32), data)
    state, same = (module.state_dict() for module in filled)
    assert all(torch.equal(state[name], tensor) for name, tensor in same.items())


def test_ray_ranks_on_two_workers(tmp_path):
    pytest.importorskip("ray")
    graphs = tmp_path / "graphs"
    graphs.mkdir()
    for name in ("plain-cnn", "resnet-20", "squeezenet-1.1"):
        (graphs / f"{name}.onnx").symlink_to(NAMED / f"{name}.onnx")
    script = ROOT / "examples" / "schedulers" / "rank_ray.py"
    command = [sys.executable, script, graphs, tmp_path / "cache", "--shards", "2"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "RAY_DEDUP_LOGS": "0"}
    spread = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    alone = [sys.executable, "-m", "weightsmith", "rank", graphs, "--cache", tmp_path / "other"]
    alone = subprocess.run(alone, check=True, capture_output=True, text=True).stdout
    assert spread == alone and "plain-cnn" in spread


def test_a_keras_model_is_filled_by_its_export(images, tmp_path):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    model = keras.Sequential([
        keras.layers.Input((32, 32, 3)), keras.layers.Conv2D(16, 3, 2, "same", use_bias=False),
        keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2),
    ])
    model(np.zeros((1, 32, 32, 3), np.float32))
    exported = tmp_path / "model.onnx"
    model.export(exported, format="onnx", verbose=False)
    filled = weightsmith.predict(exported, data=images)
    assert filled.complete
    assert weightsmith.evaluate(filled, images)["top1"] > 0.9
