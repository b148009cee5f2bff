"""Writes the small ONNX files under tests/fixtures: one module in the spellings of many exporters.

    pip install torch onnx onnxscript safetensors
    python tests/python/write_fixtures.py tests/fixtures

`spellings/<module>.<form>.onnx` are exports of one PyTorch module; `spellings/<module>.safetensors`
holds two input images and what PyTorch makes of them. Weights are random, nothing is downloaded.
"""

import argparse
import math
import sys
import warnings
from pathlib import Path

import onnx
import onnxruntime
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from forms import FORMS, export
from other_exporters import keras, optimum, paddle, sklearn

CLASSES, WIDTH, PIXELS = 3, 4, 8


def classifier(*layers):
    """A stem, the layers under test, and a head on the mean of all pixels."""
    return nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), *layers, Mean(), nn.Linear(WIDTH, CLASSES))


class StandardisedConv(nn.Conv2d):
    """A convolution whose kernels are standardised and scaled by a gain, as timm writes it."""

    def __init__(self):
        super().__init__(WIDTH, WIDTH, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(WIDTH, 1, 1, 1))

    def forward(self, image):
        rows, gain = self.weight.reshape(1, WIDTH, -1), (self.gain * 0.5).view(-1)
        kernel = F.batch_norm(rows, None, None, weight=gain, training=True, momentum=0.0)
        return F.conv2d(image, kernel.reshape_as(self.weight), self.bias, padding=1)


class Mean(nn.Module):
    def forward(self, image):
        return image.mean((2, 3))


class OfTokens(nn.Module):
    """Four patches as tokens, the layers under test, and a head on their mean."""

    def __init__(self, *layers):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, image):
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        return self.head(self.layers(tokens).mean(1))


class Attention(nn.Module):
    """Multi-head attention by PyTorch's function, as timm writes it."""

    def __init__(self, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def attend(self, query, key, value):
        return F.scaled_dot_product_attention(query, key, value)

    def forward(self, tokens):
        batch, count, width = tokens.shape
        qkv = self.qkv(tokens).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = self.attend(query, key, value)
        return self.proj(attended.transpose(1, 2).reshape(batch, count, width))


class SpelledAttention(Attention):
    """The same by products and a softmax."""

    def attend(self, query, key, value):
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        return scores.softmax(-1) @ value


class EinsumAttention(Attention):
    """The same in Einstein's notation."""

    def attend(self, query, key, value):
        scores = torch.einsum("b h i d, b h j d -> b h i j", query * query.shape[-1] ** -0.5, key)
        return torch.einsum("b h i j, b h j d -> b h i d", scores.softmax(-1), value)


class NormedLinear(nn.Module):
    """A linear map of tokens and a batch norm over all of them, as LeViT writes it."""

    def __init__(self, width, out):
        super().__init__()
        self.linear = nn.Linear(width, out, bias=False)
        self.bn = nn.BatchNorm1d(out)

    def forward(self, tokens):
        tokens = self.linear(tokens)
        return self.bn(tokens.flatten(0, 1)).reshape_as(tokens)


class SequenceAttention(nn.Module):
    """LeViT's attention, with a shortcut."""

    def __init__(self, heads=2, size=2):
        super().__init__()
        self.heads, self.size = heads, size
        self.qkv = NormedLinear(WIDTH, 4 * heads * size)
        self.proj = nn.Sequential(nn.Hardswish(), NormedLinear(2 * heads * size, WIDTH))

    def forward(self, tokens):
        batch, count, _ = tokens.shape
        sizes = [self.size, self.size, 2 * self.size]
        query, key, value = self.qkv(tokens).view(batch, count, self.heads, -1).split(sizes, dim=3)
        query, key, value = query.permute(0, 2, 1, 3), key.permute(0, 2, 3, 1), value.permute(0, 2, 1, 3)
        weights = (query @ key * self.size**-0.5).softmax(-1)
        mixed = (weights @ value).transpose(1, 2).reshape(batch, count, -1)
        return tokens + self.proj(mixed)


def relative_index():
    """For each pair of the four patches, the row of a table of biases or coordinates."""
    at = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(2), indexing="ij")).flatten(1)
    apart = at[:, :, None] - at[:, None, :] + 1
    return (3 * apart[0] + apart[1]).flatten()


