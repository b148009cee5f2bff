"""The classifiers of torchvision and timm that exports are checked with."""

from collections import OrderedDict

import timm
import torch
import torchvision.models as tv
from safetensors.torch import load_file

CLASSES = 10


def torchvision_model(name, **options):
    return lambda: getattr(tv, name)(weights=None, num_classes=CLASSES, **options)


def timm_model(name, **options):
    return lambda: timm.create_model(name, num_classes=CLASSES, **options)


def small_vit():
    return tv.VisionTransformer(32, 8, 2, 4, 64, 128, num_classes=CLASSES)


def small_swin(block=None):
    from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

    v2 = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2} if block else {}
    return lambda: tv.SwinTransformer(
        [4, 4], 32, [2, 2], [2, 4], [4, 4], num_classes=CLASSES, **v2
    )


def small_maxvit():
    return tv.MaxVit((64, 64), 16, 4, [16, 32], [1, 1], 8, 0.0, num_classes=CLASSES)


# Family, network, how to build it, height and width of the image.
NETWORKS = [
    ("AlexNet", "alexnet", torchvision_model("alexnet"), 224),
    ("VGG", "vgg11_bn", torchvision_model("vgg11_bn"), 224),
    ("ResNet", "resnet18", torchvision_model("resnet18"), 64),
    ("ResNet-D", "resnet26d", timm_model("resnet26d"), 64),
    ("ResNeXt", "resnext50_32x4d", torchvision_model("resnext50_32x4d"), 32),
    ("Res2Net", "res2net50_14w_8s", timm_model("res2net50_14w_8s"), 64),
    ("ResNeSt", "resnest14d", timm_model("resnest14d"), 64),
    ("SENet", "legacy_seresnet18", timm_model("legacy_seresnet18"), 64),
    ("SKNet", "skresnet18", timm_model("skresnet18"), 64),
    ("ECA-Net", "ecaresnet26t", timm_model("ecaresnet26t"), 64),
    ("GCNet", "gcresnext26ts", timm_model("gcresnext26ts"), 64),
    ("BAT", "bat_resnext26ts", timm_model("bat_resnext26ts"), 256),
    ("BoTNet", "botnet26t_256", timm_model("botnet26t_256", img_size=64), 64),
    ("HaloNet", "halonet26t", timm_model("halonet26t"), 256),
    ("LambdaNet", "lambda_resnet26t", timm_model("lambda_resnet26t"), 64),
    ("BiT (ResNetV2)", "resnetv2_18", timm_model("resnetv2_18"), 64),
    ("NFNet", "nf_regnet_b0", timm_model("nf_regnet_b0"), 64),
    ("DenseNet", "densenet121", torchvision_model("densenet121"), 64),
    ("DPN", "dpn48b", timm_model("dpn48b"), 64),
    ("DLA", "dla46_c", timm_model("dla46_c"), 64),
    ("HRNet", "hrnet_w18_small", timm_model("hrnet_w18_small"), 64),
    ("SelecSLS", "selecsls42b", timm_model("selecsls42b"), 64),
    ("VoVNet", "ese_vovnet19b_slim_dw", timm_model("ese_vovnet19b_slim_dw"), 64),
    ("CSPNet", "cs3darknet_s", timm_model("cs3darknet_s"), 64),
    ("GoogLeNet", "googlenet", torchvision_model("googlenet", aux_logits=False, init_weights=False), 64),
    ("Inception", "inception_v3", torchvision_model("inception_v3", aux_logits=False, init_weights=False), 96),
    ("Xception", "xception41", timm_model("xception41"), 64),
    ("SqueezeNet", "squeezenet1_1", torchvision_model("squeezenet1_1"), 64),
    ("ShuffleNetV2", "shufflenet_v2_x0_5", torchvision_model("shufflenet_v2_x0_5"), 64),
    ("MobileNetV2", "mobilenet_v2", torchvision_model("mobilenet_v2"), 64),
    ("MobileNetV3", "mobilenet_v3_small", torchvision_model("mobilenet_v3_small"), 64),
    ("MobileNetV4", "mobilenetv4_conv_small", timm_model("mobilenetv4_conv_small"), 64),
    ("MobileOne", "mobileone_s0", timm_model("mobileone_s0"), 64),
    ("MnasNet", "mnasnet0_5", torchvision_model("mnasnet0_5"), 64),
    ("EfficientNet", "efficientnet_b0", torchvision_model("efficientnet_b0"), 64),
    ("EfficientNet (TF pads)", "tf_efficientnet_lite0", timm_model("tf_efficientnet_lite0"), 64),
    ("GhostNet", "ghostnet_050", timm_model("ghostnet_050"), 64),
    ("ReXNet", "rexnet_100", timm_model("rexnet_100"), 64),
    ("RegNet", "regnety_002", timm_model("regnety_002"), 64),
    ("RepVGG", "repvgg_a0", timm_model("repvgg_a0"), 64),
    ("StarNet", "starnet_s1", timm_model("starnet_s1"), 64),
    ("ConvNeXt", "convnext_tiny", torchvision_model("convnext_tiny"), 64),
    ("ConvNeXt V2", "convnextv2_atto", timm_model("convnextv2_atto"), 64),
    ("ConvMixer", "convmixer_768_32", timm_model("convmixer_768_32"), 64),
    ("InceptionNeXt", "inception_next_atto", timm_model("inception_next_atto"), 64),
    ("FocalNet", "focalnet_tiny_srf", timm_model("focalnet_tiny_srf"), 64),
    ("MambaOut", "mambaout_femto", timm_model("mambaout_femto"), 64),
    ("MLP-Mixer", "mixer_s32_224", timm_model("mixer_s32_224", img_size=64), 64),
    ("ResMLP", "resmlp_12_224", timm_model("resmlp_12_224", img_size=64), 64),
    ("gMLP", "gmlp_ti16_224", timm_model("gmlp_ti16_224", img_size=64), 64),
    ("PoolFormer", "poolformer_s12", timm_model("poolformer_s12"), 64),
    ("MetaFormer", "caformer_s18", timm_model("caformer_s18"), 64),
    ("ViT (torchvision)", "vit_2_layers", small_vit, 32),
    ("ViT (timm)", "vit_tiny_patch16_224", timm_model("vit_tiny_patch16_224", img_size=64), 64),
    ("DeiT", "deit_tiny_distilled_patch16_224", timm_model("deit_tiny_distilled_patch16_224", img_size=64), 64),
    ("EVA-02", "eva02_tiny_patch14_224", timm_model("eva02_tiny_patch14_224", img_size=56), 56),
    ("Swin", "swin_2_stages", small_swin(), 32),
    ("Swin V2", "swin_v2_2_stages", small_swin("v2"), 32),
    ("MaxViT", "maxvit_2_stages", small_maxvit, 64),
    ("CaiT", "cait_xxs24_224", timm_model("cait_xxs24_224", img_size=64), 64),
    ("XCiT", "xcit_nano_12_p16_224", timm_model("xcit_nano_12_p16_224", img_size=64), 64),
    ("PiT", "pit_ti_224", timm_model("pit_ti_224", img_size=64), 64),
    ("PVT", "pvt_v2_b0", timm_model("pvt_v2_b0"), 64),
    ("Twins", "twins_svt_small", timm_model("twins_svt_small"), 64),
    ("LeViT", "levit_128s", timm_model("levit_128s"), 224),
    ("CoaT", "coat_lite_tiny", timm_model("coat_lite_tiny", img_size=64), 64),
    ("CrossViT", "crossvit_tiny_240", timm_model("crossvit_tiny_240"), 240),
    ("MobileViT", "mobilevit_xxs", timm_model("mobilevit_xxs"), 64),
    ("EdgeNeXt", "edgenext_xx_small", timm_model("edgenext_xx_small"), 64),
    ("EfficientFormer", "efficientformer_l1", timm_model("efficientformer_l1"), 224),
    ("EfficientViT", "efficientvit_b0", timm_model("efficientvit_b0"), 64),
    ("FastViT", "fastvit_t8", timm_model("fastvit_t8"), 64),
    ("RepViT", "repvit_m0_9", timm_model("repvit_m0_9"), 64),
    ("TinyViT", "tiny_vit_5m_224", timm_model("tiny_vit_5m_224"), 224),
    ("Hiera", "hiera_tiny_224", timm_model("hiera_tiny_224", img_size=64), 64),
    ("DaViT", "davit_tiny", timm_model("davit_tiny"), 64),
    ("Sequencer2D", "sequencer2d_s", timm_model("sequencer2d_s", img_size=64), 64),
]


