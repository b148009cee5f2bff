"""Compares the named networks with the PyTorch implementations that they are named after.

    pip install torch torchvision timm onnxruntime numpy
    python tests/python/check_named.py

Every module is given random weights, which are fed to the ONNX file under the module's own parameter
names: both must know the same names and shapes, and compute the same logits. Modules of torchvision and
timm are used as they are but for strides and pads, which architectures/README.md lists; others
are spelled out here. Exits with 1 if one differs.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch
import torchvision
from timm.models.mlp_mixer import MlpMixer
from torch import nn

NAMED = Path(__file__).resolve().parents[2] / "architectures" / "named"


def conv(channels, width, kernel=3, stride=1):
    return nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)


def strided(module, stride, *paths):
    """The module with other strides at some of its convolutions."""
    for path in paths:
        module.get_submodule(path).stride = (stride, stride)
    return module


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        for layer in (self.conv1, self.conv2):
            x = nn.functional.avg_pool2d(layer(x).tanh(), 2)
        return self.fc3(self.fc2(self.fc1(x.flatten(1)).tanh()).tanh())


def vgg11():
    network = torchvision.models.vgg11(num_classes=10)
    network.avgpool, network.classifier = nn.Identity(), nn.Linear(512, 10)
    return network


def resnet18():
    network = torchvision.models.resnet18(num_classes=10)
    network.conv1, network.maxpool = conv(3, 64), nn.Identity()
    return network


class BasicBlock(torchvision.models.resnet.BasicBlock):
    def __init__(self, channels, width, stride):
        shortcut = None
        if stride > 1:
            shortcut = nn.Sequential(conv(channels, width, 1, stride), nn.BatchNorm2d(width))
        super().__init__(channels, width, stride, shortcut)


class ResNet(nn.Module):
    """ResNet of CIFAR-10 with shortcuts of option B."""

    def __init__(self, blocks):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 16), nn.BatchNorm2d(16)
        channels = 16
        for layer, width in enumerate([16, 32, 64], 1):
            rows = [BasicBlock(channels, width, 1 if layer == 1 else 2)]
            rows += [BasicBlock(width, width, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{layer}", nn.Sequential(*rows))
            channels = width
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class WideBlock(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(channels), conv(channels, width, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), conv(width, width)
        self.convShortcut = None if channels == width else conv(channels, width, 1, stride)

    def forward(self, x):
        y = self.bn1(x).relu()
        shortcut = x if self.convShortcut is None else self.convShortcut(y)
        return shortcut + self.conv2(self.bn2(self.conv1(y)).relu())


class Group(nn.Module):
    """Modules in a row, under the name that published code gives them."""

    def __init__(self, *modules):
        super().__init__()
        self.layer = nn.Sequential(*modules)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv(3, 16)
        self.block1 = Group(WideBlock(16, 64, 1), WideBlock(64, 64, 1))
        self.block2 = Group(WideBlock(64, 128, 2), WideBlock(128, 128, 1))
        self.block3 = Group(WideBlock(128, 256, 2), WideBlock(256, 256, 1))
        self.bn1, self.fc = nn.BatchNorm2d(256), nn.Linear(256, 10)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(self.bn1(x).relu().mean((2, 3)))


class Early(nn.Module):
    def __init__(self, channels, width, kernel):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(channels), conv(channels, width, kernel)

    def forward(self, x):
        return self.conv1(self.bn1(x).relu())


class DenseLayer(Early):
    def forward(self, x):
        return torch.cat([x, super().forward(x)], 1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv(3, 16)
        for block, width in enumerate([16, 160, 304], 1):
            layers = [DenseLayer(width + 12 * layer, 12, 3) for layer in range(12)]
            setattr(self, f"block{block}", Group(*layers))
        self.trans1, self.trans2 = Early(160, 160, 1), Early(304, 304, 1)
        self.bn1, self.fc = nn.BatchNorm2d(448), nn.Linear(448, 10)

    def forward(self, x):
        x = self.block1(self.conv1(x))
        x = self.block2(nn.functional.avg_pool2d(self.trans1(x), 2))
        x = self.block3(nn.functional.avg_pool2d(self.trans2(x), 2))
        return self.fc(self.bn1(x).relu().mean((2, 3)))


def squeezenet():
    network = torchvision.models.squeezenet1_1(num_classes=10)
    network.features[0].padding = (1, 1)
    for index in (2, 5, 8):
        network.features[index] = nn.MaxPool2d(3, 2, 1)
    return strided(network, 1, "features.0")


def shufflenet():
    network = torchvision.models.shufflenet_v2_x1_0(num_classes=10)
    network.maxpool = nn.Identity()
    return strided(network, 1, "conv1.0")


def convnext():
    network = timm.create_model("convnext_atto", num_classes=10)
    network.stem[0].padding = (1, 1)
    return strided(network, 2, "stem.0")


class ReluConvNorm(nn.Module):
    def __init__(self, channels, width, kernel, stride=1):
        super().__init__()
        layers = conv(channels, width, kernel, stride), nn.BatchNorm2d(width)
        self.op = nn.Sequential(nn.ReLU(), *layers)

    def forward(self, x):
        return self.op(x)


class Cell(nn.Module):
    """|3x3~0| + |3x3~0|3x3~1| + |skip~0|3x3~1|1x1~2|"""

    def __init__(self, width):
        super().__init__()
        kernels = [3, 3, 3, None, 3, 1]
        layers = [ReluConvNorm(width, width, it) if it else nn.Identity() for it in kernels]
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        a, b, c, d, e, f = self.layers
        first = a(x)
        second = b(x) + c(first)
        return d(x) + e(first) + f(second)


class Reduction(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.conv_a = ReluConvNorm(channels, width, 3, 2)
        self.conv_b = ReluConvNorm(width, width, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2), conv(channels, width, 1))

    def forward(self, x):
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class NasBench201(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16), nn.BatchNorm2d(16))
        cells = [[Cell(width) for _ in range(5)] for width in (16, 32, 64)]
        cells = [*cells[0], Reduction(16, 32), *cells[1], Reduction(32, 64), *cells[2]]
        self.cells = nn.Sequential(*cells)
        self.lastact = nn.Sequential(nn.BatchNorm2d(64), nn.ReLU())
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        return self.classifier(self.lastact(self.cells(self.stem(x))).mean((2, 3)))


MODULES = {
    "lenet-5": LeNet5,
    "vgg-11": vgg11,
    "resnet-20": lambda: ResNet(3),
    "resnet-32": lambda: ResNet(5),
    "resnet-56": lambda: ResNet(9),
    "resnet-18": resnet18,
    "wrn-16-4": WideResNet,
    "regnetx-200mf": lambda: strided(
        timm.create_model("regnetx_002", num_classes=10),
        *(1, "stem.conv", "s1.b1.conv2.conv", "s1.b1.downsample.conv"),
    ),
    "densenet-40": DenseNet,
    "squeezenet-1.1": squeezenet,
    "mobilenet-v2": lambda: strided(
        torchvision.models.mobilenet_v2(num_classes=10),
        *(1, "features.0.0", "features.2.conv.1.0"),
    ),
    "efficientnet-lite0": lambda: strided(
        timm.create_model("efficientnet_lite0", num_classes=10),
        *(1, "conv_stem", "blocks.1.0.conv_dw"),
    ),
    "shufflenet-v2": shufflenet,
    "convnext-atto": convnext,
    "mixer-tiny": lambda: MlpMixer(
        *(10, 32), patch_size=4, embed_dim=128, num_blocks=4, mlp_ratio=(0.5, 4.0)
    ),
    "nas-bench-201-best": NasBench201,
}


def randomized(module):
    """The module with nothing left at a value that hides mistakes, in inference mode."""
    for name, tensor in module.state_dict().items():
        if tensor.dim() == 1:
            is_scale = name.endswith(("weight", "gamma", "running_var"))
            tensor.uniform_(0.5, 1.5) if is_scale else tensor.normal_(0, 0.1)
        elif tensor.dim() and not tensor.any():
            tensor.normal_(0, 0.1)
    return module.eval()


def main():
    torch.manual_seed(0)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    failed = False
    for name, module in MODULES.items():
        network = randomized(module())
        weights = network.state_dict()
        values = {key: it.numpy() for key, it in weights.items() if "num_batches" not in key}
        session = onnxruntime.InferenceSession(NAMED / f"{name}.onnx", quiet)
        image, *inputs = session.get_inputs()
        shapes = {it.name: tuple(it.shape) for it in inputs}
        if shapes != {key: it.shape for key, it in values.items()}:
            print(f"{name:20} has other parameters: {sorted(shapes.keys() ^ values.keys())}")
            failed = True
            continue
        images = torch.randn(2, *image.shape[1:])
        with torch.no_grad():
            theirs = network(images).numpy()
        ours = session.run(None, values | {image.name: images.numpy()})[0]
        difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
        print(f"{name:20} equal names; logits differ by {difference:.1e} of the largest")
        failed |= not difference < 1e-4
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
