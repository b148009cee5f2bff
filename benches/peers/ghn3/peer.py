"""GHN-3 from the user's clones of the public implementation."""

import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import onnx
import torch

sys.path.append(str(Path(__file__).resolve().parents[1]))

from nodes import Layer, Nodes, nodes_of  # noqa: E402
from onnx_torch import Network, Unsupported  # noqa: E402

# GHN-3-T, with the largest kernel of the public settings for CIFAR-10.
SIZE = {"hid": 64, "layers": 3, "heads": 8, "max_shape": (64, 64, 11, 11)}
OPTIONS = {"weight_norm": True, "ve": True, "layernorm": True}

CARD = "graphs.json"


def public(ghn3: Path, ppuda: Path) -> ModuleType:
    """The module `ghn3` of the public implementation."""
    sys.path[:0] = [str(ghn3.resolve()), str(ppuda.resolve())]
    warnings.filterwarnings("ignore", category=FutureWarning)
    import ghn3 as module

    return module


def card_of(graphs: Path) -> dict:
    """How images are read, as `weightsmith bench export-graphs` says beside its graphs."""
    return json.loads((graphs / CARD).read_text())


@dataclass
class Graph:
    """A network and its form for GHN-3."""

    name: str
    network: Network
    nodes: Nodes

    @classmethod
    def load(cls, path: Path, classes: int) -> "Graph":
        network = Network(onnx.load(path))
        return cls(path.stem, network, nodes_of(network, classes))


class Slot:
    """Stands for a module of PyTorch: GHN-3 reads shapes here and leaves tensors in their place."""

    def __init__(self, layer: Layer, shapes: dict[str, tuple[int, ...]]):
        self.weight = layer.shape
        self.bias = shapes[layer.bias] if layer.bias else None


class Target:
    """Stands for a network of PyTorch; GHN-3 looks its modules up in `_layered_modules`."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.slots = [Slot(layer, graph.network.shapes) for layer in graph.nodes.layers]
        found = {}
        for number, slot in enumerate(self.slots):
            for key in ("weight", "bias"):
                shape = getattr(slot, key)
                if shape is not None:
                    entry = {"module": slot, "is_w": key == "weight", "sz": shape}
                    found[f"{number}.{key}"] = entry
        self._layered_modules = [found]

    def weights(self) -> dict[str, torch.Tensor]:
        """All parameters but running statistics, under the names of the ONNX graph."""
        shapes = self.graph.network.shapes
        values = {name: torch.ones(shapes[name]) for name in self.graph.nodes.gains}
        for layer, slot in zip(self.graph.nodes.layers, self.slots, strict=True):
            weight = slot.weight
            if len(shapes[layer.weight]) == 3:
                weight = weight.flatten(2).transpose(1, 2)
            values[layer.weight] = weight
            if layer.bias:
                values[layer.bias] = slot.bias
        return values


class Peer:
    """The hypernetwork and how it is asked for weights."""

    def __init__(self, module: ModuleType, classes: int):
        from ppuda.deepnets1m.genotypes import PRIMITIVES_DEEPNETS1M

        self.module = module
        self.primitives = {name: index for index, name in enumerate(PRIMITIVES_DEEPNETS1M)}
        self.hypernetwork = module.GHN3(num_classes=classes, **SIZE, **OPTIONS)

    def encoded(self, nodes: Nodes):
        kinds = [[self.primitives[vertex.primitive]] for vertex in nodes.vertices]
        return self.module.Graph(
            node_feat=torch.tensor(kinds),
            node_info=[nodes.info()],
            A=torch.tensor(nodes.distances),
            dense=True,
        )

    def weights(self, graphs: list[Graph]) -> list[dict[str, torch.Tensor]]:
        """Weights of every graph, through which gradients flow back to the hypernetwork."""
        targets = [Target(graph) for graph in graphs]
        batch = self.module.GraphBatch([self.encoded(graph.nodes) for graph in graphs], dense=True)
        try:
            self.hypernetwork(targets, batch.to_device("cpu"), keep_grads=True)
        except (AssertionError, IndexError, KeyError, RuntimeError) as error:
            raise Unsupported(f"GHN-3: {error!r}") from error
        return [target.weights() for target in targets]
