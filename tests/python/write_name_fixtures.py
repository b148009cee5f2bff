"""Writes the fresh TorchScript exports that tests/suite/names.rs reads.

    pip install torch onnx
    python tests/python/write_name_fixtures.py tests/fixtures/names

Each holds what the exporter leaves of the names of one kind of module.
"""

import sys
import warnings
from pathlib import Path

import torch
from torch import nn


class Attention(nn.Module):
    """Two matrices at one module path; without biases, nothing but shapes tells them apart."""

    def __init__(self, bias):
        super().__init__()
        self.a = nn.MultiheadAttention(8, 2, bias=bias, batch_first=True)

    def forward(self, x):
        return self.a(x, x, x, need_weights=False)[0]


class CrossAttention(nn.Module):
    """The packed matrix is sliced for query and key."""

    def __init__(self):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 3, 8))
        self.a = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.a(self.query, x, x, need_weights=False)[0]


class Recurrent(nn.Module):
    """Gates are sliced out of the parameters and joined in another order."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(8, 4, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]


class Image(nn.Module):
    """Slopes, gains and shifts that are reshaped to broadcast over an image."""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3)
        self.slope, self.one_slope = nn.PReLU(8), nn.PReLU()
        self.norm = nn.GroupNorm(2, 8)

    def forward(self, x):
        return self.one_slope(self.norm(self.slope(self.c(x))))


class Containers(nn.Module):
    """Names of nodes leave out the containers that are not called; any name may hold a hyphen."""

    def __init__(self):
        super().__init__()
        self.d = nn.ModuleDict({"in-proj": nn.Linear(8, 8), "out proj": nn.Linear(8, 4)})
        self.body = nn.Sequential(nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU()))
        self.scale = nn.Parameter(torch.randn(4))

    def forward(self, x):
        return self.body(self.d["out proj"](self.d["in-proj"](x))) * self.scale


def main(folder):
    warnings.filterwarnings("ignore")
    tokens, image = torch.zeros(1, 5, 8), torch.zeros(1, 3, 8, 8)
    networks = [
        ("attention", Attention(bias=True), tokens, True),
        ("attention_without_bias", Attention(bias=False), tokens, True),
        ("cross_attention", CrossAttention(), tokens, False),
        ("gru", Recurrent(), tokens, False),
        ("image", Image(), image, True),
        ("image_unfolded", Image(), image, False),
        ("containers", Containers(), tokens, True),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for name, network, example, fold in networks:
        torch.onnx.export(
            network.eval(),
            (example,),
            folder / f"{name}.onnx",
            dynamo=False,
            opset_version=17,
            do_constant_folding=fold,
            input_names=["x"],
        )
        print(name, {key: list(value.shape) for key, value in network.state_dict().items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
