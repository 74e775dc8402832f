"""A prediction as a line of text, and as a JSON object."""

from __future__ import annotations

import base64
from typing import Any

from visiontrain.predictions import DetectedObject, Prediction, ScoredLabel
from visiontrain.protocol.tasks import Task
from visiontrain.semantic_maps import SemanticMap
from visiontrain.wording import plural

__all__ = ["as_json", "as_text"]


def as_text(prediction: Prediction, top: int) -> str:
    """The image and what was found in it, in one line.

    Args:
        prediction: Of an image that could be read.
        top: How many labels, classes of a class map, or objects are told; of objects how many there are of each class,
            too.
    """
    if prediction.finds_objects:
        found = _objects(prediction, top)
    elif prediction.class_map is not None:
        found = [f"{label} {share:.1%}" for label, share in prediction.top(top)]
    else:
        marked = set(prediction.labels) if prediction.multi_label else set()
        found = [
            f"{'*' if scored.label in marked else ''}{scored.label} {scored.probability:.3f}"
            for scored in prediction.top(top)
        ]
    # A file's name may hold line ends; a line is an image.
    return "  ".join([str(prediction.path), *found]).replace("\n", "\\n")


def as_json(prediction: Prediction, top: int) -> dict[str, Any]:
    """What is printed as one JSON line. `top` is how many labels are ranked; objects and class maps are told whole."""
    told: dict[str, Any] = {
        "type": "prediction",
        "image": str(prediction.path),
        "width": prediction.width,
        "height": prediction.height,
        "task": prediction.task.value,
        "label": prediction.label,
        "labels": list(prediction.labels),
        "probability": prediction.probability,
    }
    if prediction.finds_objects:
        told |= {"counts": prediction.counts, "objects": [_object(found) for found in prediction.objects]}
    elif prediction.task is Task.semantic:
        told |= _class_map(prediction.class_map)
    else:
        ranked = [_scored(scored) for scored in prediction.top(top)]
        told |= {"top": ranked, "probabilities": prediction.probabilities}
    return {**told, "error": prediction.error}


def _class_map(seen: SemanticMap | None) -> dict[str, Any]:
    if seen is None:  # the image can't be read
        return {"shares": {}, "class_map": None}
    return {"shares": seen.shares, "class_map": base64.b64encode(seen.png).decode("ascii")}


def _objects(prediction: Prediction, top: int) -> list[str]:
    if not prediction.objects:
        return ["no objects"]
    counts = ", ".join(f"{count:,} {label}" for label, count in prediction.counts.items())
    best = (f"{found.label} {found.score:.3f}" for found in prediction.objects[:top])
    return [f"{plural(len(prediction.objects), 'object')}: {counts}", *best]


def _object(found: DetectedObject) -> dict[str, Any]:
    """Its fields; those of other tasks are left out."""
    told: dict[str, Any] = {
        "label": found.label,
        "class_index": found.class_index,
        "score": found.score,
        "box": list(found.box),
    }
    if found.mask is not None:
        # As COCO's files and pycocotools have it.
        told["mask"] = {"size": [found.mask.height, found.mask.width], "counts": found.mask.data.decode("ascii")}
    if found.keypoints:
        told["keypoints"] = [point._asdict() for point in found.keypoints]
    if found.quad is not None:
        told["quad"] = list(found.quad)
    return told


def _scored(scored: ScoredLabel) -> dict[str, Any]:
    return {"label": scored.label, "probability": scored.probability}
