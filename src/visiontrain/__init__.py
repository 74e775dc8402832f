"""Train vision models of any framework, each in its own locked environment.

Names are loaded when they are first used, so that ``import visiontrain`` costs next to nothing and a worker that
imports it pulls in nothing of the host.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Where each public name lives. Kept sorted; a test compares it with __all__ and with the documentation.
_EXPORTS: dict[str, str] = {}

__all__ = sorted([*_EXPORTS, "__version__"])


def __getattr__(name: str) -> object:
    if name in _EXPORTS:
        value = getattr(importlib.import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
