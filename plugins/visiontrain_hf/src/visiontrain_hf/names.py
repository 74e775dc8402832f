"""The model names that are trained: presets, architectures, the hub's names, and folders. Standard library only."""

from __future__ import annotations

from visiontrain.protocol.tasks import Task

__all__ = ["MODEL_PATTERNS", "PRESETS", "PUBLISHED", "is_place", "preset_of"]

#: Small models that are made from random weights, which a CPU trains in a minute, by what they are for.
PRESETS: dict[str, tuple[Task, ...]] = {
    "vit-tiny": (Task.classify,),
    "deit-tiny": (Task.classify,),
    "swin-tiny": (Task.classify,),
    "convnext-tiny": (Task.classify,),
    "beit-tiny": (Task.classify,),
    "dinov2-tiny": (Task.classify,),
    "resnet-tiny": (Task.classify,),
    "rtdetr-tiny": (Task.detect,),
    "rtdetrv2-tiny": (Task.detect,),
    "dfine-tiny": (Task.detect,),
    "detr-tiny": (Task.detect,),
    "mask2former-tiny": (Task.segment, Task.semantic),
    "segformer-tiny": (Task.semantic,),
    "upernet-tiny": (Task.semantic,),
}

#: What else a preset may be called: some of their names are those of published, larger models as well.
_SCRATCH = "-scratch"

#: Models on the hub that people begin with, for the catalogue; every other name of the hub is taken, too.
PUBLISHED: dict[str, tuple[Task, ...]] = {
    **dict.fromkeys(
        (
            "google/vit-base-patch16-224",
            "google/vit-base-patch16-224-in21k",
            "facebook/deit-small-patch16-224",
            "facebook/deit-base-patch16-224",
            "microsoft/swin-tiny-patch4-window7-224",
            "microsoft/swinv2-tiny-patch4-window8-256",
            "facebook/convnext-tiny-224",
            "facebook/convnextv2-tiny-1k-224",
            "microsoft/beit-base-patch16-224",
            "facebook/dinov2-small",
            "facebook/dinov2-base",
            "microsoft/resnet-18",
            "microsoft/resnet-50",
        ),
        (Task.classify,),
    ),
    **dict.fromkeys(
        (
            "nvidia/mit-b0",
            "nvidia/mit-b2",
            "nvidia/segformer-b0-finetuned-ade-512-512",
            "nvidia/segformer-b2-finetuned-ade-512-512",
            "nvidia/segformer-b5-finetuned-ade-640-640",
            "openmmlab/upernet-convnext-tiny",
            "openmmlab/upernet-swin-tiny",
            "microsoft/beit-base-finetuned-ade-640-640",
            "Intel/dpt-large-ade",
        ),
        (Task.semantic,),
    ),
    **dict.fromkeys(
        (
            "PekingU/rtdetr_r18vd",
            "PekingU/rtdetr_r50vd",
            "PekingU/rtdetr_v2_r18vd",
            "PekingU/rtdetr_v2_r50vd",
            "ustc-community/dfine-nano-coco",
            "ustc-community/dfine-small-coco",
            "ustc-community/dfine-medium-coco",
            "hustvl/yolos-tiny",
        ),
        (Task.detect,),
    ),
    **dict.fromkeys(
        (
            "facebook/mask2former-swin-tiny-coco-instance",
            "facebook/mask2former-swin-small-coco-instance",
            "facebook/mask2former-swin-tiny-ade-semantic",
            "facebook/mask2former-swin-tiny-cityscapes-semantic",
        ),
        (Task.segment, Task.semantic),
    ),
}


def preset_of(name: str) -> str | None:
    """The preset that a name means; None where it means none."""
    bare = name.removesuffix(_SCRATCH)
    return bare if bare in PRESETS else None


def is_place(name: str) -> bool:
    """Whether a name says where a model is described, on the hub or in a folder, and not what it is."""
    return "/" in name


#: As `fnmatch` takes them.
MODEL_PATTERNS: tuple[str, ...] = (*PRESETS, *(f"{name}{_SCRATCH}" for name in PRESETS), "*/*")
