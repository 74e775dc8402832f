"""Which tasks a run may have: those that the person, the model, the framework and the data agree on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from visiontrain.datasets.tasks import UnservedTaskError, either
from visiontrain.errors import DatasetError, SpecError
from visiontrain.protocol.messages import ModelInfo
from visiontrain.protocol.tasks import Task
from visiontrain.runners.known import KNOWN_PLUGINS, installing
from visiontrain.runners.routing import Framework

__all__ = ["refuse_data", "tasks_of"]


def tasks_of(
    framework: Framework, model: ModelInfo | None, wanted: Task | None, others: Iterable[Framework]
) -> tuple[Task, ...]:
    """What the data may be read for.

    Args:
        framework: Trains the model.
        model: What is known of the model; None: nothing yet.
        wanted: What the person asks for; None: it is left to model and data.
        others: All frameworks that can be used, to name those that can what this one can't.

    Raises:
        SpecError: framework or model can't do what is wanted.
    """
    manifest = framework.manifest
    if wanted is not None and wanted not in manifest.tasks:
        can = ", ".join(map(str, manifest.tasks))
        raise SpecError(
            "task",
            f"the framework {manifest.name} can't {wanted}; it can: {can}",
            instruction=_who_can(wanted, others),
        )
    own = tuple(task for task in manifest.tasks if model is not None and str(task) in model.tasks)
    if wanted is not None and model is not None and own and wanted not in own:
        can = ", ".join(map(str, own))
        raise SpecError(
            "task",
            f"the model {model.name} can't {wanted}; it can: {can}",
            instruction=f"Name another one; visiontrain models --framework {manifest.name} says what each can.",
        )
    return (wanted,) if wanted is not None else own or manifest.tasks


def refuse_data(error: UnservedTaskError, framework: Framework, others: Sequence[Framework]) -> DatasetError:
    """The error for data that is there for tasks that the framework or its model can't do."""
    manifest = framework.manifest
    task = error.tasks[0]
    if task in manifest.tasks:  # the model can't, or the person asks for more than the data has
        return error
    return DatasetError(
        f"{error.what}, which holds data for {either(error.tasks)}, and the framework {manifest.name} "
        f"can't {task}; it can: {', '.join(map(str, manifest.tasks))}",
        instruction=_who_can(task, others),
    )


def _who_can(task: Task, frameworks: Iterable[Framework]) -> str:
    able = [framework.manifest.name for framework in frameworks if task in framework.manifest.tasks]
    if able:
        return f"Name a model of {' or '.join(able)}, which can {task}."
    known = [plugin for plugin in KNOWN_PLUGINS if task in plugin.tasks]
    if not known:
        return f"No plugin that this version of visiontrain knows of can {task}."
    return f"Install a framework that can {task}: {installing(known)}"
