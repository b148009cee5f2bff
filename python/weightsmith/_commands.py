"""Commands whose results are dictionaries: what ``--json`` prints."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from . import _native
from ._data import Data, data_path
from ._filled import Filled
from ._predictor import Predictor, source_of


def _answer(command: str, *arguments: object, **flags: object) -> dict[str, Any]:
    """Runs a command; flags that are None or False are left out, those with a list are repeated."""
    line = [command, *(str(argument) for argument in arguments)]
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            line.append(flag)
        elif value is not None and value is not False:
            for each in value if isinstance(value, list) else [value]:
                line += [flag, str(each)]
    _, printed = _native.answer(line)
    answer: dict[str, Any] = json.loads(printed)
    return answer


@contextmanager
def _path(model: str | os.PathLike[str] | bytes | Filled) -> Iterator[str]:
    """The path of a model; one in memory becomes a file that is gone afterwards."""
    if isinstance(model, (str, os.PathLike)):
        yield os.fspath(model)
        return
    with tempfile.TemporaryDirectory(prefix="weightsmith-") as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(model.onnx_bytes() if isinstance(model, Filled) else model)
        yield str(path)


def inspect(model: str | os.PathLike[str] | bytes | Filled) -> dict[str, Any]:
    """Operators, shapes and parameters of a graph, and what is not supported."""
    with _path(model) as path:
        return _answer("inspect", path)


def evaluate(
    model: str | os.PathLike[str] | bytes | Filled,
    data: Data,
    *,
    split: str | None = None,
    limit: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    predictor: Predictor | str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Top-1 (0 to 1), also of each class, cross-entropy and calibration error of a filled network.

    Args:
        model: Path or contents of the file, or what :func:`predict` returns.
        data: As in :func:`predict`. Of images in memory all count.
        split: ``test`` or ``val`` of a data set by path.
        limit: Use the first images only.
        weights: A ``.safetensors`` to take the weights from.
        predictor: Whose normalisation images get where the file does not say.
    """
    with ExitStack() as stack:
        path = stack.enter_context(_path(model))
        images = stack.enter_context(data_path(data, "test"))
        return _answer(
            "evaluate",
            path,
            data=images,
            split=split,
            limit=limit,
            weights=weights,
            predictor=source_of(predictor),
        )


def verify(
    file: str | os.PathLike[str],
    *,
    report: str | os.PathLike[str] | None = None,
    regenerate: str | os.PathLike[str] | None = None,
    predictor: Predictor | str | os.PathLike[str] | None = None,
    watermark: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Whether a filled network is what its report says (``holds``), and every check. With
    ``regenerate``, the graph that was filled, its weights are predicted again and compared bit for bit;
    weights with a ``watermark`` need its key for that."""
    return _answer(
        "verify",
        file,
        report=report,
        regenerate=regenerate,
        predictor=None if predictor is None else source_of(predictor),
        watermark=watermark,
    )


def trace(
    model: str | os.PathLike[str] | bytes | Filled,
    *,
    predictors: Iterable[Predictor | str | os.PathLike[str]] = (),
    watermarks: Iterable[str | os.PathLike[str]] = (),
) -> dict[str, Any]:
    """Whether a network descends from a predictor by its weights (``verdict``), and how sure that is of
    every candidate: all bundled ones if no ``predictors`` are named. Says of each of ``watermarks``, files
    with keys, whether the weights carry its mark."""
    with _path(model) as path:
        return _answer(
            "trace",
            path,
            predictor=[source_of(predictor) for predictor in predictors],
            watermark=list(watermarks),
        )


def rank(
    graphs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    by: str = "auto",
    data: Data | None = None,
    predictor: Predictor | str | os.PathLike[str] | None = None,
    seed: int = 0,
    size: int | None = None,
    jobs: int | None = None,
    cache: bool = True,
) -> list[dict[str, Any]]:
    """Untrained graphs, best first: one record a graph, with its rank, scores, parameters and FLOPs;
    ``pandas.DataFrame(rank(...))`` makes a table.

    Args:
        graphs: ONNX files, folders of them, or patterns such as ``nets/*.onnx``.
        by: ``auto``, ``all``, or names of scores, joined by commas.
        data: Labelled images to probe with; see :func:`predict`.
        predictor: What scores of predicted weights use.
        seed: Of random weights.
        size: Height and width of the images that graphs are probed with.
        jobs: Graphs at a time; one for each core without.
        cache: Whether scores are kept for the next time.
    """
    several = [graphs] if isinstance(graphs, (str, os.PathLike)) else list(graphs)
    with ExitStack() as stack:
        images = None if data is None else stack.enter_context(data_path(data))
        answer = _answer(
            "rank",
            *(os.fspath(graph) for graph in several),
            by=by,
            data=images,
            predictor=source_of(predictor),
            seed=seed,
            size=size,
            jobs=jobs,
            no_cache=not cache,
        )
    ranking: list[dict[str, Any]] = answer["ranking"]
    return ranking
