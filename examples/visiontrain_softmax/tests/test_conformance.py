"""visiontrain's conformance kit, and what this plugin promises beyond it."""

from __future__ import annotations

from visiontrain.testing import PluginConformance


class TestSoftmax(PluginConformance):
    framework = "softmax"
    model = "softmax_regression"
