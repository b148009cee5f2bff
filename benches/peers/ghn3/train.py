"""Trains GHN-3 from scratch on our graphs for a given time. See README.md."""

import argparse
import math
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from images import Images, augmented, normalised
from peer import Graph, Peer, card_of, public

from onnx_torch import Unsupported

# Of the public command for GHN-3-T/m8 on CIFAR-10.
RATE, FIRST_RATE, WARM_UP = 4e-4, 1e-5, 5 / 300
WEIGHT_DECAY = 1e-2
PREDICTED_DECAY = 3e-5
CLIP = 5.0
# Vertices of a meta-batch of eight; larger batches are drawn again.
MOST_VERTICES = 2200

CALIBRATION_IMAGES = 512
SECONDS_BETWEEN_SAVES = 120
STEPS_BETWEEN_REPORTS = 10


def rate(done: float) -> float:
    """Learning rate when a share of the time is spent: warm-up, then half a cosine."""
    if done < WARM_UP:
        return FIRST_RATE + (RATE - FIRST_RATE) * done / WARM_UP
    return RATE * 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARM_UP) / (1 - WARM_UP))))


class Graphs:
    """Graphs of a folder, drawn at random; those that cannot be taken are kept by name."""

    def __init__(self, folder: Path, classes: int, unsupported: dict[str, str]):
        self.paths = sorted(folder.glob("*.onnx"))
        self.classes = classes
        self.unsupported = unsupported

    def one(self, generator: torch.Generator) -> Graph:
        while len(self.unsupported) < len(self.paths):
            path = self.paths[torch.randint(len(self.paths), (), generator=generator)]
            if path.stem in self.unsupported:
                continue
            try:
                return Graph.load(path, self.classes)
            except Unsupported as reason:
                self.leave_out(path.stem, reason)
        raise SystemExit("no graph that GHN-3 can take")

    def leave_out(self, name: str, reason: Unsupported) -> None:
        self.unsupported[name] = str(reason)
        print(f"left out: {name}: {reason}", flush=True)

    def batch(self, count: int, generator: torch.Generator) -> list[Graph]:
        most = MOST_VERTICES * max(1, count / 8)
        while True:
            graphs = [self.one(generator) for _ in range(count)]
            if sum(len(graph.nodes.vertices) for graph in graphs) <= most:
                return graphs


    def leave_out_some(self, batch: list[Graph], peer: Peer) -> None:
        """Leaves out those graphs of a batch that GHN-3 fails on."""
        for graph in batch:
            try:
                with torch.no_grad():
                    peer.weights([graph])
            except Unsupported as reason:
                self.leave_out(graph.name, reason)


class Training:
    """The state that a checkpoint holds."""

    def __init__(self, options: argparse.Namespace, card: dict):
        self.options = options
        self.card = card
        self.peer = Peer(public(options.ghn3, options.ppuda), len(card["classes"]))
        self.optimizer = torch.optim.AdamW(
            self.peer.hypernetwork.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY
        )
        self.generator = torch.Generator().manual_seed(options.seed)
        self.unsupported: dict[str, str] = {}
        self.steps = self.skipped = 0
        self.seconds = 0.0

    def step(
        self, graphs: list[Graph], images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[float, float]:
        """Mean loss and accuracy; a step whose gradient is not finite changes nothing."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.seconds / (60 * self.options.minutes))
        self.optimizer.zero_grad()
        loss, decay, right = 0.0, 0.0, 0
        for graph, weights in zip(graphs, self.peer.weights(graphs), strict=True):
            logits = graph.network.forward(images, weights)
            loss = loss + F.cross_entropy(logits, labels)
            decay = decay + sum(weight.norm() for weight in weights.values())
            right += (logits.argmax(1) == labels).sum().item()
        total = (loss + PREDICTED_DECAY * decay) / len(graphs)
        total.backward()
        parameters = self.peer.hypernetwork.parameters()
        if torch.nn.utils.clip_grad_norm_(parameters, CLIP).isfinite():
            self.optimizer.step()
        else:
            self.skipped += 1
        self.steps += 1
        return loss.item() / len(graphs), right / len(graphs) / len(labels)

    def save(self, path: Path, calibration: torch.Tensor) -> None:
        state = {
            "hypernetwork": self.peer.hypernetwork.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "card": {key: self.card[key] for key in ("input", "classes")},
            "calibration": calibration,
            "unsupported": self.unsupported,
            "steps": self.steps,
            "skipped": self.skipped,
            "seconds": self.seconds,
            "seed": self.options.seed,
            "ghn3": str(self.options.ghn3.resolve()),
            "ppuda": str(self.options.ppuda.resolve()),
        }
        torch.save(state, path.with_suffix(".tmp"))
        os.replace(path.with_suffix(".tmp"), path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.peer.hypernetwork.load_state_dict(state["hypernetwork"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.unsupported.update(state["unsupported"])
        self.steps, self.skipped = state["steps"], state["skipped"]
        self.seconds = state["seconds"]
        print(f"continuing after {self.steps} steps, {self.seconds / 60:.1f} minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ghn3", type=Path, required=True, help="clone of the public GHN-3")
    parser.add_argument("--ppuda", type=Path, required=True, help="clone of ppuda")
    parser.add_argument("--train-graphs", type=Path, required=True, help="what export-graphs wrote")
    parser.add_argument("--data", type=Path, required=True, help="images, folder or tar archive")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30, help="of training, in all runs")
    parser.add_argument("--meta-batch", type=int, default=8, help="graphs per step")
    parser.add_argument("--batch", type=int, default=64, help="images per step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)

    card = card_of(options.train_graphs)
    images = Images(options.data, card["classes"])
    training = Training(options, card)
    generator = training.generator
    # Before resuming, so that the same images measure statistics whenever training stopped.
    calibration, _ = images.some(CALIBRATION_IMAGES, generator)
    checkpoint = options.out / "checkpoint.pt"
    if checkpoint.exists():
        training.resume(checkpoint)
    graphs = Graphs(options.train_graphs, len(card["classes"]), training.unsupported)
    print(f"{len(graphs.paths)} graphs, {len(images.labels)} images")

    earlier, started = training.seconds, time.monotonic()
    saved = training.seconds
    while training.seconds < 60 * options.minutes:
        batch = graphs.batch(options.meta_batch, generator)
        pixels, labels = images.some(options.batch, generator)
        pixels = normalised(augmented(pixels, generator), card)
        try:
            loss, accuracy = training.step(batch, pixels, labels)
        except Unsupported:
            graphs.leave_out_some(batch, training.peer)
            continue
        finally:
            training.seconds = earlier + time.monotonic() - started
        if training.steps % STEPS_BETWEEN_REPORTS == 0:
            spent = f"step {training.steps}  {training.seconds / 60:.1f} min"
            print(f"{spent}  loss {loss:.3f}  accuracy {accuracy:.3f}", flush=True)
        if training.seconds - saved > SECONDS_BETWEEN_SAVES:
            training.save(checkpoint, calibration)
            saved = training.seconds
    training.save(checkpoint, calibration)
    print(f"{training.steps} steps in {training.seconds / 60:.1f} minutes")
    print(f"{training.skipped} steps were not finite and changed nothing")
    print(f"{len(training.unsupported)} of {len(graphs.paths)} graphs were drawn and left out")


if __name__ == "__main__":
    main()
