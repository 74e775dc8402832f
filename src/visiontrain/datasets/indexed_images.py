"""The images of a survey as its index has them, and the fingerprint of the data."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from visiontrain.datasets.objects import Row
from visiontrain.datasets.survey import Survey
from visiontrain.protocol.tasks import Task

__all__ = ["IndexedImage", "fingerprint_of", "images_of"]


def fingerprint_of(survey: Survey, classes: tuple[str, ...]) -> str:
    """SHA-256 over all images in order, with what they show, and what that means.

    That is path, content, split and label, objects or mask of each; class names, skeleton, values of masks and task.
    """
    skeleton = survey.staging.objects.skeleton
    what: list[object] = [str(survey.task), classes]
    if survey.multi_label:
        what.append("multi-label")
    if survey.has_objects:
        what += ["objects", skeleton.to_json() if skeleton and survey.task is Task.pose else ""]
    if survey.has_masks:
        what += ["masks", dataclasses.astuple(survey.staging.masks.meaning)]
    digest = hashlib.sha256(json.dumps(what).encode())
    for image in images_of(survey, classes):
        labels = b",".join(b"%d" % label for label in image.labels)
        head = b"%s\0%s\0%d\0" % (image.split.encode(), labels, len(image.path))
        digest.update(b"%s%s%s" % (head, image.path, image.sha256))
        if image.objects:
            digest.update(repr(image.objects).encode())
        if image.mask:
            digest.update(b"%d\0%s%s" % (len(image.mask[0]), *image.mask))
    return digest.hexdigest()


class IndexedImage(NamedTuple):
    """A row of the index; made a million times."""

    split: str
    position: int
    path: bytes
    width: int
    height: int
    labels: tuple[int, ...]
    sha256: bytes
    objects: tuple[tuple[int, Row], ...]
    mask: tuple[bytes, bytes] | None  # path and SHA-256


def images_of(survey: Survey, classes: tuple[str, ...]) -> Iterator[IndexedImage]:
    """All images, in an order that depends on paths alone."""
    of_name = {name: label for label, name in enumerate(classes)}
    rows = survey.staging.rows("SELECT id, name FROM class")
    of_class = {number: of_name[name] for number, name in rows if name in of_name}
    position, last = 0, ""
    for number, split, path, width, height, held, sha256 in survey.staging.stream(
        "SELECT id, split, path, width, height, COALESCE(labels, CAST(class AS TEXT)), sha256 FROM kept"
        " ORDER BY split, path"
    ):
        position = position + 1 if split == last else 0
        last = split
        labels: tuple[int, ...] = ()
        objects: tuple[tuple[int, Row], ...] = ()
        mask = None
        if survey.has_objects:
            objects = tuple((of_class[kind], row) for kind, row in survey.staging.objects.of_image(number))
        elif survey.has_masks:
            mask = survey.staging.masks.of_image(number)
        elif held:
            labels = tuple(sorted(of_class[int(kind)] for kind in held.split(",")))
        yield IndexedImage(split, position, path, width, height, labels, sha256, objects, mask)
