from __future__ import annotations

from visiontrain.plugin.hookspecs import hookimpl


@hookimpl
def register_frameworks(register):
    raise RuntimeError("not today")
