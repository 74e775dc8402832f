"""The file that describes a YOLO dataset, ``data.yaml``: splits, class names, keypoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visiontrain.datasets.formats.base import Split
from visiontrain.datasets.formats.documents import read_yaml
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.objects import Skeleton
from visiontrain.errors import DatasetError

__all__ = ["Description", "read_description"]

_SPLITS: tuple[tuple[Split, tuple[str, ...]], ...] = (
    ("train", ("train",)),
    ("val", ("val", "valid", "validation")),
    ("test", ("test",)),
)
_EXPECTED = (
    "Expected keys such as `path: .`, `train: images/train`, `val: images/val` and `names: [cat, dog]`, or `names` "
    "with a line `0: cat` for each class."
)


@dataclass(frozen=True)
class Description:
    """What the file says.

    Args:
        root: The folder that its paths are relative to, absolute.
        splits: By split the folders of images and files with lists of them, absolute; they are there. Not empty.
        names: Class names by the number that label files write, ascending.
        skeleton: Of data with keypoints.
        dimensions: Numbers a keypoint in label files: 2, or 3 with its visibility.
    """

    root: str
    splits: Mapping[Split, tuple[str, ...]]
    names: Mapping[int, str]
    skeleton: Skeleton | None
    dimensions: int = 3


def read_description(file: str) -> Description:
    """Read and check the file.

    Raises:
        DatasetError: it can't be used; says what it lacks, and of paths where they were looked for.
    """
    content = read_yaml(file)
    if content.get("download"):
        raise DatasetError(
            f"{printable(file)} has a key `download`, which visiontrain does not carry out: it names an address, a "
            "shell command or a program to run",
            instruction="Get the data yourself, as that key says, and remove the key.",
        )
    names = _names(file, content)
    root = _root(file, content)
    splits: dict[Split, tuple[str, ...]] = {}
    for split, words in _SPLITS:
        said = [word for word in words if content.get(word)]
        if len(said) > 1:
            raise _bad(file, f"has {' and '.join(said)}, which are names of one split")
        if said:
            splits[split] = tuple(_places(file, root, said[0], content[said[0]]))
    if not splits:
        raise _bad(file, "names no images: there is no key `train`, `val` or `test`")
    skeleton, dimensions = _skeleton(file, content)
    return Description(root, splits, names, skeleton, dimensions)


def _bad(file: str, reason: str) -> DatasetError:
    return DatasetError(f"{printable(file)} {reason}", instruction=_EXPECTED)


def _names(file: str, content: Mapping[str, Any]) -> dict[int, str]:
    written = content.get("names")
    if isinstance(written, list):
        written = dict(enumerate(written))
    if not isinstance(written, dict) or not written:
        raise _bad(file, "has no class names: the key `names` is missing, or no list and no mapping")
    names: dict[int, str] = {}
    for number, name in written.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise _bad(file, f"has the class number {number!r} in `names`: a whole number from 0 on is needed")
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            raise _bad(
                file,
                f"has {name!r} for the name of class {number}: write it in quotes, as YAML takes it for "
                "something else than text",
            )
        names[number] = str(name).strip()
    if any(not name for name in names.values()):
        raise _bad(file, "has an empty name of a class")
    twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    if twice:
        raise _bad(file, f"gives several classes one name: {', '.join(twice)}")
    count = content.get("nc")
    if count is not None and count != len(names):
        raise _bad(file, f"says `nc: {count}` and has {len(names)} names")
    return dict(sorted(names.items()))


def _root(file: str, content: Mapping[str, Any]) -> str:
    folder = os.path.dirname(file)
    path = content.get("path")
    if path is None or path == "":
        return folder
    if not isinstance(path, str) or "\0" in path:
        raise _bad(file, f"has the path {path!r}, which is none")
    root = os.path.normpath(os.path.join(folder, os.path.expanduser(path)))
    # What is published says where the data lies on its author's machine: then it may lie beside the file.
    return root if os.path.isdir(root) else folder


def _places(file: str, root: str, key: str, value: object) -> list[str]:
    written = value if isinstance(value, list) else [value]
    found = []
    for one in written:
        if not isinstance(one, str) or "\0" in one:
            raise _bad(
                file, f"has {one!r} under `{key}`: a folder of images, a text file that lists them, or a list of these"
            )
        candidates = [os.path.normpath(os.path.join(root, os.path.expanduser(one)))]
        if one.startswith("../"):  # as Roboflow writes it of a folder that lies beside the file
            candidates.append(os.path.normpath(os.path.join(root, one[3:])))
        place = next((candidate for candidate in candidates if os.path.exists(candidate)), None)
        if place is None:
            raise DatasetError(
                f"{printable(file)} names {printable(one)} under `{key}`, which is not there: "
                f"{printable(' or '.join(candidates))}",
                instruction="Correct it, or `path`, the folder that it is relative to; without `path` that is the "
                "file's own.",
            )
        found.append(place)
    return found


def _skeleton(file: str, content: Mapping[str, Any]) -> tuple[Skeleton | None, int]:
    shape = content.get("kpt_shape")
    if shape is None:
        return None, 3
    if (
        not (isinstance(shape, list) and [type(one) for one in shape] == [int, int])
        or shape[0] < 1
        or shape[1] not in (2, 3)
    ):
        raise _bad(file, f"has `kpt_shape: {shape!r}`: [number of keypoints, 2 or 3] is needed, 3 with visibility")
    count, dimensions = shape
    flip = content.get("flip_idx") or []
    if flip and (not isinstance(flip, list) or sorted(map(str, flip)) != sorted(map(str, range(count)))):
        raise _bad(file, f"has `flip_idx: {flip!r}`: each of 0 to {count - 1} once is needed")
    names = content.get("kpt_names")
    if isinstance(names, dict):  # by class; there is one skeleton for all
        names = next(iter(names.values()), None)
    if names and (not isinstance(names, list) or len(names) != count):
        raise _bad(file, f"has `kpt_names`, and not {count} of them")
    made_up = names or range(count)
    return Skeleton(tuple(map(str, made_up)), (), tuple(map(int, flip)), visibility=dimensions == 3), dimensions  # noqa: PLR2004