class WindowAttention(Attention):
    """With biases from a table and a mask that is computed each time, as in Swin."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(0.1 * torch.randn(9, self.heads))
        self.register_buffer("index", relative_index())

    def attend(self, query, key, value):
        bias = self.table[self.index].view(4, 4, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1) + bias
        regions = query.new_zeros((2, 2))
        for number, (rows, columns) in enumerate([((0, -1), (0, 2)), ((-1, None), (0, 2))]):
            regions[rows[0] : rows[1], columns[0] : columns[1]] = number
        regions = regions.flatten()
        apart = regions.unsqueeze(0) - regions.unsqueeze(1)
        mask = apart.masked_fill(apart != 0, -100.0).masked_fill(apart == 0, 0.0)
        return (scores + mask).softmax(-1) @ value


class CosineAttention(Attention):
    """With a learned temperature, biases from coordinates, and none for keys, as in Swin's second version."""

    def __init__(self):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(self.heads, 1, 1)))
        self.bias = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, self.heads, bias=False))
        steps = torch.arange(-1.0, 2.0)
        coordinates = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
        self.register_buffer("coordinates", coordinates)
        self.register_buffer("index", relative_index())
        nn.init.zeros_(self.qkv.bias)

    def forward(self, tokens):
        batch, count, width = tokens.shape
        bias = self.qkv.bias.clone()
        bias[width : 2 * width].zero_()
        qkv = F.linear(tokens, self.qkv.weight, bias).reshape(batch, count, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        scores = scores * torch.clamp(self.logit_scale, max=math.log(100.0)).exp()
        bias = self.bias(self.coordinates).view(-1, self.heads)[self.index].view(4, 4, -1)
        scores = scores + 16 * torch.sigmoid(bias.permute(2, 0, 1).unsqueeze(0))
        return self.proj((scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, count, width))


class MultiheadAttention(nn.Module):
    """PyTorch's module on itself."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def forward(self, tokens):
        return self.attention(tokens, tokens, tokens, need_weights=False)[0]


class Recurrent(nn.Module):
    """Two layers that read the tokens in both directions, and one whose last state is added to each token."""

    def __init__(self):
        super().__init__()
        self.both = nn.LSTM(WIDTH, 3, num_layers=2, batch_first=True, bidirectional=True)
        self.last = nn.LSTM(6, WIDTH, bias=False, batch_first=True)

    def forward(self, tokens):
        states, _ = self.both(tokens)
        _, (last, _) = self.last(states)
        return tokens + last.transpose(0, 1)


class SpelledRmsNorm(nn.Module):
    """RMSNorm as language models write it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, tokens):
        size = tokens.pow(2).mean(-1, keepdim=True)
        return self.weight * (tokens * torch.rsqrt(size + 1e-6))


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of an image, as ConvNeXt writes it."""

    def forward(self, image):
        return super().forward(image.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Twice(nn.Module):
    """One block, used twice."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU())

    def forward(self, image):
        return self.block(self.block(image))


class StackedHeads(nn.Module):
    """The mean of what two heads say, as CrossViT writes it."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(CLASSES, 2) for _ in range(2))

    def forward(self, features):
        return torch.stack([head(features) for head in self.heads], dim=0).mean(0)


class EqualPools(nn.Module):
    """Two modules with equal pools of one image, as the nested trees of DLA have them. Behind an
    activation that works in place, TorchScript does not merge them."""

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.project = nn.Sequential(nn.MaxPool2d(2), convolution())

    def forward(self, image):
        return torch.cat([self.pool(image), self.project(image)], 1)


class Residual(nn.Module):
    """A branch that starts as zeros, since the gains of its norm do."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = convolution(bias=False), nn.BatchNorm2d(WIDTH)
        nn.init.zeros_(self.norm.weight)

    def forward(self, image):
        return image + self.norm(self.convolution(image))


