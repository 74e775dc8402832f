from __future__ import annotations

from visiontrain.plugins.hookspecs import hookimpl


@hookimpl
def register_rockets(register):
    register("one")
