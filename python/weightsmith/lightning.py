"""A callback of Lightning."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback

from ._data import Data
from ._modules import fill_


class InitFromPrediction(Callback):  # type: ignore[misc, unused-ignore]
    """Fills a module before training begins.

    Args:
        example_inputs: See :func:`weightsmith.fill_`.
        data: Labelled images; see :func:`weightsmith.predict`.
        attribute: Which part of the Lightning module is the network; the module itself without.
        **further: Further arguments of :func:`weightsmith.fill_`.
    """

    def __init__(
        self,
        example_inputs: Any,
        data: Data | None = None,
        attribute: str | None = None,
        **further: Any,
    ) -> None:
        self.example_inputs = example_inputs
        self.data = data
        self.attribute = attribute
        self.further = further

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Fills the module, unless training goes on from a checkpoint."""
        if trainer.ckpt_path is None:
            module = getattr(pl_module, self.attribute) if self.attribute else pl_module
            fill_(module, self.example_inputs, self.data, **self.further)