class Shuffle(nn.Module):
    """The channel shuffle of ShuffleNet."""

    def forward(self, image):
        batch, channels, height, width = image.shape
        grouped = image.view(batch, 2, channels // 2, height, width)
        return grouped.transpose(1, 2).contiguous().view(batch, channels, height, width)


class PatchMerging(nn.Module):
    """Four neighbours side by side, as in Swin."""

    def forward(self, image):
        corners = [image[:, :, row::2, :][:, :, :, column::2] for column in (0, 1) for row in (0, 1)]
        return torch.cat(corners, 1)[:, ::4]


class SqueezeExcite(nn.Module):
    """Gates of channels from their means."""

    def __init__(self):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(WIDTH, 2, 1), nn.Conv2d(2, WIDTH, 1)

    def forward(self, image):
        means = image.mean((2, 3), keepdim=True)
        return image * F.hardsigmoid(self.expand(F.relu(self.reduce(means))))


def convolution(bias=True):
    return nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=bias)


def zero_bias():
    """A convolution whose bias is zero, in a network that has norms."""
    last = convolution()
    nn.init.zeros_(last.bias)
    return classifier(nn.ReLU(), convolution(bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(), last)


def conv_bn():
    """With the pooling and flattening of torchvision's networks."""
    first = [nn.Conv2d(3, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU()]
    second = [convolution(bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, CLASSES)]
    return nn.Sequential(*first, *second, *head)


def adaptive_pools():
    """Pools to sizes that do not divide the image's, smaller and larger, one with windows of one size."""
    pools = [nn.AdaptiveAvgPool2d((3, 5)), convolution(), nn.AdaptiveAvgPool2d((7, 4)), nn.AdaptiveAvgPool2d(6)]
    return classifier(nn.ReLU(), *pools, nn.AdaptiveAvgPool2d(4))


def normed(norm):
    """Two normalised convolutions."""
    return classifier(nn.ReLU(), norm(convolution()), nn.ReLU(), norm(convolution(bias=False)))


# What each module is, and whether it stays as initialised (gains one, shifts zero).
FRESH, TOUCHED = True, False
USUAL = ["unfolded", "dynamo", "script", "script_nofold13"]
WHOLE = ["unfolded", "script_nofold13"]
FUNCTION = ["unfolded", "dynamo", "script_nofold13"]
MODULES = {
    "conv_bn": (
        conv_bn,
        FRESH,
        [*USUAL, "script_nofold", "weightless", "weightless_nofold", "unfolded_free", "script_nofold_free"],
    ),
    "conv_bn_touched": (conv_bn, TOUCHED, USUAL),
    "equal_pools": (
        lambda: classifier(nn.ReLU(inplace=True), EqualPools(), nn.Conv2d(2 * WIDTH, WIDTH, 1)),
        FRESH,
        USUAL,
    ),
    # TorchScript has no such pools.
    "adaptive_pools": (adaptive_pools, FRESH, ["unfolded", "dynamo"]),
    "zero_bias": (zero_bias, FRESH, USUAL),
    "zero_gains": (
        lambda: classifier(nn.ReLU(), Residual(), Residual()),
        FRESH,
        [*USUAL, "weightless", "weightless_nofold"],
    ),
    # Folding takes the bias into the norm.
    "bias_and_norm": (
        lambda: classifier(nn.BatchNorm2d(WIDTH), nn.ReLU()),
        FRESH,
        ["dynamo", "script", "weightless"],
    ),
    "twice": (lambda: classifier(Twice()), FRESH, USUAL),
    "weight_norm": (lambda: normed(parametrizations.weight_norm), TOUCHED, USUAL),
    "weight_norm_old": (lambda: normed(weight_norm), TOUCHED, USUAL),
    "spectral_norm": (lambda: normed(parametrizations.spectral_norm), TOUCHED, USUAL[:2]),
    "spectral_norm_old": (lambda: normed(spectral_norm), TOUCHED, USUAL),
    "standardised": (
        lambda: classifier(StandardisedConv(), nn.ReLU()),
        TOUCHED,
        ["unfolded", "script_nofold"],
    ),
    "group_norm": (
        lambda: classifier(nn.GroupNorm(2, WIDTH), nn.ReLU()),
        TOUCHED,
        [*USUAL, "unfolded21", "unfolded_free", "script_free"],
    ),
    "group_norm_fresh": (lambda: classifier(nn.GroupNorm(2, WIDTH), nn.ReLU()), FRESH, USUAL[2:]),
    "layer_norm": (
        lambda: OfTokens(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.LayerNorm(WIDTH)),
        TOUCHED,
        [*USUAL, "unfolded_free"],
    ),
    "layer_norm_channels": (lambda: classifier(ChannelLayerNorm(WIDTH), nn.ReLU()), TOUCHED, USUAL),
    # The script exporter knows no `aten::rms_norm`.
    "rms_norm": (
        lambda: OfTokens(nn.RMSNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, WIDTH)),
        TOUCHED,
        ["unfolded", "unfolded23", "dynamo", "dynamo23"],
    ),
    "rms_norm_spelled": (lambda: OfTokens(SpelledRmsNorm(), nn.Linear(WIDTH, WIDTH)), TOUCHED, USUAL),
    "gelu": (lambda: classifier(nn.GELU()), TOUCHED, [*FUNCTION, "unfolded20", "script20"]),
    "gelu_tanh": (lambda: classifier(nn.GELU("tanh")), TOUCHED, [*FUNCTION, "unfolded20", "script20"]),
    "silu": (lambda: classifier(nn.SiLU()), TOUCHED, FUNCTION),
    "hardswish": (lambda: classifier(nn.Hardswish()), TOUCHED, FUNCTION),
    "mish": (lambda: classifier(nn.Mish()), TOUCHED, FUNCTION),
    "relu6": (lambda: classifier(nn.ReLU6()), TOUCHED, FUNCTION),
    "squeeze_excite": (lambda: classifier(SqueezeExcite()), TOUCHED, USUAL),
    "shuffle": (lambda: classifier(Shuffle()), TOUCHED, [*USUAL, "unfolded_free", "script_free"]),
    # The script exporter knows scaled_dot_product_attention from opset 14 on.
    "attention": (
        lambda: OfTokens(Attention()),
        TOUCHED,
        ["unfolded", "unfolded23", "dynamo", "dynamo23", "script", "script_nofold14", "unfolded_free"],
    ),
    # Who folds constants folds the table and its index into one tensor.
    "window_attention": (lambda: OfTokens(WindowAttention()), FRESH, WHOLE),
    "window_attention_folded": (lambda: OfTokens(WindowAttention()), FRESH, ["dynamo", "script"]),
    # Two of them are fresh and equal, so that exporters merge their tensors.
    "cosine_attention": (lambda: OfTokens(CosineAttention(), CosineAttention()), FRESH, [*WHOLE, "script"]),
    # Uneven pads, as TensorFlow's networks have them.
    "padded": (
        lambda: classifier(
            nn.ZeroPad2d((0, 1, 0, 1)),
            nn.Conv2d(WIDTH, WIDTH, 3, stride=2),
            nn.ReLU(),
            nn.ZeroPad2d(1),
            nn.MaxPool2d(3, stride=1),
            nn.ConstantPad2d((0, 1, 0, 1), -math.inf),
            nn.MaxPool2d(2, stride=1),
            nn.ZeroPad2d((1, 0, 0, 1)),
            nn.AvgPool2d(2, stride=1),
        ),
        TOUCHED,
        USUAL,
    ),
    "mirrored": (
        lambda: classifier(nn.ReflectionPad2d((2, 1, 0, 3)), nn.AvgPool2d(3, 2), nn.ReplicationPad2d(1), nn.ZeroPad2d(-1)),
        TOUCHED,
        USUAL,
    ),
    "space_to_depth": (
        lambda: classifier(nn.PixelUnshuffle(2), nn.Conv2d(4 * WIDTH, WIDTH, 3, padding=1)),
        TOUCHED,
        USUAL,
    ),
    "patch_merging": (lambda: classifier(PatchMerging()), FRESH, USUAL),
    "without_bias": (lambda: nn.Sequential(classifier(), nn.Tanh(), nn.Linear(CLASSES, 2, bias=False)), TOUCHED, USUAL),
    "stacked_heads": (lambda: nn.Sequential(classifier(), nn.ReLU(), StackedHeads()), TOUCHED, USUAL),
    "lstm": (lambda: OfTokens(Recurrent()), TOUCHED, USUAL),
    "attention_einsum": (lambda: OfTokens(EinsumAttention()), TOUCHED, USUAL[:3]),
    "sequences": (lambda: OfTokens(SequenceAttention(), NormedLinear(WIDTH, WIDTH)), TOUCHED, USUAL),
    "attention_spelled": (lambda: OfTokens(SpelledAttention()), TOUCHED, USUAL[:3]),
    "multihead_attention": (lambda: OfTokens(MultiheadAttention()), TOUCHED, USUAL[:2]),
}


def built(build, fresh):
    """The module, seeded; unless fresh, nothing in it is zero or one by initialisation."""
    torch.manual_seed(0)
    module = build().eval()
    if fresh:
        return module
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return module


def write(module, image, spelling, path):
    """A spelling is `<form>[opset]` or `<form>[opset]_free`: with a symbolic batch size."""
    name = spelling.removesuffix("_free")
    form = name.rstrip("0123456789")
    opset = int(name[len(form) :] or 18)
    external = {"external_data": False} if FORMS[form]["dynamo"] else {}
    export(module, image, form, path, opset, free=spelling != name, **external)


TELLING = {"name_scopes", "rule_name", "InputSpec"}
CALLS = {"fx_node", "graph_signature"}
# Modules whose files only the calls tell apart, or must not.
CALLED = {"equal_pools", "zero_bias", "bias_and_norm", "patch_merging", "lstm"}


def shorten(path, calls):
    """Leaves of the exporter's notes those on rewritten nodes and on the kinds of inputs and, if asked,
    on the calls of PyTorch's functions."""
    telling = TELLING | CALLS if calls else TELLING
    model = onnx.load(path)
    graph = model.graph
    for holder in [*graph.node, *graph.input, *graph.output, *graph.initializer]:
        holder.doc_string = ""
        notes = [note for note in holder.metadata_props if telling & set(note.key.split("."))]
        kept = notes if len(notes) > 1 else []
        del holder.metadata_props[:]
        holder.metadata_props.extend(kept)
    if not calls:
        del graph.metadata_props[:]
    del graph.value_info[:]
    graph.doc_string = model.doc_string = ""
    onnx.save(model, path)


def write_spellings(folder, only):
    failures = []
    folder.mkdir(parents=True, exist_ok=True)
    for name, (build, fresh, spellings) in MODULES.items():
        if only and name not in only:
            continue
        module = built(build, fresh)
        images = torch.randn(2, 3, PIXELS, PIXELS, generator=torch.manual_seed(1))
        with torch.no_grad():
            save_file({"input": images, "output": module(images)}, folder / f"{name}.safetensors")
        for spelling in spellings:
            path = folder / f"{name}.{spelling}.onnx"
            image = images if spelling.endswith("_free") else images[:1]
            try:
                write(built(build, fresh), image, spelling, path)
                shorten(path, name in CALLED)
            except Exception as error:  # Exporters raise anything.
                failures.append(f"{path.name}: {type(error).__name__}: {str(error).strip()[:300]}")
    return failures


def write_others(folder):
    """Files of other exporters, and what ONNX Runtime makes of an input."""
    folder.mkdir(parents=True, exist_ok=True)
    models = {
        "keras": keras(transposed_everywhere=False),
        "keras_transposed": keras(transposed_everywhere=True),
        "paddle": paddle(),
        "sklearn": sklearn(),
        "optimum_vit": optimum(folder / "optimum_vit.onnx"),
    }
    for name, model in models.items():
        onnx.save(model, folder / f"{name}.onnx")
        session = onnxruntime.InferenceSession(model.SerializeToString())
        (image,), outputs = session.get_inputs(), session.get_outputs()
        planes = {"keras": [8, 8, 3], "sklearn": [5]}.get(name.split("_")[0], [3, 8, 8])
        images = torch.randn(2, *planes, generator=torch.manual_seed(1))
        # The probabilities of scikit-learn are its second output, one map for each input.
        result = session.run([outputs[-1].name], {image.name: images.numpy()})[0]
        if name == "sklearn":
            result = [list(classes.values()) for classes in result]
        save_file({"input": images, "output": torch.tensor(result)}, folder / f"{name}.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("fixtures", type=Path)
    parser.add_argument("--only", help="names of modules, with commas")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    only = arguments.only.split(",") if arguments.only else None
    failures = write_spellings(arguments.fixtures / "spellings", only)
    if not only:
        write_others(arguments.fixtures / "exporters")
    print("\n".join(failures))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
