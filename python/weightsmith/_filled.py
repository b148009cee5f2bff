"""Filling an ONNX file in memory."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _native, _progress
from ._data import Data, data_path
from ._predictor import Predictor, source_of
from ._train import NodeEncoder

if TYPE_CHECKING:
    import torch

#: NumPy's and PyTorch's names of the types of safetensors; NumPy has no bfloat16.
TYPES = {
    "F64": ("<f8", "float64"),
    "F32": ("<f4", "float32"),
    "F16": ("<f2", "float16"),
    "BF16": (None, "bfloat16"),
    "I64": ("<i8", "int64"),
    "I32": ("<i4", "int32"),
    "BOOL": ("?", "bool"),
}


class IncompleteWarning(UserWarning):
    """Part of a network could not be written, or the network is of no use; the text says why."""


class Report(dict[str, Any]):
    """``report.json``: what was done to every tensor, and where it came from."""

    @property
    def classes(self) -> list[str] | None:
        """Names of the classes in the order of the outputs, where they are known."""
        classes: list[str] | None = self["classes"]
        return classes

    @property
    def problems(self) -> list[str]:
        """Why the network is not to be used as it is; nothing if it is complete."""
        findings = self["sanity_check"].get("findings", [])
        return [*self["unsupported"], *(json.dumps(finding) for finding in findings)]

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {label}" for label, count in self["parameters"].items() if count)
        return f"<Report: {counts}>"


class Filled:
    """A network with its weights."""

    def __init__(self, native: _native.Filled) -> None:
        self._native = native
        #: What was done to every tensor.
        self.report = Report(json.loads(native.report()))

    @property
    def complete(self) -> bool:
        """Whether every weight was written and the network is alive (the command's exit code 0)."""
        return self._native.complete()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Extents of every tensor of the state dict."""
        return {name: tuple(shape) for name, shape in self._native.shapes()}

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """PyTorch's state dict, as arrays that are writable and share nothing."""
        state: dict[str, np.ndarray[Any, Any]] = {}

        def take(name: str, dtype: str, shape: list[int], values: bytearray) -> None:
            numpy_name = TYPES[dtype][0]
            if numpy_name is None:
                raise TypeError(f"{name} is {dtype}, which NumPy has not; use each_tensor()")
            state[name] = np.frombuffer(values, dtype=numpy_name).reshape(shape)

        self._native.each(take)
        return state

    def each_tensor(self, take: Callable[[str, torch.Tensor], object]) -> None:
        """Calls ``take(name, tensor)`` for every tensor of the state dict; each is made when its turn
        comes."""
        self._native.each(lambda name, *values: take(name, torch_tensor(*values)))

    def onnx_bytes(self) -> bytes:
        """The filled ONNX file."""
        return self._native.onnx_bytes()

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[str]:
        """Writes ``<stem>.onnx``, ``<stem>.safetensors`` and ``report.json``; returns their paths."""
        return [os.fspath(path) for path in self._native.write(os.fspath(folder), overwrite)]

    def __repr__(self) -> str:
        return f"<Filled {self.report!r}>"


def torch_tensor(dtype: str, shape: list[int], values: bytearray) -> torch.Tensor:
    """A tensor of a type of safetensors, which shares its values."""
    import torch

    torch_type = getattr(torch, TYPES[dtype][1])
    if not values:
        return torch.empty(shape, dtype=torch_type)
    return torch.frombuffer(values, dtype=torch_type).reshape(shape)


def predict(
    model: str | os.PathLike[str] | bytes,
    *,
    data: Data | None = None,
    predictor: Predictor | str | os.PathLike[str] | None = None,
    seed: int = 0,
    keep: Iterable[str] = (),
    dims: Mapping[str, int] | None = None,
    support_steps: int | None = None,
    calibrate: Data | None = None,
    bake_normalization: bool = False,
    watermark: str | os.PathLike[str] | None = None,
    device: str = "auto",
    encoder: NodeEncoder | None = None,
    progress: bool = True,
) -> Filled:
    """Writes the weights of an ONNX file, as ``weightsmith predict`` does; nothing is stored.

    Args:
        model: Path or contents of the file, with or without weights.
        data: Labelled images that the weights are fitted to; their classes become those of the
            outputs. A path, a pair of arrays (images of 0 to 255 or 0.0 to 1.0, labels), a
            ``torch.utils.data.Dataset`` or ``DataLoader`` of such pairs, or a Hugging Face ``Dataset``.
        predictor: Name, folder or :class:`Predictor`; the default predictor without.
        seed: Of everything random. The same seed gives the same bytes as the command line.
        keep: Tensors that keep their values, by their names in the file or the state dict.
        dims: Sizes of symbolic dimensions; those not given are 1.
        support_steps: Gradient steps on ``data``; 0 for none.
        calibrate: Unlabelled images for the statistics of batch normalisations.
        bake_normalization: Whether the network is to take pixels from 0 to 1.
        watermark: A secret file of at least 16 random bytes, whose holder the weights are marked for.
        device: ``auto``, ``flex`` (the CPU) or ``wgpu``.
        encoder: Further features of nodes, of a predictor that was trained with them.
        progress: Whether a bar of tqdm shows gradient steps.

    Raises:
        WeightsmithError: The file, the data or the request is refused.
    """
    with ExitStack() as stack:
        source = (bytes(model), "model.onnx") if isinstance(model, bytes) else os.fspath(model)

        def path(given: Data | None) -> str | None:
            return None if given is None else stack.enter_context(data_path(given))

        settings = {
            "predictor": source_of(predictor),
            "seed": seed,
            "keep": list(keep),
            "dims": list((dims or {}).items()),
            "support": path(data),
            "support_steps": support_steps,
            "calibrate": path(calibrate),
            "bake_normalization": bake_normalization,
            "watermark": None if watermark is None else os.fspath(watermark),
            "device": device,
            "encoder": None if encoder is None else encoder.arguments(),
            "bar": _progress.bar(progress and data is not None),
        }
        filled = Filled(_native.fill(source, settings))
    if not filled.complete:
        warnings.warn("; ".join(filled.report.problems), IncompleteWarning, stacklevel=2)
    return filled
