"""Patterns that timm's model names match, tags included. Standard library only; a test compares them with timm."""

from __future__ import annotations

__all__ = ["MODEL_PATTERNS"]

#: What a name begins with, by family; "_" at the end where the bare word would catch other frameworks' names.
_FAMILIES = """
    aimv2_ bat_resnext beit_ beit3_ beitv2_ botnet caformer_ cait_ coat_ coatnet_ coatnext_ convformer_ convit_
    convmixer_ convnext_ convnextv2_ cpubone_ crossvit_ cs3darknet_ cs3edgenet_ cs3se_edgenet_ cs3sedarknet_ csatv2
    cspdarknet cspnext cspresnet cspresnext darknet17 darknet21 darknet53 darknetaa53 davit_ deepseek_vit_ deit_ deit3_
    densenet dla dm_nfnet_ dpn eca_botnext eca_halonext eca_nfnet_ eca_resne eca_vovnet ecaresne edgenext_
    efficientformer_ efficientformerv2_ efficientnet_ efficientnetv2_ efficientvim_ efficientvit_ ese_vovnet eva_ eva02_
    fasternet_ fastvit_ fbnetc_ fbnetv3_ flexivit_ focalnet_ gc_efficientnet gcresne gcvit_ gemma4_vit_ gernet_
    ghostnet_ ghostnetv2_ ghostnetv3_ gmixer_ gmlp_ halo2botnet halonet haloregnet hardcorenas_ hgnet_ hgnetv2_ hiera_
    hieradet_ hrnet_ iformer_ inception_next_ inception_resnet_ inception_v lambda_resnet lamhalobotnet lcnet_ lcnetv2_
    legacy_senet legacy_seresne legacy_xception levit_ lowformer_ mambaout_ maxvit_ maxxvit_ maxxvitv2_ mixer_ mixnet_
    mnasnet_ mobilenet_edgetpu_ mobilenetv1_ mobilenetv2_ mobilenetv3_ mobilenetv4_ mobilenetv5_ mobileone_ mobilevit_
    mobilevitv2_ mvitv2_ naflexvit_ nasnetalarge nest_ nextvit_ nf_ecaresnet nf_regnet nf_resnet nf_seresnet nfnet_ pit_
    pnasnet poolformer_ poolformerv2_ pvt_v2_ qwen3_vit_ rdnet_ regnetv_ regnetx_ regnety_ regnetz_ repghostnet_ repvgg_
    repvit_ res2net res2next resmlp_ resnest resnet[0-9] resnetaa resnetblur resnetrs resnetv2_ resnext rexnet_ rexnetr_
    sam2_hiera_ samvit_ sebotnet sedarknet sehalonet selecsls semnasnet_ senet154 sequencer2d_ seresne shvit_ skresne
    spnasnet_ starnet_ swiftformer_ swin_ swinv2_ test_byobnet test_coatnet test_convnext test_efficientnet
    test_mambaout test_maxvit test_nfnet test_resnet test_vit tf_efficientnet tf_mixnet_ tf_mobilenet
    tiny_vit_ tinynet_ tnt_ tresnet_ twins_ vgg11 vgg13 vgg16 vgg19 visformer_ vit_ vitamin_ volo_ vovnet wide_resnet
    xception41 xception65 xception71 xcit_
"""

#: As `fnmatch` takes them. A name that says where it is to be loaded from is timm's own way of writing.
MODEL_PATTERNS: tuple[str, ...] = (*(f"{prefix}*" for prefix in _FAMILIES.split()), "hf-hub:*", "local-dir:*")
