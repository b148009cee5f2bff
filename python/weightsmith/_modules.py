"""Filling PyTorch modules in place."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._data import Data
from ._filled import Filled, Report, predict
from ._native import WeightsmithError
from ._offload import StoredState, offloaded
from ._predictor import Predictor

if TYPE_CHECKING:
    import torch


def fill_(
    module: torch.nn.Module,
    example_inputs: Any,
    data: Data | None = None,
    predictor: Predictor | str | os.PathLike[str] | None = None,
    seed: int = 0,
    keep: Iterable[str] = (),
    **further: Any,
) -> Report:
    """Writes the weights of a PyTorch module into it.

    The module is exported to ONNX by torch's own exporter, as one that is evaluated. If anything is
    refused it stays as it was.

    Args:
        module: Any module that torch can export: of torchvision, of timm, your own.
        example_inputs: A tensor, or a tuple of positional arguments, such as ``torch.zeros(1, 3, 32, 32)``.
        data: Labelled images to fit it to; see :func:`predict`.
        predictor: See :func:`predict`.
        seed: See :func:`predict`.
        keep: Tensors that keep their values.
        **further: Further arguments of :func:`predict`.

    Returns:
        What was done to every tensor.

    Raises:
        WeightsmithError: The module cannot be exported or filled, or the exported file does not name all
            tensors of the module.
    """
    with exported(module, example_inputs) as path, tempfile.TemporaryFile(prefix="weightsmith-") as file:
        with offloaded(module):
            filled = predict(path, data=data, predictor=predictor, seed=seed, keep=keep, **further)
            report, state = filled.report, StoredState(filled, file)
            del filled
        load_(module, state)
    return report


def load_(module: torch.nn.Module, state: Filled | StoredState) -> None:
    """Copies a state dict into a module, strictly: all tensors or none."""
    import torch

    own = module.state_dict()
    shapes = state.shapes

    def place(name: str) -> tuple[Any, ...]:
        """Equal for the names of one tensor: of a shared layer the file knows one."""
        tensor = own[name]
        return tensor.data_ptr(), tensor.shape, tensor.stride()

    held = {place(name) for name in shapes if name in own}
    problems = [f"{name} is missing" for name in own if name not in shapes and place(name) not in held]
    problems += [f"{name} is unexpected" for name in shapes if name not in own]
    problems += [
        f"{name} has the shape {shape}, not {tuple(own[name].shape)}"
        for name, shape in shapes.items()
        if name in own and tuple(own[name].shape) != shape
    ]
    if problems:
        some = ", ".join(problems[:5]) + (f" and {len(problems) - 5} more" if problems[5:] else "")
        raise WeightsmithError(
            f"the exported file does not hold the state dict of {type(module).__name__}: {some}; "
            "nothing was changed"
        )
    with torch.no_grad():
        state.each_tensor(lambda name, tensor: own[name].copy_(tensor))


@contextlib.contextmanager
def exported(module: torch.nn.Module, example_inputs: Any) -> Iterator[str]:
    """The path of a module's ONNX file, which is gone afterwards."""
    inputs = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    training = {child: child.training for child in module.modules()}
    module.eval()
    try:
        with tempfile.TemporaryDirectory(prefix="weightsmith-") as folder:
            path = Path(folder, f"{type(module).__name__}.onnx")
            export(module, inputs, path)
            yield str(path)
    finally:
        for child, was in training.items():
            child.training = was


def export(module: torch.nn.Module, inputs: tuple[Any, ...], path: Path) -> None:
    """Exports a module so that the file names all tensors: by torch's exporter of today, or else by
    TorchScript."""
    import torch

    ways: list[dict[str, Any]] = [
        {"dynamo": True, "optimize": False, "keep_initializers_as_inputs": True},
        {"dynamo": False, "do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE},
    ]
    problems = []
    for way in ways:
        try:
            with warnings.catch_warnings(), torch.no_grad(), _silence():
                warnings.simplefilter("ignore")
                torch.onnx.export(module, inputs, str(path), **way)
            return
        except Exception as error:  # torch raises what it likes
            problems.append(f"{type(error).__name__}: {error}".splitlines()[0])
            path.unlink(missing_ok=True)
    raise WeightsmithError(f"torch cannot export {type(module).__name__}: {'; '.join(problems)}")


def _silence() -> contextlib.redirect_stdout[io.StringIO]:
    """The exporter prints what it does."""
    return contextlib.redirect_stdout(io.StringIO())
