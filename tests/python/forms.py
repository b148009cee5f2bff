"""The ways in which PyTorch exports a module, by the names that the project gives them."""

import torch

FORMS = {
    "unfolded": {"dynamo": True, "optimize": False, "keep_initializers_as_inputs": True},
    "dynamo": {"dynamo": True},
    "script": {"dynamo": False},
    "script_nofold": {"dynamo": False, "do_constant_folding": False},
    "weightless": {"dynamo": False, "export_params": False},
    "weightless_nofold": {"dynamo": False, "export_params": False, "do_constant_folding": False},
}


def export(module, image, form, path, opset=None, free=False, **options):
    """Writes one form. If free, the batch size is symbolic. The dynamo forms also take what
    `torch.export.export` captured for a module."""
    options = FORMS[form] | options
    if options["dynamo"]:
        options["verbose"] = False
        if free:
            options["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif free:
        options |= {"input_names": ["image"], "dynamic_axes": {"image": {0: "batch"}}}
    torch.onnx.export(module, (image,), path, opset_version=opset, **options)
