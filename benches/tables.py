"""Makes the tables of predicted weights in docs/results.md: runs the benchmark and writes what it says.

    cargo build --release
    python benches/tables.py --cifar10 DATA --mnist DATA [--weightsmith target/release/weightsmith]
    python benches/tables.py --keep

Each run's JSON goes to benches/results/, the tables go between the marks in docs/results.md. --keep skips
the runs and writes the tables of the results that are there. No package is needed.
"""

import argparse
import json
import shlex
import subprocess
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benches/results"
PAGE = ROOT / "docs/results.md"
MLP = "mlp-hypernetwork"

SPLITS = {
    "id": "the distribution of training",
    "wide": "two to four times the widths",
    "deep": "two to three times the blocks",
    "dense": "larger densely connected networks",
    "norm-free": "no normalisation",
    "new-op": "activations that training never meets (Softplus, Softsign)",
    "attention": "vision transformers of other depths, heads and spellings",
    "named": "networks of the literature (`architectures/named`)",
}

# Arguments of `weightsmith bench transfer`, by the name of the result. Data sets are shell variables.
RUNS = {
    "cifar10": "--data \"$CIFAR10\" --space cifar10 --corrupted 0 --sgd benches/results/sgd.json",
    "mnist": "--predictor mnist --data \"$MNIST\" --corrupted 0",
    "corpus": f"--data \"$CIFAR10\" --limit 1000 --corrupted 40 --beside predictors/{MLP}"
    " --sgd benches/results/sgd.json " + " ".join(f"--split {split}" for split in SPLITS)
    + " --html target/transfer.html",
}


def result(name):
    return json.loads((RESULTS / f"transfer-{name}.json").read_text())


def experiment(name):
    return json.loads((ROOT / f"experiments/graph-worth/{name}.json").read_text())


def percent(share):
    return f"{100 * share:.1f}"


def interval(of):
    return f"{percent(of['mean'])} [{percent(of['low'])}, {percent(of['high'])}]"


def method(split, name):
    return next(method for method in split["methods"] if method["method"] == name)


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def command(run):
    return f"weightsmith bench transfer {RUNS[run]} --out benches/results/transfer-{run}.json"


def spread_row(name, of):
    figures = [percent(of[key]) for key in ("min", "median", "max")]
    return [name, of["count"], f"{percent(of['mean'])} ± {percent(of['std'])}", *figures]


def spreads(outcome):
    (split,) = outcome["splits"]
    names = {
        "predicted": "**predicted, no data, no training**",
        "he, calibrated": "He initialisation, statistics measured",
        "he": "He initialisation",
    }
    rows = [spread_row(title, method(split, name)["spread"]) for name, title in names.items()]
    return table(["weights", "graphs", "mean ± std", "min", "median", "max"], rows)


def beside_training(splits):
    rows = []
    for split in splits:
        training = split.get("training")
        if not training:
            continue
        by_epochs = {trained["epochs"]: interval(trained["top1"]) for trained in training["trained"]}
        rows.append(
            [
                f"`{split['split']}`",
                training["graphs"],
                interval(training["predicted"]),
                *(by_epochs.get(epochs, "–") for epochs in (1, 5, 20)),
                "{mean:.2f} [{low:.2f}, {high:.2f}]".format(**training["ratio"]),
                "{mean:.1f} [{low:.1f}, {high:.1f}]".format(**training["worth"]),
            ]
        )
    header = ["split", "graphs", "predicted", "SGD, 1 epoch", "5 epochs", "20 epochs"]
    return table([*header, "predicted / 20 epochs", "worth, epochs"], rows)


def over_splits(outcome):
    rows = []
    for split in outcome["splits"]:
        predicted, he = method(split, "predicted"), method(split, "he, calibrated")
        of = predicted["spread"]
        rows.append(
            [
                f"`{split['split']}`",
                SPLITS[split["split"]],
                *spread_row("", of)[1:],
                percent(method(split, MLP)["spread"]["mean"]),
                percent(he["spread"]["mean"]),
                f"{predicted['ece']['mean']:.3f}",
                percent(predicted["corrupted"]["mean"]),
            ]
        )
    header = ["split", "what is new", "graphs", "mean ± std", "min", "median", "max"]
    return table([*header, "MLP", "He, measured", "ECE", "corrupted"], rows)


def lead(split):
    return interval(split["comparisons"][MLP]["difference"])


def leads_by_family(split):
    leads = defaultdict(list)
    for graph in split["graphs"]:
        top1 = {name: axes["top1"] for name, axes in graph["methods"].items()}
        leads[graph["family"]].append(top1["predicted"] - top1[MLP])
    means = {family: sum(values) / len(values) for family, values in leads.items()}
    ordered = sorted(means.items(), key=lambda item: -item[1])
    return ", ".join(f"{family} {100 * mean:+.1f}" for family, mean in ordered)


