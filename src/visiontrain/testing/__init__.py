"""Tests for those who build on visiontrain: a conformance kit for plugins, and a fake framework for apps.

Names are loaded when they are first used: the half that runs inside environments stands on the standard library alone,
and the fake framework needs no pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visiontrain.datasets.samples import make_sample
    from visiontrain.testing.conformance import PluginConformance
    from visiontrain.testing.fake import FakeFramework, fake_framework
    from visiontrain.testing.worker.script import Crash, Failure, Hang

_EXPORTS = {
    "Crash": "visiontrain.testing.worker.script",
    "Failure": "visiontrain.testing.worker.script",
    "FakeFramework": "visiontrain.testing.fake",
    "Hang": "visiontrain.testing.worker.script",
    "PluginConformance": "visiontrain.testing.conformance",
    "fake_framework": "visiontrain.testing.fake",
    "make_sample": "visiontrain.datasets.samples",
}

__all__ = ["Crash", "Failure", "FakeFramework", "Hang", "PluginConformance", "fake_framework", "make_sample"]


def __getattr__(name: str) -> object:
    if name in _EXPORTS:
        value: object = getattr(importlib.import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
