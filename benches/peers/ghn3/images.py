"""CIFAR-10 as a folder or tar archive of `train/<class>/<file>`, and batches of it."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

BORDER = 4


def files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the training images."""
    if path.is_dir():
        for file in sorted(path.glob("**/train/*/*")):
            yield file.as_posix(), file.read_bytes()
        return
    with tarfile.open(path) as archive:
        for entry in archive:
            if entry.isfile() and entry.name.split("/")[-3:-2] == ["train"]:
                yield entry.name, archive.extractfile(entry).read()


class Images:
    """Training images as bytes, without the last tenth of every class, which is held out."""

    def __init__(self, path: Path, classes: list[str]):
        found: dict[str, list[tuple[str, np.ndarray]]] = {name: [] for name in classes}
        for name, data in files(path):
            pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            found[name.split("/")[-2]].append((name, pixels))
        kept, labels = [], []
        for label, images in enumerate(found.values()):
            count = len(images) - len(images) // 10
            kept += [pixels for _, pixels in sorted(images, key=lambda image: image[0])[:count]]
            labels += [label] * count
        if not kept:
            raise SystemExit(f"{path}: no images in train/<class>/")
        self.pixels = torch.from_numpy(np.stack(kept)).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.tensor(labels)

    def some(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        picked = torch.randint(len(self.labels), (count,), generator=generator)
        return self.pixels[picked], self.labels[picked]


def augmented(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Every image moved by up to four pixels in front of black, and half of them mirrored."""
    count, channels, height, width = pixels.shape
    top, left = torch.randint(2 * BORDER + 1, (2, count, 1), generator=generator)
    rows = (top + torch.arange(height))[:, None, :, None]
    columns = (left + torch.arange(width))[:, None, None, :]
    which = torch.arange(count)[:, None, None, None]
    planes = torch.arange(channels)[None, :, None, None]
    moved = F.pad(pixels, [BORDER] * 4)[which, planes, rows, columns]
    mirrored = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, moved.flip(3), moved)


def normalised(pixels: torch.Tensor, card: dict) -> torch.Tensor:
    """What networks read, by the mean and deviation that graphs.json gives."""
    mean, deviation = (torch.tensor(card["input"][key]).view(-1, 1, 1) for key in ("mean", "std"))
    return (pixels / 255 - mean) / deviation
