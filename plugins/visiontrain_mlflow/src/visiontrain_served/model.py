"""The model that MLflow loads: around an ONNX file. Stands on NumPy, onnxruntime, Pillow, pandas and MLflow alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from PIL import Image

from visiontrain_served.grids import class_map
from visiontrain_served.images import Array, read_image, see_cropped, see_whole
from visiontrain_served.objects import CONFIDENCE, find_objects

__all__ = ["ServedModel"]


class ServedModel(PythonModel):
    """Takes images as their files' bytes (PNG, JPEG...) and says what is in them. A row an image.

    Of a classifier: ``label``, ``label_id``, ``confidence`` (from 0 to 1) of the most probable class, and
    ``probabilities`` by class. Of a semantic model: what `visiontrain_served.grids.class_map` gives. Of one that finds
    objects: ``objects``, the best first, each with ``label``, ``label_id``, ``confidence`` and its box in pixels of the
    image: ``x1``, ``y1``, ``x2``, ``y2``; and, as its task is, ``mask``, a grey PNG of the image's size in base64, 255
    at its pixels; ``keypoints``, each with ``name``, ``x``, ``y``, ``confidence``; ``corners`` of its turned box.
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
        images = (read_image(number, given) for number, given in enumerate(model_input["image"]))
        return pd.DataFrame([self._look(image, confidence) for image in images])

    def _look(self, image: Image.Image, confidence: float) -> dict[str, Any]:
        told, names = self._told, self._told["classes"]
        if told["task"] == "classify":
            (probabilities,) = self._run(see_cropped(image, told["preprocessing"]))
            return _label(probabilities, names)
        seen = see_whole(image, told["preprocessing"])
        outputs = self._run(seen.pixels)
        if told["task"] == "semantic":
            return class_map(outputs[0], seen, names)
        by_name = dict(zip((output["name"] for output in told["outputs"]), outputs, strict=True))
        return {"objects": find_objects(told, by_name, seen, confidence)}

    def _run(self, pixels: Array) -> list[Array]:
        """The outputs for one image."""
        images = pixels.astype(np.float32).transpose(2, 0, 1)[None]
        return [output[0] for output in self._session.run(None, {self._told["input"]["name"]: images})]


def _label(probabilities: Array, names: list[str]) -> dict[str, Any]:
    best = int(np.argmax(probabilities))
    return {
        "label": names[best],
        "label_id": best,
        "confidence": float(probabilities[best]),
        "probabilities": dict(zip(names, map(float, probabilities), strict=True)),
    }


set_model(ServedModel())
