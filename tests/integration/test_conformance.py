"""The project's own plugins pass the conformance kit, as it is given to the authors of others."""

from __future__ import annotations

from typing import ClassVar

import pytest

from visiontrain.testing import PluginConformance


@pytest.mark.timeout(1800)
class TestTimm(PluginConformance):
    framework = "timm"
    model = "test_resnet"
    options: ClassVar = {"workers": 0}
    varying = ("position.seconds",)


@pytest.mark.timeout(1800)
class TestYoloDetects(PluginConformance):
    framework = "yolo"
    model = "yolo26n"
    task = "detect"
    options: ClassVar = {"workers": 0}
    image_size = 64
    varying = ("position.seconds",)
