from __future__ import annotations

from visiontrain.plugins.hookspecs import hookimpl


@hookimpl
def register_frameworks(register):
    register({"name": "dictionary"})