# Further networks that many people export.
FURTHER = [
    ("ResNet", "resnet50", torchvision_model("resnet50"), 64),
    ("RegNet", "regnet_y_400mf", torchvision_model("regnet_y_400mf"), 64),
]

# Networks that are compared from export to export. AlexNet and VGG are not among them: the script
# exporter cannot write their pooling at 64 pixels.
COMPARED = """
vit_2_layers swin_2_stages squeezenet1_1 shufflenet_v2_x0_5 mobilenet_v3_small mnasnet0_5
mobilenet_v2 resnet18 regnety_002 ghostnet_050 dla46_c repvgg_a0
ese_vovnet19b_slim_dw mobilenetv4_conv_small convnextv2_atto starnet_s1 efficientnet_b0
legacy_seresnet18 ecaresnet26t googlenet densenet121 resnet26d rexnet_100 cs3darknet_s
vit_tiny_patch16_224 deit_tiny_distilled_patch16_224 mixer_s32_224 poolformer_s12
resnet50 resnext50_32x4d res2net50_14w_8s hrnet_w18_small resnetv2_18 convnext_tiny
swin_v2_2_stages maxvit_2_stages mobileone_s0 mambaout_femto resmlp_12_224 regnet_y_400mf
""".split()


def compared():
    """The networks above, in their order."""
    known = {entry[1]: entry for entry in NETWORKS + FURTHER}
    return [known[name] for name in COMPARED]


def fresh(build):
    """A network as it is initialised."""
    torch.manual_seed(0)
    return build().eval()


def refusal(module, path):
    """Why a module does not take a state dict strictly; empty if it does."""
    state = OrderedDict(load_file(path))
    # torchvision's MnasNet asks which version of it wrote the file.
    state._metadata = {"": module.state_dict()._metadata[""]}
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        return " ".join(str(error).split())[:300]
    return ""
