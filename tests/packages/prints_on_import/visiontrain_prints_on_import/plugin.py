from __future__ import annotations

import sys

from visiontrain.plugin.hookspecs import hookimpl

print('{"printed": "while imported"}')
sys.stdout.write("without a newline")


@hookimpl
def register_frameworks(register):
    print("null")
