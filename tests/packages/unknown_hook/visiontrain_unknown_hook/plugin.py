from __future__ import annotations

from visiontrain.plugin.hookspecs import hookimpl


@hookimpl
def register_rockets(register):
    register("one")
