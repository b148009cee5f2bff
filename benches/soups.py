"""Soups of five fine-tuned children of one prediction.

    python benches/soups.py DOMAINS OUT [--sets NAME,..] [--weightsmith PROGRAM]

Of each of twenty graphs weights are predicted for the training images of one of some data sets of DOMAINS, with a head that
is solved on them, and fine-tuned for three epochs with five seeds. `weightsmith merge --method soup` chooses among the
children on validation images. Prints top-1 on test images of the children, of the soup, and of the mean of all; networks
are left in OUT.
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
NAMED = [
    *["convnext-atto", "efficientnet-lite0", "lenet-5", "mixer-tiny", "mobilenet-v2", "nas-bench-201-best"],
    *["regnetx-200mf", "shufflenet-v2", "squeezenet-1.1"],
]
GRAPHS = [f"benches/graphs/{name}" for name in SAMPLED] + [f"architectures/named/{name}" for name in NAMED]
CHILDREN = 5
EPOCHS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("domains", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--sets", default=SETS, help="of ten classes each")
    parser.add_argument("--weightsmith", default="weightsmith")
    arguments = parser.parse_args()

    def run(*words):
        command = [arguments.weightsmith, *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    sets = arguments.sets.split(",")
    at_least = {"soup": 0, "mean": 0}
    for index, graph in enumerate(GRAPHS):
        name, data = pathlib.Path(graph).name, arguments.domains / f"{sets[index % len(sets)]}.tar.xz"
        out = arguments.out / name
        base = out / "base" / f"{name}.onnx"
        if not base.exists():
            run("predict", ROOT / f"{graph}.onnx", "--support", data, "--support-steps", 0, "--out", base.parent)
        children = [out / f"child-{seed}" / f"{name}.onnx" for seed in range(CHILDREN)]
        for seed, child in enumerate(children):
            if not child.exists():
                tuned = ["--support", data, "--out", child.parent, "--epochs", EPOCHS, "--seed", seed]
                run("finetune", base, *tuned)
        line = []
        for method in at_least:
            ways = ["--method", method, "--align", "none", "--data", data, "--out", out / method]
            merged = json.loads(run("merge", *children, *ways, "--force", "--json"))["merged"]
            parents = [parent["judged"]["top1"] for parent in merged["parents"]]
            top1 = merged["judged"]["top1"]
            at_least[method] += top1 >= max(parents)
            line.append(f"{method} {100 * top1:.1f}")
        figures = " ".join(f"{100 * top1:.1f}" for top1 in parents)
        print(f"{name} ({data.name.split('.')[0]}): children {figures}, {', '.join(line)}", flush=True)
    for method, count in at_least.items():
        print(f"{method}: at least as good as the best child on {count} of {len(GRAPHS)}")


if __name__ == "__main__":
    main()
