"""The YAML file that describes images with masks: folders of each split, what values mean, which are ignored."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visiontrain.datasets.formats.base import Split
from visiontrain.datasets.formats.documents import BadDocument, read_document, read_yaml
from visiontrain.datasets.formats.files import names_in, printable
from visiontrain.datasets.formats.mask_places import Pair
from visiontrain.datasets.formats.places import place
from visiontrain.errors import DatasetError

__all__ = ["MaskDescription", "describes_masks", "descriptions_in", "read_mask_description", "usable"]

_SPLITS: tuple[tuple[Split, tuple[str, ...]], ...] = (
    ("train", ("train", "training")),
    ("val", ("val", "valid", "validation")),
    ("test", ("test",)),
)
_HEAD = 1 << 20
_EXPECTED = (
    "Expected `train: {images: images/train, masks: masks/train}`, the same for `val`, and `classes` with a line "
    "`0: road` for each value of the masks' pixels; `ignore_classes: [0]` names values that are no class."
)


@dataclass(frozen=True)
class MaskDescription:
    """What the file says.

    Args:
        root: The folder that paths are relative to, absolute.
        pairs: Folders of images and masks, a pair a split; they are there.
        names: Class names by value; None where it has none.
        ignored: Those of them that are no classes; None where it doesn't say.
        ignore_value: A further value of pixels of no class; None where it doesn't say.
    """

    root: str
    pairs: tuple[Pair, ...]
    names: dict[int, str] | None
    ignored: tuple[int, ...] | None
    ignore_value: int | None


def describes_masks(file: str) -> bool:
    """Whether a YAML file names masks of a split."""
    try:
        head = read_document(file, _HEAD)
    except BadDocument:
        return False
    return bool(re.search(rb"(?m)^(train|training|val|valid|validation|test)\s*:", head)) and bool(
        re.search(rb"(?m)(^\s+|[{,]\s*)masks\s*:", head)
    )


def descriptions_in(folder: str) -> list[str]:
    """The YAML files in a folder that name masks, sorted."""
    names = sorted(name for extension in (".yaml", ".yml") for name in names_in(folder, extension))
    return [file for file in (os.path.join(folder, name) for name in names) if describes_masks(file)]


def usable(files: Sequence[str]) -> list[str]:
    """Those that can be read, and whose folders are there: some are published with paths of another machine."""
    found = []
    for file in files:
        with contextlib.suppress(DatasetError):
            read_mask_description(file)
            found.append(file)
    return found


def read_mask_description(file: str, *, names_alone: bool = False) -> MaskDescription:
    """Read and check the file.

    Args:
        file: The YAML file.
        names_alone: Only what it says about classes; folders are not looked for.

    Raises:
        DatasetError: it can't be used; says what it lacks, and of paths where they were looked for.
    """
    content = read_yaml(file)
    names = _names(file, content)
    ignored = _values(file, content, "ignore_classes")
    value = _values(file, content, "ignore_value")
    root = _root(file, content)
    pairs = [] if names_alone else list(_pairs(file, root, content))
    if not pairs and not names_alone:
        raise _bad(file, "names no masks: there is no key `train`, `val` or `test` with `images` and `masks`")
    if value is not None and len(value) != 1:
        raise _bad(file, "has several numbers under `ignore_value`, where one is due")
    return MaskDescription(root, tuple(pairs), names, ignored, value[0] if value else None)


def _pairs(file: str, root: str, content: Mapping[str, Any]) -> list[Pair]:
    pairs = []
    for split, words in _SPLITS:
        said = [word for word in words if content.get(word)]
        if len(said) > 1:
            raise _bad(file, f"has {' and '.join(said)}, which are names of one split")
        if said:
            written = content[said[0]]
            if not isinstance(written, dict) or not {"images", "masks"} <= written.keys():
                raise _bad(file, f"has no `images` and `masks` under `{said[0]}`")
            images, masks = (_folder(file, root, said[0], key, written[key]) for key in ("images", "masks"))
            pairs.append(Pair(split, images, masks))
    return pairs


def _folder(file: str, root: str, split: str, key: str, written: object) -> str:
    if not isinstance(written, str) or "\0" in written:
        raise _bad(file, f"has {written!r} for `{key}` of `{split}`: a folder is due")
    whole = os.path.normpath(os.path.join(root, os.path.expanduser(written)))
    if not os.path.isdir(whole):
        raise DatasetError(
            f"{printable(file)} names {printable(written)} for `{key}` of `{split}`, and there is no folder "
            f"{printable(whole)}",
            instruction="Correct it, or `path`, the folder that it is relative to; without `path` that is the file's "
            "own.",
        )
    return "" if whole == root else place(root, whole)


def _root(file: str, content: Mapping[str, Any]) -> str:
    folder = os.path.dirname(file)
    path = content.get("path")
    if path is None or path == "":
        return folder
    if not isinstance(path, str) or "\0" in path:
        raise _bad(file, f"has the path {path!r}, which is none")
    root = os.path.normpath(os.path.join(folder, os.path.expanduser(path)))
    return root if os.path.isdir(root) else folder


def _names(file: str, content: Mapping[str, Any]) -> dict[int, str] | None:
    written = content.get("classes", content.get("names"))
    if written is None:
        return None
    if isinstance(written, list):
        written = dict(enumerate(written))
    if not isinstance(written, dict) or not written:
        raise _bad(file, "has no class names under `classes`: no list and no mapping")
    names: dict[int, str] = {}
    for value, name in written.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _bad(file, f"has {value!r} in `classes`, where a value of pixels is due, from 0 on")
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            raise _bad(file, f"has {name!r} for the name of the class of the value {value}: a text is due")
        names[value] = str(name).strip()
    return names


def _values(file: str, content: Mapping[str, Any], key: str) -> tuple[int, ...] | None:
    written = content.get(key)
    if written is None:
        return None
    values = written if isinstance(written, list) else [written]
    if any(isinstance(value, bool) or not isinstance(value, int) or value < 0 for value in values):
        raise _bad(file, f"has {written!r} under `{key}`, where values of pixels are due, from 0 on")
    return tuple(values)


def _bad(file: str, reason: str) -> DatasetError:
    return DatasetError(f"{printable(file)} {reason}", instruction=_EXPECTED)
