"""The categories of COCO files: classes in the order of their ids, and the keypoints that they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.objects import Skeleton
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["Categories"]

_SIDES = (("left", "right"), ("right", "left"))


class Categories:
    """Those of all files together."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self._keypoints: dict[int, tuple[tuple[str, ...], tuple[tuple[int, int], ...]]] = {}

    def add(self, item: Any, file: str) -> None:
        """Take a category.

        Raises:
            DatasetError: it can't be used, or contradicts one of another file.
        """
        number = item.get("id") if isinstance(item, Mapping) else None
        name = item.get("name") if isinstance(item, Mapping) else None
        if isinstance(number, bool) or not isinstance(number, int) or not isinstance(name, str) or not name.strip():
            raise _bad(file, f"the category {str(item)[:200]} lacks an id, a whole number, or a name")
        before = self.names.setdefault(number, name.strip())
        if before != name.strip():
            raise _bad(file, f"the category {number} is {name.strip()!r} here, and {before!r} before")
        points = item.get("keypoints")
        if points and isinstance(points, list):
            edges = item.get("skeleton") or []
            try:
                pairs = tuple((int(one) - 1, int(other) - 1) for one, other in edges)  # they are counted from 1
            except (TypeError, ValueError):
                raise _bad(file, f"the skeleton of the category {name!r} holds no pairs of numbers") from None
            if any(not 0 <= end < len(points) for pair in pairs for end in pair):
                raise _bad(file, f"the skeleton of the category {name!r} names a keypoint that it lacks")
            self._keypoints[number] = (tuple(map(str, points)), pairs)

    def classes(self, used: set[int], file: str) -> dict[int, str]:
        """Class names by category id, ascending.

        A name that two ids have is given to the one that annotations use.

        Raises:
            DatasetError: annotations use both.
        """
        names = dict(sorted(self.names.items()))
        for number, name in list(names.items()):
            same = [other for other, of in names.items() if of == name]
            if len(same) > 1 and number not in used:
                del names[number]
            elif len(set(same) & used) > 1:
                raise _bad(file, f"the categories {' and '.join(map(str, same))} are both called {name!r}")
        return names

    def skeleton(self, task: Task | None, file: str) -> Skeleton | None:
        """The one that all categories with keypoints have; None where there is none, or several and no need of one.

        Raises:
            DatasetError: there are several, and the task needs one.
        """
        found = set(self._keypoints.values())
        if len(found) > 1 and task is Task.pose:
            raise _bad(file, "its categories have different keypoints, and a model learns one set of them")
        if len(found) != 1:
            return None
        ((names, edges),) = found
        return Skeleton(names, edges, _flip(names))


def _flip(names: tuple[str, ...]) -> tuple[int, ...]:
    """What each keypoint becomes in a mirrored image, by the words left and right; empty where no name has them."""
    place = {name.lower(): number for number, name in enumerate(names)}
    mirrored = []
    for number, name in enumerate(names):
        others = [place.get(name.lower().replace(one, other)) for one, other in _SIDES if one in name.lower()]
        mirrored.append(next((other for other in others if other is not None), number))
    return tuple(mirrored) if mirrored != list(range(len(names))) else ()


def _bad(file: str, reason: str) -> DatasetError:
    return DatasetError(f"{printable(file)}: {reason}", instruction="Correct it there, or export the data again.")
