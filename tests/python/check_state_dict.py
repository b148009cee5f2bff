"""Loads predicted weights into PyTorch modules and compares them with the filled ONNX files.

    pip install torch onnxruntime safetensors numpy
    cargo build --release
    python tests/python/check_state_dict.py target/release/weightsmith

Exits with 1 if a state dict does not load strictly or the logits differ.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors.torch import load_file
from torch import nn

NAMED = Path(__file__).resolve().parents[2] / "architectures" / "named"


class PlainCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 5, 2, 2)
        self.conv2 = nn.Conv2d(32, 64, 3, 2, 1)
        self.conv3 = nn.Conv2d(64, 128, 3, 1, 1)
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = conv(x).relu()
        return self.fc(x.mean((2, 3)))


class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Identity()
        if stride > 1:
            shortcut = nn.Conv2d(channels, width, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(y)) + self.downsample(x)).relu()


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = 16
        for layer, width in enumerate([16, 32, 64], 1):
            blocks = []
            for block in range(3):
                blocks.append(Block(channels, width, 2 if layer > 1 and block == 0 else 1))
                channels = width
            setattr(self, f"layer{layer}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.heads = heads

    def forward(self, x):
        batch, tokens, width = x.shape
        part = lambda layer: layer(x).view(batch, tokens, self.heads, -1).transpose(1, 2)
        y = nn.functional.scaled_dot_product_attention(*map(part, (self.query, self.key, self.value)))
        return self.output(y.transpose(1, 2).reshape(batch, tokens, width))


class FeedForward(nn.Module):
    def __init__(self, width, wide):
        super().__init__()
        self.fc1 = nn.Linear(width, wide)
        self.fc2 = nn.Linear(wide, width)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class VitBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = FeedForward(width, 4 * width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VitTiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 64, 4, 4)
        self.pos_embed = nn.Parameter(torch.zeros(1, 64, 64))
        self.blocks = nn.Sequential(*(VitBlock(64, 4) for _ in range(4)))
        self.norm = nn.LayerNorm(64, eps=1e-6)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        return self.head(self.norm(self.blocks(x)).mean(1))


def main(binary):
    images = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    failed = False
    for name, module in [("plain-cnn", PlainCnn), ("resnet-20", ResNet20), ("vit-tiny", VitTiny)]:
        with tempfile.TemporaryDirectory() as out:
            model = NAMED / f"{name}.onnx"
            command = [binary, "predict", model, "--out", out, "-q", "--json"]
            subprocess.run(command, check=True, capture_output=True)
            network = module().eval()
            network.load_state_dict(load_file(f"{out}/{name}.safetensors"), strict=True)
            with torch.no_grad():
                ours = network(torch.from_numpy(images)).numpy()
            session = onnxruntime.InferenceSession(f"{out}/{name}.onnx", quiet)
            theirs = session.run(None, {"input": images})[0]
            difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
            print(f"{name:12} loads strictly; logits differ by {difference:.1e} of the largest")
            failed |= difference > 1e-4
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
