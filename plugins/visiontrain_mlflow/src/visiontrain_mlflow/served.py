"""The code of a logged model: MLflow copies this file into it and runs it where the model is served.

It stands on NumPy, onnxruntime, Pillow and MLflow alone: neither visiontrain nor torch is there.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from PIL import Image, ImageOps

__all__ = ["ServedModel"]

#: Score from which on an object is told.
CONFIDENCE = 0.25

Array = npt.NDArray[Any]


class ServedModel(PythonModel):
    """Takes images as their files' bytes (PNG, JPEG...) and says what is in them.

    A row an image. Of a classifier: ``label``, ``label_id``, ``confidence`` (from 0 to 1) of the most probable class,
    and ``probabilities`` by class. Of a detector: ``objects``, the best first, each with ``label``, ``label_id``,
    ``confidence`` and its box in pixels of the image: ``x1``, ``y1``, ``x2``, ``y2``.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model."""
        folder = Path(context.artifacts["export"])
        self._told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self._session = onnxruntime.InferenceSession(folder / self._told["file"], providers=["CPUExecutionProvider"])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Look at each image of the column ``image``.

        Raises:
            ValueError: one can't be read.
        """
        del context
        confidence = float((params or {}).get("confidence", CONFIDENCE))
        look = self._classify if self._told["task"] == "classify" else self._detect
        images = (_opened(number, given) for number, given in enumerate(model_input["image"]))
        return pd.DataFrame([look(image, confidence) for image in images])

    def _classify(self, image: Image.Image, _confidence: float) -> dict[str, Any]:
        (probabilities,) = self._run(_normalised(image, self._told["preprocessing"]))[0]
        names = self._told["classes"]
        best = int(np.argmax(probabilities))
        return {
            "label": names[best],
            "label_id": best,
            "confidence": float(probabilities[best]),
            "probabilities": dict(zip(names, map(float, probabilities), strict=True)),
        }

    def _detect(self, image: Image.Image, confidence: float) -> dict[str, Any]:
        pixels, first, scale = _in_square(image, self._told["preprocessing"])
        outputs = self._run(pixels)
        found = {told["name"]: values[0] for told, values in zip(self._told["outputs"], outputs, strict=True)}
        boxes, scores, labels = found["boxes"], found["scores"], found.get("labels")
        if labels is None:  # scores have a column a class
            labels, scores = scores.argmax(1), scores.max(1)
        objects = []
        for number in self._kept(boxes, scores, labels, confidence):
            corners = np.clip((boxes[number].reshape(2, 2) - first) / scale, 0, image.size).flatten()
            box = dict(zip(("x1", "y1", "x2", "y2"), map(float, corners), strict=True))
            label = int(labels[number])
            named = {"label": self._told["classes"][label], "label_id": label, "confidence": float(scores[number])}
            objects.append({**named, **box})
        return {"objects": objects}

    def _kept(self, boxes: Array, scores: Array, labels: Array, confidence: float) -> list[int]:
        """Rows by falling score, without those that a better one of their class overlaps too much."""
        rest = [int(number) for number in np.argsort(-scores, kind="stable") if scores[number] >= confidence]
        suppression, kept = self._told["suppression"], []
        while rest:
            best, *rest = rest
            kept.append(best)
            if suppression is not None and rest:
                near = _overlaps(boxes[best], boxes[rest]) > suppression["iou"]
                same = labels[rest] == labels[best]
                rest = [number for number, out in zip(rest, near & same, strict=True) if not out]
        return kept[: suppression["max_det"]] if suppression is not None else kept

    def _run(self, pixels: Array) -> list[Array]:
        images = pixels.astype(np.float32).transpose(2, 0, 1)[None]
        outputs: list[Array] = self._session.run(None, {self._told["input"]["name"]: images})
        return outputs


def _opened(number: int, given: bytes | str) -> Image.Image:
    """The image as it is looked at: the right way up, over white, in RGB. Text is taken for base64."""
    try:
        content = base64.b64decode(given, validate=True) if isinstance(given, str) else given
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"image {number} can't be read: {error}") from error


def _normalised(image: Image.Image, how: dict[str, Any]) -> Array:
    """Pixels of a classifier's image, height x width x 3."""
    height, width = how["size"]
    target = int(width / how["crop_pct"]), int(height / how["crop_pct"])
    if how["crop_mode"] != "squash":  # keep the aspect ratio: fill the piece that is cut, or fit into it
        fit = min if how["crop_mode"] == "border" else max
        scale = fit(target[0] / image.width, target[1] / image.height)
        target = int(image.width * scale + 1e-6), int(image.height * scale + 1e-6)
    resized = image.resize(target, Image.Resampling[how["interpolation"].upper()])
    if how["crop_mode"] == "border":
        around = tuple(round(255 * value) for value in how["mean"])
        whole = Image.new("RGB", (max(width, target[0]), max(height, target[1])), around)
        whole.paste(resized, ((whole.width - target[0]) // 2, (whole.height - target[1]) // 2))
        resized, target = whole, whole.size
    left, top = round((target[0] - width) / 2), round((target[1] - height) / 2)
    pixels = np.asarray(resized.crop((left, top, left + width, top + height))) / 255
    normalised: Array = (pixels - how["mean"]) / how["std"]
    return normalised


def _in_square(image: Image.Image, how: dict[str, Any]) -> tuple[Array, tuple[int, int], Array]:
    """Pixels of a detector's image, where the image begins in them, and how many of them are one of the image's."""
    height, width = how["size"]
    size, first, ratio = (width, height), (0, 0), width / max(image.size)
    if "border" in how:
        size = (min(int(np.ceil(image.width * ratio)), width), min(int(np.ceil(image.height * ratio)), width))
        first = (round((width - size[0]) / 2 - 0.1), round((width - size[1]) / 2 - 0.1))
    scale = np.array([size[0] / image.width, size[1] / image.height])
    # Not resize(), which would look at more than four pixels where an image gets smaller.
    steps = (1 / scale[0], 0, 0, 0, 1 / scale[1], 0)
    placed = image.transform(size, Image.Transform.AFFINE, steps, Image.Resampling.BILINEAR)
    pixels = np.full((height, width, 3), how.get("border", 0), dtype=np.float32)
    pixels[first[1] : first[1] + size[1], first[0] : first[0] + size[0]] = placed
    return pixels / 255, first, scale


def _overlaps(box: Array, others: Array) -> Array:
    """Intersection over union of a box with others: left, top, right, bottom."""
    least, most = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(most - least, 0, None).prod(1)
    overlaps: Array = shared / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - shared)
    return overlaps


set_model(ServedModel())
