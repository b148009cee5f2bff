"""Predictors of one's own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import _native, _progress
from ._predictor import Predictor


@dataclass(frozen=True)
class NodeEncoder:
    """Features of nodes that the graph encoder reads beside its own.

    A configuration lists their names in ``network.encoder.further``, and a predictor that was trained with them needs
    them ever after: ``predict(..., encoder=encoder)``.

    Args:
        names: One for each feature.
        features: Called with a node, a dictionary of its ``name``, ``operator``, ``domain``, ``module`` (its path, or
            None), ``attributes`` by name, and the shapes of its ``inputs`` and ``outputs`` (None where they are not
            known); returns a number for each name. Numbers of about unit size train best; those beyond ±8 are cut off,
            and NaN counts as zero. It is called from several threads, one at a time.
    """

    names: Sequence[str]
    features: Callable[[dict[str, Any]], Sequence[float]]

    def arguments(self) -> tuple[list[str], Callable[[dict[str, Any]], list[float]]]:
        """As the native side takes them."""
        return list(self.names), lambda node: [float(value) for value in self.features(node)]


def train(
    config: str | os.PathLike[str],
    *,
    encoder: NodeEncoder | None = None,
    resume: bool = False,
    seconds: float | None = None,
    progress: bool = True,
) -> tuple[Predictor, dict[str, Any]]:
    """Trains a predictor, as ``weightsmith train`` does, and on features of your own.

    Args:
        config: A recipe in TOML, such as ``predictors/mnist/train.toml``.
        encoder: Further features of nodes.
        resume: Whether to go on from what a run has saved in the ``out`` folder of the recipe.
        seconds: Stop after so long, with everything saved, as Ctrl-C does.
        progress: Whether a bar of tqdm shows steps.

    Returns:
        The predictor, and how far training got: steps, networks, seconds, accuracy on held-out graphs.

    Raises:
        WeightsmithError: The recipe, its data or its graphs are refused. What ``encoder`` raises is raised.
    """
    folder, reached = _native.train(
        os.fspath(config),
        resume=resume,
        seconds=seconds,
        encoder=None if encoder is None else encoder.arguments(),
        bar=_progress.bar(progress),
    )
    loaded: dict[str, Any] = json.loads(reached)
    return Predictor(folder), loaded
