"""Exports the classifiers of the split `real` without their weights.

    pip install torch torchvision timm onnx onnxscript
    python architectures/corpus/real.py FOLDER
    weightsmith corpus import real FOLDER

Networks of torchvision and timm as their libraries build them, untrained, with ten classes, in inference mode, by
the default call of PyTorch's exporter, at 32, 64 and 96 pixels. Every tensor that training learns or measures
becomes an input of the graph, known by its shape alone. Of the exporter's notes those stay that say which module
and which call a node belongs to. Written with torch 2.15, torchvision 0.29 and timm 1.0.31; nothing is downloaded.
"""

import argparse
import logging
import warnings
from functools import partial
from pathlib import Path

import numpy
import onnx
import timm
import torch
import torchvision

CLASSES = 10

# Constructor, image sizes, options; `...` is the image size.
TORCHVISION = [
    ("alexnet", [64], {}),
    ("vgg11", [64], {}),
    ("vgg11_bn", [32], {}),
    ("vgg16", [32], {}),
    ("vgg16_bn", [32], {}),
    ("resnet18", [32, 64, 96], {}),
    ("resnet34", [64], {}),
    ("resnet50", [32, 64, 96], {}),
    ("resnext50_32x4d", [32, 64], {}),
    ("wide_resnet50_2", [32], {}),
    ("densenet121", [32, 64], {}),
    ("googlenet", [64], {"aux_logits": False, "init_weights": False}),
    ("inception_v3", [96], {"aux_logits": False, "init_weights": False}),
    ("squeezenet1_0", [64], {}),
    ("squeezenet1_1", [32, 96], {}),
    ("mobilenet_v2", [32, 64, 96], {}),
    ("mobilenet_v3_small", [32, 64], {}),
    ("mobilenet_v3_large", [64, 96], {}),
    ("efficientnet_b0", [32, 64, 96], {}),
    ("efficientnet_v2_s", [64], {}),
    ("mnasnet0_5", [64], {}),
    ("mnasnet1_0", [32, 96], {}),
    ("regnet_x_400mf", [32, 64], {}),
    ("regnet_y_400mf", [32, 64, 96], {}),
    ("regnet_y_800mf", [64], {}),
    ("shufflenet_v2_x0_5", [64], {}),
    ("shufflenet_v2_x1_0", [32, 64], {}),
    ("convnext_tiny", [32, 64], {}),
    ("vit_b_16", [64], {"image_size": 64}),
]
TIMM = [
    ("resnet26d", [64], {}),
    ("legacy_seresnet18", [32], {}),
    ("ecaresnet26t", [64], {}),
    ("res2net50_14w_8s", [64], {}),
    ("repvgg_a0", [64], {}),
    ("ese_vovnet19b_slim_dw", [64], {}),
    ("cs3darknet_s", [96], {}),
    ("dla46_c", [64], {}),
    ("hrnet_w18_small", [64], {}),
    ("mobilenetv4_conv_small", [64], {}),
    ("ghostnet_050", [64], {}),
    ("rexnet_100", [64], {}),
    ("lcnet_050", [32], {}),
    ("tf_efficientnet_lite0", [64], {}),
    ("regnety_002", [32], {}),
    ("regnetx_002", [64], {}),
    ("starnet_s1", [64], {}),
    ("convnext_atto", [32, 96], {}),
    ("convnextv2_atto", [64], {}),
    ("poolformer_s12", [64], {}),
    ("vit_tiny_patch16_224", [32], {"img_size": 32, "patch_size": 4}),
    ("vit_tiny_patch16_224", [64, 96], {"img_size": ...}),
    ("deit_tiny_distilled_patch16_224", [32], {"img_size": 32, "patch_size": 4}),
    ("deit3_small_patch16_224", [64], {"img_size": 64}),
    ("mixer_s32_224", [64], {"img_size": 64}),
    ("mixer_s16_224", [64], {"img_size": 64}),
    ("resmlp_12_224", [64], {"img_size": 64}),
]

# What the exporter notes of a node and weightsmith reads: module, call, and the optimiser's rules.
NODE_NOTES = {
    "pkg.torch.onnx.name_scopes",
    "pkg.torch.onnx.fx_node",
    "pkg.onnxscript.rewriter.rule_name",
}
# The same of the graph: names of the module's tensors.
GRAPH_NOTES = {"pkg.torch.export.ExportedProgram.graph_signature"}


def of_torchvision(name, **options):
    return getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)


def of_timm(name, **options):
    return timm.create_model(name, num_classes=CLASSES, **options)


def networks():
    """Name of a network at a size, how to build it, the size."""
    for library, rows in (of_torchvision, TORCHVISION), (of_timm, TIMM):
        for name, sizes, options in rows:
            for size in sizes:
                given = {key: size if value is ... else value for key, value in options.items()}
                yield f"{name}-{size}", partial(library, name, **given), size


def exported(build, size, seed):
    """The module and the model that the default call makes of it."""
    torch.manual_seed(seed)
    module = build().eval()
    image = torch.zeros(1, 3, size, size)
    return module, torch.onnx.export(module, (image,), verbose=False).model_proto


def keep(notes, keys):
    """Drops the other notes."""
    kept = [note for note in notes if note.key in keys]
    del notes[:]
    notes.extend(kept)


def weightless(name, build, size):
    """The model with shapes in place of learned tensors: those of the state dict, and what differs between two
    initialisations."""
    module, model = exported(build, size, 0)
    _, other = exported(build, size, 1)
    others = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in other.graph.initializer}
    names = set(module.state_dict())
    graph = model.graph
    constants = []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        learned = tensor.name in names or not numpy.array_equal(values, others[tensor.name])
        if learned and tensor.data_type == onnx.TensorProto.FLOAT:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            constants.append(onnx.numpy_helper.from_array(values, tensor.name))
    for field in graph.initializer, graph.value_info, graph.quantization_annotation, model.metadata_props:
        del field[:]
    graph.initializer.extend(constants)
    for value in [*graph.input, *graph.output]:
        del value.metadata_props[:]
    keep(graph.metadata_props, GRAPH_NOTES)
    for node in graph.node:
        keep(node.metadata_props, NODE_NOTES)
        node.doc_string = ""
    graph.name, graph.doc_string, model.doc_string = name, "", ""
    return module, model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    for name, build, size in networks():
        path = folder / f"{name}.onnx"
        if path.exists():
            continue
        module, model = weightless(name, build, size)
        tensors = [value for key, value in module.state_dict().items() if not key.endswith("num_batches_tracked")]
        onnx.save(model, path)
        print(f"{name}: {sum(tensor.numel() for tensor in tensors)} values", flush=True)


if __name__ == "__main__":
    main()
