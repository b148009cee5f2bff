"""Parents for `weightsmith merge`, trained by PyTorch on a GPU, and their ONNX files.

    merge_parents.py train IMAGES.npz OUT --seconds 400     two networks of each kind, at float16, as OUT/<kind>-<seed>.pt
    merge_parents.py export FOLDER                          FOLDER/<kind>-<seed>.onnx beside them

Kinds are those of Git Re-Basin and REPAIR: ResNet-20, one of four times its width, VGG-11 without norms. SGD with momentum,
crops and mirroring, one triangle of the learning rate that is as long as the time allows. IMAGES.npz has `x` (uint8, n x 32
x 32 x 3) and `y`.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from crops import crops

PAD = 4
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Block(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if before != width:
            self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


def resnet20(factor):
    widths = [16 * factor, 32 * factor, 64 * factor]
    stem = [nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    blocks, before = [], widths[0]
    for stage, width in enumerate(widths):
        for block in range(3):
            blocks.append(Block(before, width, 2 if stage > 0 and block == 0 else 1))
            before = width
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


def vgg11():
    layers, before = [], 3
    for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool"):
        if width == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


# How each kind is made, its largest learning rate, and its share of the time.
KINDS = {
    "resnet20": (lambda: resnet20(1), 0.5, 0.2),
    "resnet20x4": (lambda: resnet20(4), 0.5, 0.55),
    "vgg11": (vgg11, 0.04, 0.25),
}


def made(kind, seed):
    torch.manual_seed(seed)
    module = KINDS[kind][0]()
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
    return module


def augmented(images, generator):
    """Crops of padded images, half of them mirrored: n x 3 x 40 x 40 to n x 3 x 32 x 32."""
    count = len(images)
    shift = torch.randint(2 * PAD + 1, (count, 2), device="cuda", generator=generator)
    mirror = torch.randint(2, (count,), device="cuda", generator=generator).bool()
    return crops(images, torch.arange(count, device="cuda"), shift, mirror, 32)


def scaled(x):
    mean, std = (torch.tensor(it, device="cuda").view(1, 3, 1, 1) for it in (MEAN, STD))
    return ((x.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def train(arguments):
    torch.backends.cudnn.benchmark = True
    held = np.load(arguments.images)
    x = torch.from_numpy(held["x"]).permute(0, 3, 1, 2).cuda()
    y = torch.from_numpy(held["y"].astype(np.int64)).cuda()
    held_out, labels = x[-2000:], y[-2000:]
    x, y = F.pad(x[:-2000], (PAD,) * 4), y[:-2000]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for kind in arguments.kinds.split(","):
        _, rate, share = KINDS[kind]
        for seed in (1, 2):
            module = made(kind, seed).cuda().to(memory_format=torch.channels_last)
            optimiser = torch.optim.SGD(module.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
            generator = torch.Generator(device="cuda").manual_seed(seed)
            seconds, started, done, steps = arguments.seconds * share / 2, time.time(), 0.0, 0
            while done < 1:
                order = torch.randperm(len(x), device="cuda", generator=generator)
                for chosen in order.split(arguments.batch)[:-1]:
                    done = min((time.time() - started) / seconds, 1)
                    for group in optimiser.param_groups:
                        group["lr"] = rate * max(min(done / 0.15, (1 - done) / 0.85), 1e-3)
                    with torch.autocast("cuda", torch.bfloat16):
                        logits = module(scaled(augmented(x[chosen], generator)))
                    loss = F.cross_entropy(logits.float(), y[chosen])
                    optimiser.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(module.parameters(), 5.0)
                    optimiser.step()
                    steps += 1
                    # Keeps the clock honest: without it, steps would be queued and not done.
                    if steps % 8 == 0:
                        loss.item()
                    if done >= 1:
                        break
            module.eval()
            with torch.no_grad():
                right = sum((module(scaled(a)).argmax(1) == b).sum().item()
                            for a, b in zip(held_out.split(500), labels.split(500), strict=True))
            print(f"{kind}-{seed}: {steps * arguments.batch / len(x):.1f} epochs, {right / len(labels):.4f}", flush=True)
            state = {name: value.half().cpu() for name, value in module.state_dict().items()
                     if not name.endswith("num_batches_tracked")}
            torch.save(state, arguments.out / f"{kind}-{seed}.pt")


def export(arguments):
    for path in sorted(arguments.folder.glob("*.pt")):
        module = made(path.stem.rsplit("-", 1)[0], 0)
        state = {name: value.float() for name, value in torch.load(path).items()}
        module.load_state_dict(state, strict=False)
        torch.onnx.export(module.eval(), (torch.zeros(1, 3, 32, 32),), path.with_suffix(".onnx"), dynamo=True,
                          optimize=False, verbose=False, external_data=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(required=True)
    way = ways.add_parser("train")
    way.add_argument("images", type=Path)
    way.add_argument("out", type=Path)
    way.add_argument("--seconds", type=float, default=400)
    way.add_argument("--batch", type=int, default=500)
    way.add_argument("--kinds", default=",".join(KINDS))
    way.set_defaults(run=train)
    way = ways.add_parser("export")
    way.add_argument("folder", type=Path)
    way.set_defaults(run=export)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
