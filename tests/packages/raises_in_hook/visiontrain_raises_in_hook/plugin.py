from __future__ import annotations

from visiontrain.plugins.hookspecs import hookimpl


@hookimpl
def register_frameworks(register):
    raise RuntimeError("not today")
