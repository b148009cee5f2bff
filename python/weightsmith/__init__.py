"""Writes the weights of neural networks without training them.

``fill_(module, example_inputs)`` fills a PyTorch module in place, ``predict("model.onnx")`` an ONNX file;
both fit it to labelled images if they are given ``data``. ``rank``, ``inspect``, ``evaluate``,
``verify``, ``trace`` and ``train`` are the commands of the same names.
"""

from ._commands import evaluate, inspect, rank, trace, verify
from ._filled import Filled, IncompleteWarning, Report, predict
from ._modules import fill_
from ._native import BUNDLED, WeightsmithError, __version__
from ._predictor import Predictor
from ._train import NodeEncoder, train

__all__ = [
    "BUNDLED",
    "Filled",
    "IncompleteWarning",
    "NodeEncoder",
    "Predictor",
    "Report",
    "WeightsmithError",
    "__version__",
    "evaluate",
    "fill_",
    "inspect",
    "predict",
    "rank",
    "trace",
    "train",
    "verify",
]
