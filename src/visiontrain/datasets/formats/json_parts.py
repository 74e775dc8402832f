"""Which JSON files make a dataset, what split each is of, and where its images may lie."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from visiontrain.datasets.formats.base import Listing, Split
from visiontrain.datasets.formats.class_folders import SPLIT_NAMES
from visiontrain.datasets.formats.files import folders_in, names_in, printable
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["Part", "annotation_files", "data_root", "find_parts", "has_keys"]

_ANNOTATION_FOLDERS = frozenset({"annotations", "annotation", "labels"})
_FILES_A_FOLDER = 50
_WORD = re.compile(r"[a-z]+")

#: Whether a JSON file is one of the format's.
Accepts = Callable[[str], bool]


@dataclass(frozen=True)
class Part:
    """One JSON file.

    Args:
        file: Absolute.
        split: What its name or that of its folder says; None where neither does.
        folders: Where its images may lie, absolute, the likeliest first.
    """

    file: str
    split: Split | None
    folders: tuple[str, ...]


def has_keys(file: str, keys: Sequence[str], but: Sequence[str] = ()) -> bool:
    """Whether a file has these keys, and none of `but`, by a search through its bytes."""
    try:
        with open(file, "rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(_quoted(key)) >= 0 for key in keys) and not any(
                content.find(_quoted(key)) >= 0 for key in but
            )
    except (OSError, ValueError):  # an empty file can't be mapped
        return False


def _quoted(key: str) -> bytes:
    return f'"{key}"'.encode()


def data_root(source: str) -> str:
    """The data's folder: above that of the annotations, where these have one of their own."""
    if os.path.isdir(source):
        return source
    folder = os.path.dirname(source)
    return os.path.dirname(folder) if os.path.basename(folder).lower() in _ANNOTATION_FOLDERS else folder


def find_parts(source: str, task: Task | None, accepts: Accepts, listing: Listing) -> tuple[list[Part], list[str]]:
    """The files to read for a task, in the order of the splits; and annotations that are not read, absolute.

    A file that is given, or the only one, is all there is: it is trained on, and a note says so where its name says
    another split.

    Raises:
        DatasetError: there are several to choose from.
    """
    root = data_root(source)
    if os.path.isdir(source):
        kinds: dict[str, list[str]] = {}
        for file in annotation_files(root, accepts):
            kinds.setdefault(_kind(file, root), []).append(file)
        chosen = _choose(root, kinds, task)
        files = kinds[chosen]
        others = [file for kind, of_kind in kinds.items() if kind != chosen for file in of_kind]
    else:
        files, others = [source], []
    parts = []
    for file in files:
        words = _split_words(file, root)
        split = SPLIT_NAMES[words[-1]] if words else None
        parts.append(Part(file, split, tuple(_image_folders(file, root, words))))
    if len(parts) > 1:
        _check_splits(root, parts, for_training=listing.for_training)
    elif listing.for_training:
        parts = [_only(parts[0], root, listing)]
    order = ("train", "val", "test")
    return sorted(parts, key=lambda part: order.index(part.split or "train")), others


def _only(part: Part, root: str, listing: Listing) -> Part:
    if part.split not in (None, "train"):
        name = printable(os.path.relpath(part.file, root))
        listing.add_note("only-split", f"{name} is all there is, and is trained on although its name says {part.split}")
    return replace(part, split=None)


def annotation_files(folder: str, accepts: Accepts) -> Iterator[str]:
    """JSON files with annotations, in a folder and one level below, sorted within each."""
    for below in ("", *folders_in(folder)):
        for name in sorted(names_in(os.path.join(folder, below), ".json"))[:_FILES_A_FOLDER]:
            file = os.path.join(folder, below, name)
            if accepts(file):
                yield file


def _names(file: str, root: str) -> list[str]:
    """The file's name without its ending and, where it is not the root, the folder's; lower case."""
    folder, name = os.path.split(file)
    own = os.path.splitext(name)[0].lower()
    return [own] if folder == root else [own, os.path.basename(folder).lower()]


def _split_words(file: str, root: str) -> tuple[str, ...]:
    """How the split is called in the names of file and folder: as it stands there, and the plain word last."""
    for name in _names(file, root):
        for found in re.finditer(r"([a-z]+)\d*", name):
            if found[1] in SPLIT_NAMES:
                return tuple(dict.fromkeys((found[0], found[1])))
    return ()


def _kind(file: str, root: str) -> str:
    """What the files of all splits have in common: their names with the split left out."""
    shared = [_WORD.sub(lambda word: "" if word[0] in SPLIT_NAMES else word[0], name) for name in _names(file, root)]
    return " ".join(re.sub(r"[\W_\d]+", " ", name).strip() for name in shared).strip()


def _choose(root: str, kinds: dict[str, list[str]], task: Task | None) -> str:
    """The kind of file that fits the task, as the folder has several: instances and persons' keypoints, say."""
    fitting = [kind for kind in kinds if ("keypoint" in kind) == (task is Task.pose)] or list(kinds)
    plain = [kind for kind in fitting if "instances" in kind]
    if len(fitting) > 1 and len(plain) != 1:
        files = [os.path.relpath(file, root) for kind in fitting for file in kinds[kind]]
        raise DatasetError(
            f"{printable(root)} has annotations of several kinds: {printable(', '.join(files))}",
            instruction=f"Give the file that counts, such as {printable(os.path.join(root, files[0]))}, or move the "
            "others away.",
        )
    return plain[0] if len(plain) == 1 else fitting[0]


def _check_splits(root: str, parts: list[Part], *, for_training: bool) -> None:
    for part in parts:
        name = printable(os.path.relpath(part.file, root))
        if part.split is None:
            raise DatasetError(
                f"{printable(root)} has several annotation files, and the name of {name} says no split",
                instruction="Name them after train, val and test, or give the file that counts.",
            )
        same = [printable(os.path.relpath(one.file, root)) for one in parts if one.split == part.split]
        if len(same) > 1:
            raise DatasetError(
                f"{printable(root)} has several annotation files for the split {part.split}: {', '.join(same)}",
                instruction="Give the file that counts, or move the others away.",
            )
    if for_training and not any(part.split == "train" for part in parts):
        splits = " and ".join(str(part.split) for part in parts)
        raise DatasetError(
            f"{printable(root)} has annotations for {splits}, none to train on",
            instruction="Add a file whose name has the word train.",
        )


def _image_folders(file: str, root: str, words: tuple[str, ...]) -> Iterator[str]:
    own = os.path.dirname(file)
    split = SPLIT_NAMES[words[-1]] if words else None
    spellings = dict.fromkeys((*words, *(name for name, of in SPLIT_NAMES.items() if of == split)))
    seen: set[str] = set()
    for folder in (
        *(
            os.path.join(base, *names)
            for word in spellings
            for base in (root, own)
            for names in ((word,), ("images", word), (word, "images"))
        ),
        own,
        os.path.join(root, "images"),
        os.path.join(own, "images"),
        root,
    ):
        if folder not in seen and os.path.isdir(folder):
            seen.add(folder)
            yield folder
