"""Fills graphs with the weights that a trained GHN-3 predicts. See README.md."""

import argparse
import time
from pathlib import Path

import onnx
import torch
from images import normalised
from onnx import numpy_helper
from peer import Graph, Peer, card_of, public

from onnx_torch import Node, Unsupported


def with_statistics(
    graph: Graph, weights: dict[str, torch.Tensor], images: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The weights and, measured on a batch of images, the running statistics of batch norms."""
    statistics = {}

    def observe(node: Node, values: list) -> None:
        if node.operator == "BatchNormalization":
            # The biased variance: in inference, these images give what they give in training.
            variance, mean = torch.var_mean(values[0], (0, 2, 3), correction=0)
            statistics.update(zip(node.inputs[3:], (mean, variance), strict=True))

    if graph.nodes.statistics:
        graph.network.forward(images, weights, observe)
    return weights | statistics


def filled(model: onnx.ModelProto, weights: dict[str, torch.Tensor]) -> onnx.ModelProto:
    """The same graph, its weights no longer inputs but values."""
    image, *inputs = model.graph.input
    tensors = [numpy_helper.from_array(weights[i.name].numpy(), i.name) for i in inputs]
    model.graph.initializer.extend(tensors)
    del model.graph.input[1:]
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="what train.py wrote")
    parser.add_argument("--graphs", type=Path, required=True, help="what export-graphs wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ghn3", type=Path, help="clone, by default the one trained with")
    parser.add_argument("--ppuda", type=Path, help="clone, by default the one trained with")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)

    state = torch.load(options.checkpoint, weights_only=True)
    card = card_of(options.graphs)
    if any(card[key] != value for key, value in state["card"].items()):
        raise SystemExit(f"{options.graphs}: its networks read other images than training did")
    clones = [Path(getattr(options, key) or state[key]) for key in ("ghn3", "ppuda")]
    classes = len(card["classes"])
    peer = Peer(public(*clones), classes)
    peer.hypernetwork.load_state_dict(state["hypernetwork"])
    peer.hypernetwork.eval()
    images = normalised(state["calibration"], card)

    unsupported: list[str] = []
    started = time.monotonic()
    for name in card["graphs"]:
        path = options.graphs / f"{name}.onnx"
        try:
            with torch.no_grad():
                graph = Graph.load(path, classes)
                (weights,) = peer.weights([graph])
                weights = with_statistics(graph, weights, images)
        except Unsupported as reason:
            unsupported.append(name)
            print(f"left out: {name}: {reason}")
            continue
        model = filled(onnx.load(path), weights)
        onnx.checker.check_model(model)
        onnx.save(model, options.out / f"{name}.onnx")
    count = len(card["graphs"])
    seconds = time.monotonic() - started
    print(f"{count - len(unsupported)} of {count} graphs filled in {seconds:.1f} seconds")
    if unsupported:
        print(f"left out: {', '.join(unsupported)}")


if __name__ == "__main__":
    main()
