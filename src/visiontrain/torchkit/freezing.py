"""Parts of a model that training leaves as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from torch import nn

from visiontrain.errors import SpecError

__all__ = ["begin_training", "freeze", "parameters_to_freeze"]


def freeze(model: nn.Module, names: Iterable[str]) -> None:
    """Let training leave these parameters as they are.

    Args:
        model: Changed in place.
        names: Of parameters, as `nn.Module.named_parameters` has them.
    """
    parameters = dict(model.named_parameters())
    for name in names:
        parameters[name].requires_grad = False


def begin_training(model: nn.Module) -> None:
    """Put the model in training mode, but not batch norms whose parameters are frozen: their statistics stay too."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the only common base
            own = list(module.parameters(recurse=False))
            if own and not any(parameter.requires_grad for parameter in own):
                module.eval()


def parameters_to_freeze(
    model: nn.Module, text: str, *, heads: tuple[str, ...], stages_of: Callable[[], Mapping[str, int] | None]
) -> list[str]:
    """The parameters that the option's text means.

    Args:
        model: Whose they are.
        text: ``none``; ``backbone``: all but the classifier's; a number of stages, counted from the image, the stem
            being the first; or names and patterns of modules and parameters with commas between them.
        heads: Names of the modules that make class scores.
        stages_of: Gives the number of each parameter's stage; None where the model does not say.

    Raises:
        SpecError: the text means nothing of this model, or all of it.
    """
    names = [name for name, _ in model.named_parameters()]
    if text == "none":
        return []
    if text == "backbone":
        found = [name for name in names if not _within(name, heads)]
    elif text.isdecimal():
        found = _first_stages(model, names, int(text), heads, stages_of())
    else:
        found = _matching(model, names, [part.strip() for part in text.split(",")])
    if len(found) == len(names):
        raise SpecError("freeze", f"{text} would leave nothing to train", instruction="Freeze less.")
    return found


def _within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _first_stages(
    model: nn.Module, names: list[str], count: int, heads: tuple[str, ...], stages: Mapping[str, int] | None
) -> list[str]:
    if stages is None:
        raise SpecError(
            "freeze",
            "can't be a number with this model: it does not say which stage a parameter belongs to",
            instruction=_modules(model),
        )
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
