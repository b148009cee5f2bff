"""Soups of five fine-tuned children of one prediction.

    python benches/soups.py DOMAINS OUT [--sets NAME,..] [--tuning=WORDS] [--limit N] [--weightsmith PROGRAM]
    python benches/soups.py --data CIFAR10 OUT ...

Of each graph weights are predicted and fine-tuned with five seeds: for one of some data sets of DOMAINS, with a
head that is solved on its training images, or for the predictor's own classes. `weightsmith merge` chooses among the
children on validation images and learns shares on training images. Prints top-1 on test images of the children, of the
one that is best on validation images, of both soups, and of the mean of all; networks are left in OUT.
"""

import argparse
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parent.parent
SETS = "farsi_digits,bangla_digits,devanagari_digits,telugu_digits,sign_digits"
SAMPLED = [
    *["bottleneck-tanh", "dense-gelu", "grouped", "inverted-silu", "plain-cnn", "plain-norm-free", "residual"],
    *["residual-group-norm", "resnet-20", "separable", "vit-tiny"],
]
NAMED = ["convnext-atto", "lenet-5", "squeezenet-1.1"]
GRAPHS = [f"benches/graphs/{name}" for name in SAMPLED] + [f"architectures/named/{name}" for name in NAMED]
CHILDREN = 5
METHODS = ("learned-soup", "soup", "mean")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("domains", type=pathlib.Path, nargs="?")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, help="images of the predictor's own classes")
    parser.add_argument("--graphs", nargs="*", default=GRAPHS, help="paths without .onnx")
    parser.add_argument("--tuning", default="--epochs 3", help="further words for finetune")
    parser.add_argument("--limit", type=int, help="test images")
    parser.add_argument("--sets", default=SETS, help="of ten classes each")
    parser.add_argument("--weightsmith", default="weightsmith")
    arguments = parser.parse_args()

    def run(*words):
        command = [arguments.weightsmith, *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    sets = arguments.sets.split(",")
    limit = ["--limit", arguments.limit] if arguments.limit else []
    wins = {(method, rival): 0 for method in METHODS for rival in ("chosen", "best")}
    for index, graph in enumerate(arguments.graphs):
        name, out = pathlib.Path(graph).name, arguments.out / pathlib.Path(graph).name
        data, support = arguments.data, []
        if data is None:
            data = arguments.domains / f"{sets[index % len(sets)]}.tar.xz"
            support = ["--support", data, "--support-steps", 0]
        base = out / "base" / f"{name}.onnx"
        if not base.exists():
            run("predict", ROOT / f"{graph}.onnx", *support, "--out", base.parent)
        children = [out / f"child-{seed}" / f"{name}.onnx" for seed in range(CHILDREN)]
        for seed, child in enumerate(children):
            if not child.exists():
                tuned = ["--support", data, "--out", child.parent, "--seed", seed, *arguments.tuning.split()]
                run("finetune", base, *tuned)
        validated = [on_validation(child) for child in children]
        line = []
        for method in METHODS:
            ways = ["--method", method, "--align", "none", "--data", data, "--out", out / method, *limit]
            merged = json.loads(run("merge", *children, *ways, "--force", "--json"))["merged"]
            parents = [parent["judged"]["top1"] for parent in merged["parents"]]
            top1 = merged["judged"]["top1"]
            rivals = {"chosen": parents[validated.index(max(validated))], "best": max(parents)}
            for rival, reached in rivals.items():
                wins[method, rival] += top1 >= reached
            line.append(f"{method} {100 * top1:.1f}")
        figures = " ".join(f"{100 * top1:.1f}" for top1 in parents)
        print(f"{name} ({data.name.split('.')[0]}): children {figures}, best on validation images"
              f" {100 * rivals['chosen']:.1f}, {', '.join(line)}", flush=True)
    for (method, rival), count in wins.items():
        which = {"chosen": "best on validation images", "best": "best on the test images themselves"}[rival]
        print(f"{method}: at least as good as the child that is {which} on {count} of {len(arguments.graphs)}")


def on_validation(network):
    """Validation accuracy of a fine-tuned network, from the report beside it."""
    run = json.loads((network.parent / "report.json").read_text())["provenance"]["finetuned"]
    return run["epochs"][run["best"]]["top1"]


if __name__ == "__main__":
    main()
