"""Which build of torch an environment gets: ``cpu``, ``cu128``, ``auto``, or None for the default index's."""

from __future__ import annotations

import os
import re

from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.errors import SpecError

__all__ = ["wanted_torch_backend"]

_VARIABLES = ("VISIONTRAIN_TORCH_BACKEND", "UV_TORCH_BACKEND")


def wanted_torch_backend(definition: EnvironmentDefinition, argument: str | None) -> str | None:
    """The torch backend that `argument`, else a variable, asks for; None too where there is no torch to choose.

    Raises:
        SpecError: it is not the name of one.
    """
    field, value = "torch_backend", argument
    for variable in _VARIABLES:
        if value is None:
            field, value = variable, os.environ.get(variable) or None
    if value is None:
        return None
    if not re.fullmatch(r"[a-z][a-z0-9.]{1,15}", value):
        raise SpecError(field, f"{value!r} is not a torch backend such as cpu, cu128, rocm6.4 or auto")
    return value if any(pin.name == "torch" for pin in definition.pins) else None
