"""Long labels for `rank fit`, trained by PyTorch on a GPU: long_labels.py GRAPHS IMAGES.npz OUT.jsonl

GRAPHS holds <space>-<seed>.onnx as `examples/space_graphs.rs` writes them. IMAGES.npz has `x` (uint8, n x 32 x 32 x 3)
and `y`; the last images are for validation. Every graph trains from He initialisation by AdamW on a cosine, with crops
and mirroring; normalisation uses the statistics of batches throughout. Graphs train side by side: some processes, some
networks in each, every step one CUDA graph. Lines are those of `rank label`.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F

from crops import crops

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from onnx_torch import Network  # noqa: E402

PAD = 4
VALIDATION_BATCH = 500


def he(network, generator):
    """Initial values: He for maps, one and zero for normalisation, small for what is added to tokens."""
    values = {name: torch.zeros(shape) for name, shape in network.shapes.items()}
    for node in network.nodes:
        for place, name in enumerate(node.inputs):
            if name not in values:
                continue
            shape = network.shapes[name]
            if node.operator in ("Conv", "Gemm", "MatMul") and len(shape) > 1:
                transposed = node.operator == "Conv" or node.attributes.get("transB")
                fan = math.prod(shape[1:]) if transposed else shape[0]
                gain = 2.0 if node.operator == "Conv" else 1.0
                values[name] = torch.randn(shape, generator=generator) * math.sqrt(gain / fan)
            elif node.operator.endswith("Normalization") and place in (1, 4):
                values[name] = torch.ones(shape)
            elif node.operator == "Mul":
                values[name] = torch.ones(shape)
            elif node.operator in ("Add", "Concat") and len(shape) > 1:
                values[name] = torch.randn(shape, generator=generator) * 0.02
    return values


class Images:
    """Training images with a border, and those of validation, on the GPU."""

    def __init__(self, path, count, validation, side):
        held = np.load(path)
        x, y = torch.from_numpy(held["x"]), torch.from_numpy(held["y"].astype(np.int64))
        x = x.permute(0, 3, 1, 2).cuda()
        if side != x.shape[-1]:
            x = F.interpolate(x.float(), size=side, mode="area").round().to(torch.uint8)
        y = y.cuda()
        train = x[:count].float()
        self.mean = train.mean((0, 2, 3)).view(1, 3, 1, 1)
        self.std = train.std((0, 2, 3)).view(1, 3, 1, 1)
        self.side = side
        self.train, self.labels = F.pad(x[:count], (PAD,) * 4), y[:count]
        self.held_out, self.held_out_labels = x[-validation:], y[-validation:]

    def scaled(self, x):
        return (x.float() - self.mean) / self.std


class Run:
    """One network in training."""

    def __init__(self, path, images, epochs, batch, rate):
        self.path, self.images, self.epochs, self.batch = path, images, epochs, batch
        self.started = time.time()
        self.stream = torch.cuda.Stream()
        generator = torch.Generator().manual_seed(0)
        self.network = Network(onnx.load(path))
        values = he(self.network, generator)
        self.weights = {name: value.cuda().requires_grad_() for name, value in values.items()}
        read = self.read()
        moved = [self.weights[name] for name in self.weights if name in read]
        count = len(images.labels)
        self.steps = count // batch
        total = epochs * self.steps
        warmup = max(1, total // 20)
        rates = [rate * min((s + 1) / warmup, 0.5 * (1 + math.cos(math.pi * s / total))) for s in range(total)]
        self.rates = torch.tensor(rates, device="cuda")
        self.rate = torch.tensor(0.0, device="cuda")
        groups = [
            {"params": [it for it in moved if it.dim() > 1], "weight_decay": 0.05},
            {"params": [it for it in moved if it.dim() <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        self.optimiser = torch.optim.AdamW(groups, lr=self.rate, capturable=True, fused=True)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.order = torch.zeros(count, dtype=torch.long, device="cuda")
        self.shift = torch.zeros(count, 2, dtype=torch.long, device="cuda")
        self.mirror = torch.zeros(count, dtype=torch.bool, device="cuda")
        self.step = torch.zeros(1, dtype=torch.long, device="cuda")
        self.place = torch.zeros((), dtype=torch.long, device="cuda")
        self.loss = torch.zeros((), device="cuda")
        self.right = torch.zeros((), device="cuda")
        self.rows = torch.arange(batch, device="cuda")
        self.held = torch.arange(VALIDATION_BATCH, device="cuda")
        self.curve, self.top1, self.pending = [], [], None
        self.result = torch.zeros(2, pin_memory=True)
        with torch.cuda.stream(self.stream):
            for tensor in moved:
                tensor.grad = torch.zeros_like(tensor)
            start = {name: value.detach().clone() for name, value in self.weights.items()}
            for _ in range(2):
                self.train_step()
            self.validate()
            with torch.no_grad():
                for name, value in start.items():
                    self.weights[name].copy_(value)
                for state in self.optimiser.state.values():
                    for tensor in state.values():
                        tensor.zero_()
                for tensor in (self.step, self.place, self.loss, self.right):
                    tensor.zero_()
        self.stream.synchronize()
        self.trained, self.validated = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.trained, stream=self.stream, capture_error_mode="thread_local"):
            self.train_step()
        with torch.cuda.graph(self.validated, stream=self.stream, capture_error_mode="thread_local"):
            self.validate()
        self.generator = torch.Generator(device="cuda").manual_seed(0)

    def read(self):
        """Names of the weights that training moves: all but running statistics."""
        names = set()
        for node in self.network.nodes:
            reads = node.inputs[:3] if node.operator == "BatchNormalization" else node.inputs
            names.update(reads)
        return names

    def train_step(self):
        images = self.images
        chosen = self.order[self.place + self.rows]
        x = crops(images.train, chosen, self.shift[chosen], self.mirror[chosen], images.side)
        self.rate.copy_(self.rates.index_select(0, self.step).squeeze(0))
        loss = F.cross_entropy(self.network.forward(images.scaled(x), self.weights), images.labels[chosen])
        self.optimiser.zero_grad(set_to_none=False)
        loss.backward()
        self.optimiser.step()
        self.loss += loss.detach()
        self.step += 1
        self.place += self.batch

    @torch.no_grad()
    def validate(self):
        chosen = self.place + self.held
        logits = self.network.forward(self.images.scaled(self.images.held_out[chosen]), self.weights)
        self.right += (logits.argmax(1) == self.images.held_out_labels[chosen]).sum()
        self.place += VALIDATION_BATCH

    @torch.no_grad()
    def advance(self):
        """Queues another epoch once the last one is through; returns whether training has ended."""
        if self.pending is not None:
            if not self.pending.query():
                return False
            loss, right = self.result.tolist()
            self.curve.append(loss / self.steps)
            self.top1.append(right / len(self.images.held_out_labels))
        if len(self.curve) == self.epochs:
            return True
        with torch.cuda.stream(self.stream):
            count = len(self.order)
            self.order.copy_(torch.randperm(count, device="cuda", generator=self.generator))
            for field, most in ((self.shift, 2 * PAD + 1), (self.mirror, 2)):
                field.copy_(torch.randint(most, field.shape, device="cuda", generator=self.generator))
            for total in (self.loss, self.right, self.place):
                total.zero_()
            for _ in range(self.steps):
                self.trained.replay()
            self.place.zero_()
            for _ in range(len(self.images.held_out_labels) // VALIDATION_BATCH):
                self.validated.replay()
            self.result.copy_(torch.stack([self.loss, self.right]), non_blocking=True)
            self.pending = torch.cuda.Event()
            self.pending.record(self.stream)
        return False

    def line(self):
        space, seed = self.path.stem.rsplit("-", 1)
        seconds = round(time.time() - self.started, 3)
        return {"space": space, "seed": int(seed), "loss": self.curve, "top1": self.top1, "seconds": seconds}


def work(number, arguments, queue, taken):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    begun = time.time()
    images = Images(arguments.images, arguments.count, arguments.validation, arguments.side)
    running = []
    with Path(f"{arguments.out}.{number}").open("w") as out:
        while time.time() - begun < arguments.seconds:
            while len(running) < arguments.side_by_side:
                with taken.get_lock():
                    place, taken.value = taken.value, taken.value + 1
                if place >= len(queue):
                    break
                try:
                    run = Run(queue[place], images, arguments.epochs, arguments.batch, arguments.rate)
                    running.append(run)
                    run.advance()
                except Exception as error:  # a graph that does not train is reported and left out
                    print(f"{queue[place].stem}: {type(error).__name__}: {str(error)[:200]}", flush=True)
                reap(running, out)
            if not running:
                break
            reap(running, out)
            time.sleep(1e-3)


def reap(running, out):
    """Lets all networks go on, and writes the lines of those that are through."""
    for run in [run for run in running if run.advance()]:
        running.remove(run)
        out.write(json.dumps(run.line()) + "\n")
        out.flush()
        print(f"{run.path.stem}: {run.top1[-1]:.3f}, {time.time() - run.started:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=25_000)
    parser.add_argument("--validation", type=int, default=5_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--side-by-side", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--data-hash", default="")
    arguments = parser.parse_args()
    # First seeds of all spaces, then second ones, so that all grow alike.
    queue = sorted(arguments.graphs.glob("*.onnx"), key=lambda it: (int(it.stem.rsplit("-", 1)[1]), it.stem))
    context = mp.get_context("spawn")
    taken = context.Value("i", 0)
    workers = [
        context.Process(target=work, args=(number, arguments, queue, taken)) for number in range(arguments.processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    setting = {
        "data_hash": arguments.data_hash,
        "images": arguments.count,
        "validation": arguments.validation,
        "epochs": arguments.epochs,
        "seed": 0,
    }
    with arguments.out.open("w") as out:
        out.write(json.dumps(setting) + "\n")
        for number in range(arguments.processes):
            part = Path(f"{arguments.out}.{number}")
            out.write(part.read_text())
            part.unlink()


if __name__ == "__main__":
    main()
