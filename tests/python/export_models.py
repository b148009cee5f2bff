"""Export the networks that a table of trained accuracies names, without weights, for `weightsmith bench rank --graphs`.

    python tests/python/export_models.py timm TABLE.csv OUT --size img_size --draw 300

The first column of the table names networks of timm, torchvision or pytorchcv. A network that cannot be exported is
reported and left out.
"""

import argparse
import csv
import pathlib
import random
import warnings

import torch


def build(library, name, classes):
    if library == "timm":
        import timm

        return timm.create_model(name)
    if library == "torchvision":
        import torchvision

        return torchvision.models.get_model(name, weights=None)
    from pytorchcv.model_provider import get_model

    return get_model(f"{name}_cifar{classes}", pretrained=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", choices=["timm", "torchvision", "pytorchcv"])
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--size", default="224", help="height and width of the images, or the column that holds it")
    parser.add_argument("--parameters", help="column of the parameters; with --most it leaves out larger networks")
    parser.add_argument("--most", type=float, default=1e8)
    parser.add_argument("--draw", type=int, help="export so many networks, drawn by seed 0")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    with open(arguments.table, newline="") as file:
        rows = list(csv.DictReader(file))
    key = next(iter(rows[0]))
    if arguments.parameters:
        rows = [row for row in rows if float(row[arguments.parameters]) <= arguments.most]
    sizes = {row[key]: int(row.get(arguments.size, arguments.size)) for row in rows}
    names = sorted(sizes)
    if arguments.draw:
        names = sorted(random.Random(0).sample(names, min(arguments.draw, len(names))))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = arguments.out / f"{name}.onnx"
        if path.exists():
            continue
        try:
            model = build(arguments.library, name, 10).eval()
            image = torch.zeros(1, 3, sizes[name], sizes[name])
            torch.onnx.export(
                model, (image,), str(path.with_suffix(".part")), dynamo=False, export_params=False, opset_version=17,
                do_constant_folding=False, input_names=["input"], output_names=["logits"],
            )
            path.with_suffix(".part").rename(path)
        except Exception as error:
            print(f"{name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}", flush=True)
            path.with_suffix(".part").unlink(missing_ok=True)
    print(f"{len(list(arguments.out.glob('*.onnx')))} networks in {arguments.out}")


main()
