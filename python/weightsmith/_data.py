"""Labelled images of any origin, as files that the native side reads."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

#: A path, a pair of images and labels, or anything that yields such pairs or rows of the Hub.
Data: TypeAlias = "str | os.PathLike[str] | tuple[Any, Any] | Iterable[Any]"


@contextlib.contextmanager
def data_path(data: Data, split: str = "train") -> Iterator[str]:
    """The path of a data set; images in memory become a file of one split that is gone afterwards."""
    if isinstance(data, (str, os.PathLike)):
        yield os.fspath(data)
        return
    images, labels = arrays(data)
    with tempfile.TemporaryDirectory(prefix="weightsmith-") as folder:
        path = Path(folder, f"{split}.npz")
        np.savez(path, images=images, labels=labels)
        yield str(path)


def arrays(data: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Images ``[count, height, width(, channels)]`` of 0 to 255, and labels.

    Takes a pair of arrays; a ``torch.utils.data.Dataset``, whose items are pairs; a ``DataLoader``,
    whose items are pairs of batches; or a Hugging Face ``Dataset`` with a column of images and one of
    labels.
    """
    if isinstance(data, tuple) and len(data) == 2:
        return _images(data[0]), _labels(data[1])
    if hasattr(data, "column_names") and hasattr(data, "features"):
        pairs = _columns(data)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        pairs = (data[index] for index in range(len(data)))
    else:
        pairs = iter(data)
    images, labels = [], []
    for image, label in pairs:
        if np.ndim(label) == 0:
            images.append(_images([image])[0])
            labels.append(int(label))
        else:
            images.extend(_images(image))
            labels.extend(_labels(label).tolist())
    if not images:
        raise ValueError("the data set has no images")
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ValueError(
            f"images have {len(shapes)} shapes, such as {sorted(shapes)[:2]}; resize them to one, or "
            "give a folder of files"
        )
    return np.stack(images), np.asarray(labels)


def _columns(rows: Any) -> Iterator[tuple[Any, Any]]:
    """Images and labels of a Hugging Face data set."""
    def named(*names: str) -> str:
        for name in names:
            if name in rows.column_names:
                return name
        raise ValueError(f"no column is called {' or '.join(names)}; there are {rows.column_names}")

    image, label = named("image", "img"), named("label", "labels", "fine_label")
    return ((row[image], row[label]) for row in rows)


def _labels(labels: Any) -> np.ndarray[Any, Any]:
    vector: np.ndarray[Any, Any] = np.asarray(labels)
    if vector.ndim != 1 or not np.issubdtype(vector.dtype, np.integer):
        raise ValueError(
            f"labels must be a vector of integers, not {vector.dtype} of shape {vector.shape}"
        )
    return vector


def _images(images: Any) -> np.ndarray[Any, Any]:
    """Bytes, channels last; floats must be pixels from 0 to 1."""
    if isinstance(images, list):
        images = [np.asarray(image) for image in images]
    pixels: np.ndarray[Any, Any] = np.asarray(images)
    if pixels.ndim not in (3, 4):
        raise ValueError(f"images must have 3 or 4 dimensions, not shape {pixels.shape}")
    if pixels.ndim == 4 and pixels.shape[1] in (1, 3) and pixels.shape[3] not in (1, 3):
        pixels = pixels.transpose(0, 2, 3, 1)
    if pixels.dtype.kind == "f":
        low, high = float(pixels.min(initial=0.0)), float(pixels.max(initial=0.0))
        if not (low >= 0.0 and high <= 1.0):
            raise ValueError(
                f"floating-point images must be pixels from 0 to 1, not {low:.3g} to {high:.3g}: "
                "leave the normalisation out, weightsmith does it"
            )
        pixels = np.rint(pixels * 255.0)
    elif pixels.dtype == np.bool_:
        pixels = pixels * 255
    elif pixels.size and (pixels.min() < 0 or pixels.max() > 255):
        raise ValueError("integer images must be pixels from 0 to 255")
    return pixels.astype(np.uint8)
