"""Exports image classifiers of Hugging Face's transformers, built from their configurations, with both of PyTorch's
exporters, each by its default call.

    pip install torch onnx onnxscript transformers
    python tests/python/export_transformers.py FOLDER [NAME ...]

Writes FOLDER/<name>-dynamo.onnx and FOLDER/<name>-script.onnx for 10 classes; says what PyTorch cannot export.
"""

import sys
import time
import warnings
from pathlib import Path

import torch
import transformers as hub

SIZE = 64
VIT = dict(image_size=SIZE, patch_size=8, hidden_size=192, num_hidden_layers=6, num_attention_heads=3,
           intermediate_size=768)
SWIN = dict(image_size=SIZE, patch_size=2, embed_dim=48, depths=[2, 2, 2], num_heads=[3, 6, 12], window_size=4)
PYRAMID = dict(hidden_sizes=[32, 64, 160, 256], depths=[1, 1, 1, 1])
TOWER = dict(VIT, num_hidden_layers=4)

# Family, its options, and the size of its images.
MODELS = {
    "beit": ("Beit", VIT, SIZE),
    "clip": ("CLIP", dict(vision_config=TOWER), SIZE),
    "convnext": ("ConvNext", dict(hidden_sizes=[48, 96, 192, 384], depths=[2, 2, 6, 2]), SIZE),
    "convnextv2": ("ConvNextV2", dict(hidden_sizes=[40, 80, 160, 320], depths=[2, 2, 6, 2]), SIZE),
    "cvt": ("Cvt", dict(embed_dim=[32, 96, 192], num_heads=[1, 3, 6], depth=[1, 2, 4]), SIZE),
    "data2vec": ("Data2VecVision", VIT, SIZE),
    "deit": ("DeiT", VIT, SIZE),
    "dinov2": ("Dinov2", {key: VIT[key] for key in VIT if key != "intermediate_size"}, SIZE),
    "efficientnet": ("EfficientNet", dict(image_size=SIZE, width_coefficient=1.0, depth_coefficient=1.0,
                                          hidden_dim=1280), SIZE),
    "focalnet": ("FocalNet", dict(image_size=SIZE, embed_dim=48, depths=[2, 2, 4, 2]), SIZE),
    "hgnetv2": ("HGNetV2", {}, SIZE),
    "hiera": ("Hiera", dict(image_size=[128, 128], embed_dim=48, depths=[1, 2, 3, 2]), 128),
    "levit": ("Levit", dict(image_size=128, hidden_sizes=[128, 192, 256]), 128),
    "mobilenetv1": ("MobileNetV1", dict(image_size=SIZE, depth_multiplier=0.5), SIZE),
    "mobilenetv2": ("MobileNetV2", dict(image_size=SIZE, depth_multiplier=0.5), SIZE),
    "mobilevit": ("MobileViT", dict(image_size=SIZE, hidden_sizes=[64, 80, 96],
                                    neck_hidden_sizes=[16, 16, 24, 48, 64, 80, 320]), SIZE),
    "mobilevitv2": ("MobileViTV2", dict(image_size=SIZE, width_multiplier=0.5), SIZE),
    "poolformer": ("PoolFormer", dict(PYRAMID, depths=[2, 2, 4, 2]), SIZE),
    "pvt": ("Pvt", dict(PYRAMID, image_size=SIZE), SIZE),
    "pvtv2": ("PvtV2", dict(PYRAMID, image_size=SIZE), SIZE),
    "regnet": ("RegNet", dict(hidden_sizes=[32, 64, 160, 384], depths=[1, 2, 4, 2], groups_width=16), SIZE),
    "resnet": ("ResNet", dict(hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic"), SIZE),
    "segformer": ("Segformer", PYRAMID, SIZE),
    "siglip": ("Siglip", dict(vision_config=TOWER), SIZE),
    "swiftformer": ("SwiftFormer", dict(embed_dims=[24, 48, 96, 160], depths=[2, 2, 4, 2]), SIZE),
    "swin": ("Swin", SWIN, SIZE),
    "swinv2": ("Swinv2", SWIN, SIZE),
    "textnet": ("TextNet", {}, SIZE),
    "vit": ("ViT", VIT, SIZE),
    "vit_msn": ("ViTMSN", VIT, SIZE),
}


class Logits(torch.nn.Module):
    """A classifier that returns its logits alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values).logits


def build(name):
    family, options, size = MODELS[name]
    config = getattr(hub, f"{family}Config")(num_labels=10, **options)
    torch.manual_seed(0)
    return Logits(getattr(hub, f"{family}ForImageClassification")(config)).eval(), torch.randn(1, 3, size, size)


def main():
    folder, *names = sys.argv[1:]
    warnings.simplefilter("ignore")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in names or MODELS:
        for exporter in ("dynamo", "script"):
            path = Path(folder, f"{name}-{exporter}.onnx")
            started = time.time()
            module, image = build(name)
            try:
                torch.onnx.export(module, (image,), str(path), dynamo=exporter == "dynamo", external_data=False)
            except Exception as error:
                path.unlink(missing_ok=True)
                print(f"{path.stem}: PyTorch cannot export it: {str(error).strip().splitlines()[-1]}")
            else:
                print(f"{path.stem}: {time.time() - started:.1f} s")


if __name__ == "__main__":
    main()
