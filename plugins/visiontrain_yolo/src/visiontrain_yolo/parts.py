"""Parts of a model by number."""

from __future__ import annotations

import re

from torch import nn

from visiontrain.errors import SpecError

__all__ = ["parameters_to_freeze"]

#: What no training changes: it turns a distribution into its mean.
_CONSTANT = ".dfl."


def parameters_to_freeze(model: nn.Module, text: str) -> list[str]:
    """The parameters that an option's text means, and those that are never trained.

    Args:
        model: Of Ultralytics: its layers are called ``model.0``, ``model.1``...
        text: ``none``; a number of layers, counted from the image; or the layers' numbers with commas between them.

    Raises:
        SpecError: the text can't be read, or means all layers.
    """
    names = [name for name, _ in model.named_parameters()]
    layers = sorted({int(name.split(".")[1]) for name in names})
    chosen = _layers(text)
    unknown = [layer for layer in chosen if layer > layers[-1]]
    if unknown:
        raise SpecError("freeze", f"there is no layer {unknown[0]}; the last one is {layers[-1]}")
    found = [name for name in names if int(name.split(".")[1]) in chosen or _CONSTANT in name]
    if len(found) == len(names):
        raise SpecError("freeze", f"{text} would leave nothing to train", instruction="Freeze less.")
    return found


def _layers(text: str) -> set[int]:
    if text == "none":
        return set()
    if re.fullmatch(r"\d+", text):
        return set(range(int(text)))
    if re.fullmatch(r"\d+(\s*,\s*\d+)+,?", text):
        return {int(part) for part in text.split(",") if part.strip()}
    raise SpecError("freeze", f"must be none, a number of layers, or numbers as 0,1,2, not {text!r}")
