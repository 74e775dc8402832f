"""Signs of data whose labels lie in annotation files, so that it is never mistaken for folders of classes."""

from __future__ import annotations

import os
import re

__all__ = ["sign_of_annotations"]

_HEAD = 64 * 1024
_FILES_A_FOLDER = 20  # looked at: one is as good a sign as a thousand
_SIGNS = (".yaml", ".yml", ".json", ".xml")
_IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img", "jpegimages"})
_ANNOTATION_FOLDERS = frozenset(
    {"labels", "label", "annotations", "annotation", "masks", "mask", "segmentationclass", "segmentationobject"}
)
_COCO_KEYS = (b'"images"', b'"annotations"', b'"categories"')


def sign_of_annotations(root: str) -> str | None:
    """What annotated layout the folder looks like, with the file or folder that says so, or None.

    Looks at the folder itself and one level below.
    """
    folders, files = _look(root)
    found = _sign_in_folder(root, "", folders, files)
    for folder in folders:
        if found is None:
            found = _sign_in_folder(root, f"{folder}/", *_look(os.path.join(root, folder)))
    return found


def _sign_in_folder(root: str, prefix: str, folders: list[str], files: list[str]) -> str | None:
    for name in files:
        head, tail = _ends(os.path.join(root, prefix, name))
        extension = os.path.splitext(name)[1].lower()
        if extension == ".json" and sum(key in head or key in tail for key in _COCO_KEYS) > 1:
            return f"a COCO dataset ({prefix}{name})"
        if extension == ".xml" and b"<annotation" in head:
            return f"a Pascal VOC dataset ({prefix}{name})"
        names_and_splits = re.search(rb"(?m)^names\s*:", head) and re.search(rb"(?m)^(train|val)\s*:", head)
        if extension in (".yaml", ".yml") and names_and_splits:
            return f"a YOLO dataset ({prefix}{name})"
    lower = {name.lower(): name for name in folders}
    images = sorted(_IMAGE_FOLDERS & lower.keys())
    annotations = sorted(_ANNOTATION_FOLDERS & lower.keys())
    if images and annotations:
        return f"images with annotations ({prefix}{lower[images[0]]} beside {prefix}{lower[annotations[0]]})"
    return None


def _look(folder: str) -> tuple[list[str], list[str]]:
    """Names of folders, and of a few files that may be a sign, both sorted."""
    folders: list[str] = []
    files: dict[str, list[str]] = {extension: [] for extension in _SIGNS}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                extension = os.path.splitext(entry.name)[1].lower()
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif extension in files and len(files[extension]) < _FILES_A_FOLDER:
                    files[extension].append(entry.name)
    except OSError:
        return [], []  # the reader says what can't be opened
    return sorted(folders), sorted(name for found in files.values() for name in found)


def _ends(path: str) -> tuple[bytes, bytes]:
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            file.seek(max(len(head), os.path.getsize(path) - _HEAD))
            return head, file.read(_HEAD)
    except OSError:
        return b"", b""