def text(results):
    corpus = results["corpus"]
    named = next(split for split in corpus["splits"] if split["split"] == "named")
    one_by_one = ", ".join(
        f"{graph['name']} {percent(graph['methods']['predicted']['top1'])}" for graph in named["graphs"]
    )
    trained = [results["cifar10"]["splits"][0] | {"split": "cifar10"}, *corpus["splits"]]
    count = sum(split["training"]["graphs"] for split in trained if split.get("training"))
    refused = len(corpus["guard"]["graphs_refused"])
    (of_positions,) = experiment("positions")["splits"]
    positions = method(of_positions, "mlp-positions")
    (of_early,) = experiment("equal-budget")["splits"]
    early = {
        "predicted": method(of_early, "predicted")["top1"]["mean"],
        "mlp": method(of_early, "equal-budget-mlp")["top1"]["mean"],
    }
    minutes = sum(outcome["cost"]["seconds"] for outcome in results.values()) / 60
    return f"""\
Neither training nor tuning saw these graphs. CIFAR-10: the first 100 test seeds of
`architectures/spaces/cifar10.toml`, first {results["cifar10"]["data"]["images"]:,} test images.

{spreads(results["cifar10"])}

A plain three-convolution CNN without normalisation (`architectures/named/plain-cnn.onnx`) reaches
**{percent(results["cifar10"]["plain_cnn"]["top1"])} %**.

MNIST: the first 100 test seeds of `architectures/spaces/mnist.toml`, first {results["mnist"]["data"]["images"]:,} test images.

{spreads(results["mnist"])}

### Held-out splits

The splits of [`architectures/corpus`](../architectures/README.md#corpus), first {corpus["data"]["images"]:,} CIFAR-10 test images. The leak
guard refused {refused} graphs: `graphs.sketch` in the predictor's folder knows every graph that its training could
draw, up to isomorphism. *MLP* is a hypernetwork without the graph ([below](#what-the-graph-is-worth)). *He, measured* is
He initialisation with measured statistics. *Corrupted* is the mean over five corruptions of five severities,
{corpus["data"]["corrupted_images"]} images each. Two choices were made after earlier figures were known, although
nothing was fitted to them: how unseen operators are substituted (after `new-op` was at 30 %), and fire modules and
ConvNeXt blocks of 1 × 1 convolutions in the search space (after `named` lacked them).

{over_splits(corpus)}

![The page that `--html` writes](../benches/results/transfer.png)

The named networks, one by one: {one_by_one}.

### Compared with SGD

SGD from random initialisation on {count} of these graphs (10,000 test images for SGD): means with 95 % bootstrap
intervals over graphs. The graphs are the first ones of `cifar10`, `id` and `norm-free`, plus the cheapest of each split,
as far as the computing time went. *Worth* is the number of epochs of SGD that reach the predicted accuracy.

{beside_training(trained)}

### What the graph is worth

The baseline *MLP* ([`predictors/{MLP}`](../predictors/{MLP})) writes each weight from the attributes of its
own node alone. It started from the bundled predictor and had 9,000 more steps of training, so the comparison favours the
baseline. On `id` the graph transformer leads by {lead(corpus["splits"][0])} points. By family:
{leads_by_family(corpus["splits"][0])}.

The lead is largest where the wiring says what no node can know by itself. If the MLP also reads the depth and degree of
each node, which come from the graph, it reaches {percent(positions["top1"]["mean"])} % on `id`. Early in training the graph is worth nothing yet:
after 7,500 steps from scratch ([`experiments/graph-worth`](../experiments/graph-worth)), accuracy is {percent(early["predicted"])} % with the graph and
{percent(early["mlp"])} % without.

### Reproduction

`python benches/tables.py --cifar10 "$CIFAR10" --mnist "$MNIST"` runs these commands ({minutes:.0f} minutes) and writes
everything above; the JSON is in [`benches/results/`](../benches/results):

```sh
{chr(10).join(command(run) for run in RUNS)}
```

The learning curves of SGD are in `benches/results/sgd.json` (momentum 0.9, weight decay 5e-4, rate 0.05 with cosine
decay, batch 64, shifts and mirror images, 45,000 training images, running statistics measured on 512 of them; each
length is a separate run). `bench sgd` adds to this file:

```sh
weightsmith bench sgd --data "$CIFAR10" --space cifar10 --graphs 10 --epochs 1,5,20 --out benches/results/sgd.json
weightsmith bench sgd --data "$CIFAR10" --split id --split norm-free ... --graphs 100 --graph NAME ... \\
    --epochs 1,5,20 --out benches/results/sgd.json
```"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weightsmith", default="target/release/weightsmith", type=Path)
    parser.add_argument("--cifar10", type=Path, help="the data set, by path")
    parser.add_argument("--mnist", type=Path, help="the data set, by path")
    parser.add_argument("--keep", action="store_true", help="use the results that are there")
    parser.add_argument("--only", choices=RUNS, action="append", help="only this run")
    arguments = parser.parse_args()
    data = {"CIFAR10": arguments.cifar10, "MNIST": arguments.mnist}
    for run in [] if arguments.keep else arguments.only or RUNS:
        line = command(run)
        for name, path in data.items():
            if f"${name}" in line and path is None:
                parser.error(f"run '{run}' needs --{name.lower()} DATA")
            line = line.replace(f'"${name}"', shlex.quote(str(path and path.absolute())))
        started = time.monotonic()
        executable = arguments.weightsmith.absolute()
        subprocess.run(shlex.split(line), executable=executable, cwd=ROOT, check=True)
        print(f"{run}: {time.monotonic() - started:.0f} s", flush=True)
    results = {run: result(run) for run in RUNS}
    before, rest = PAGE.read_text().split("<!-- weights -->\n")
    _, after = rest.split("<!-- /weights -->")
    PAGE.write_text(f"{before}<!-- weights -->\n{text(results)}\n<!-- /weights -->{after}")


if __name__ == "__main__":
    main()
