"""Parts of a timm model by name: the classifier, stages, and what patterns match."""

from __future__ import annotations

from fnmatch import fnmatchcase

from timm.models import group_parameters
from torch import nn

from visiontrain.errors import SpecError

__all__ = ["classifiers", "parameters_to_freeze"]


def classifiers(model: nn.Module) -> tuple[str, ...]:
    """Names of the modules that make class scores."""
    configured = getattr(model, "pretrained_cfg", None) or {}
    found = configured.get("classifier")
    if found is None:
        return ()
    return (found,) if isinstance(found, str) else tuple(found)


def parameters_to_freeze(model: nn.Module, text: str) -> list[str]:
    """The parameters that an option's text means.

    Args:
        model: Whose they are.
        text: ``none``; ``backbone``: all but the classifier's; a number of stages, counted from the image, the stem
            being the first; or names and patterns of modules and parameters with commas between them.

    Raises:
        SpecError: the text means nothing of this model, or all of it.
    """
    names = [name for name, _ in model.named_parameters()]
    if text == "none":
        return []
    if text == "backbone":
        heads = classifiers(model)
        found = [name for name in names if not _within(name, heads)]
    elif text.isdecimal():
        found = _stages(model, names, int(text))
    else:
        found = _matching(model, names, [part.strip() for part in text.split(",")])
    if len(found) == len(names):
        raise SpecError("freeze", f"{text} would leave nothing to train", instruction="Freeze less.")
    return found


def _within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _stages(model: nn.Module, names: list[str], count: int) -> list[str]:
    matcher = getattr(model, "group_matcher", None)
    if matcher is None:
        raise SpecError(
            "freeze",
            "can't be a number with this model: it does not say which stage a parameter belongs to",
            instruction=_modules(model),
        )
    stages: dict[str, int] = group_parameters(model, matcher(coarse=True), reverse=True)
    heads = classifiers(model)
    backbone = {stage for name, stage in stages.items() if not _within(name, heads)}
    if not 1 <= count <= len(backbone):
        raise SpecError("freeze", f"must be between 1 and this model's {len(backbone)} stages, not {count}")
    frozen = set(sorted(backbone)[:count])
    return [name for name in names if stages[name] in frozen and not _within(name, heads)]


def _matching(model: nn.Module, names: list[str], patterns: list[str]) -> list[str]:
    found: set[str] = set()
    for pattern in patterns:
        matches = {name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")}
        if not matches:
            raise SpecError("freeze", f"nothing of this model is called {pattern!r}", instruction=_modules(model))
        found |= matches
    return [name for name in names if name in found]


def _modules(model: nn.Module) -> str:
    return f"It has {', '.join(name for name, _ in model.named_children())}; or give backbone."
