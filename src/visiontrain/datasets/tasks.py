"""Which tasks data with objects can serve, and which of them it is read for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from visiontrain.datasets.staged_objects import Kinds, StagedObjects
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["UnservedTaskError", "choose_task", "either", "tasks_of"]


class UnservedTaskError(DatasetError):
    """The data can't be read for what was asked.

    Args:
        what: The data, in words: ``bccd is read as pascal-voc``.
        tasks: What it can be read for; the first is what it was made for.
        wanted: What was asked for.
        reason: Why it can't, where that is not plain.
    """

    def __init__(self, what: str, tasks: Sequence[Task], wanted: Collection[Task], reason: str = "") -> None:
        why = f": {reason}" if reason else ""
        super().__init__(
            f"{what}, which holds data for {either(tasks)}, not for {either(wanted)}{why}",
            instruction=f"Ask for the task {tasks[0]}, or give data for {either(wanted)}.",
        )
        self.what = what
        self.tasks = tuple(tasks)


def either(tasks: Collection[Task]) -> str:
    """One or the other, in words."""
    *others, last = map(str, tasks)
    return f"{', '.join(others)} or {last}" if others else last


def tasks_of(objects: StagedObjects, known: Sequence[Task]) -> tuple[Task, ...]:
    """What the annotations can serve, of the tasks that their format knows; what they were made for comes first.

    Keypoints say pose; corners of all objects obb; outlines of all objects segment, unless they are all nothing but
    their boxes.
    """
    kinds = objects.kinds()
    found = {Task.detect}
    if objects.skeleton is not None:
        found.add(Task.pose)
    if kinds.objects and kinds.cornered == kinds.objects:
        found.add(Task.obb)
    if kinds.objects and kinds.outlined == kinds.objects:
        found.add(Task.segment)
    drawn = kinds.rectangles < kinds.objects
    order = (
        (Task.pose, Task.obb, Task.segment, Task.detect) if drawn else (Task.pose, Task.obb, Task.detect, Task.segment)
    )
    return tuple(task for task in order if task in found and task in known)


def choose_task(
    objects: StagedObjects, known: Sequence[Task], task: Task | None, among: Collection[Task] | None, what: str
) -> tuple[Task, tuple[Task, ...]]:
    """The task to read objects for, and all that they can serve.

    Args:
        objects: What was listed.
        known: The tasks that their format knows.
        task: What the person asks for; None: whatever the data was made for.
        among: What to choose from then; None: anything.
        what: The data, in words.

    Raises:
        UnservedTaskError: they can't serve it.
    """
    if not objects.kinds().objects:  # the report says so, and why
        of_these = [one for one in known if among is None or one in among] or list(known)
        return task or of_these[0], tuple(known)
    found = tasks_of(objects, known)
    if task is not None:
        if task not in found:
            raise UnservedTaskError(what, found, (task,), _lacks(objects.kinds(), task))
        return task, found
    for one in found:
        if among is None or one in among:
            return one, found
    raise UnservedTaskError(what, found, tuple(among or ()))


def _lacks(kinds: Kinds, task: Task) -> str:
    if task is Task.segment:
        return f"{kinds.objects - kinds.outlined:,} of {kinds.objects:,} objects have no outline"
    if task is Task.obb:
        return f"{kinds.objects - kinds.cornered:,} of {kinds.objects:,} objects have no four corners"
    return "nothing says what keypoints its objects have" if task is Task.pose else ""
