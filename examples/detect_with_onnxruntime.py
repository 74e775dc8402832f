"""Find objects in photos with an exported detector: python detect_with_onnxruntime.py FOLDER IMAGE..."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

CONFIDENCE = 0.25


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with others: left, top, right, bottom."""
    first, last = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(last - first, 0, None).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - shared)


folder, *paths = map(Path, sys.argv[1:])
told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
how, (height, width) = told["preprocessing"], told["preprocessing"]["size"]
session = onnxruntime.InferenceSession(folder / told["file"], providers=["CPUExecutionProvider"])
for path in paths:
    image = ImageOps.exif_transpose(Image.open(path))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = image.convert("RGB")
    size, first, ratio = (width, height), (0, 0), width / max(image.size)
    if "border" in how:
        size = tuple(min(int(np.ceil(side * ratio)), width) for side in image.size)
        first = tuple(round((width - side) / 2 - 0.1) for side in size)
    scale = np.array([size[0] / image.width, size[1] / image.height])
    if "mean" in how:  # of transformers
        pixels = np.asarray(image.resize(size, Image.Resampling[how["interpolation"].upper()])) / 255
        pixels = (pixels - how["mean"]) / how["std"]
    else:
        # Not resize(), which would look at more than four pixels where an image gets smaller.
        placed = image.transform(size, Image.Transform.AFFINE, (1 / scale[0], 0, 0, 0, 1 / scale[1], 0), Image.BILINEAR)
        pixels = np.full((height, width, 3), how.get("border", 0), dtype=np.float32)
        pixels[first[1] : first[1] + size[1], first[0] : first[0] + size[0]] = placed
        pixels /= 255
    outputs = session.run(None, {told["input"]["name"]: pixels.astype(np.float32).transpose(2, 0, 1)[None]})
    found = {output["name"]: values[0] for output, values in zip(told["outputs"], outputs, strict=True)}
    boxes, scores, labels = found["boxes"], found["scores"], found.get("labels")
    if labels is None:  # scores have a column a class
        labels, scores = scores.argmax(1), scores.max(1)
    left = [number for number in np.argsort(-scores) if scores[number] >= CONFIDENCE]
    while left:
        best, *left = left
        corners = np.clip((boxes[best].reshape(2, 2) - first) / scale, 0, image.size).flatten()
        print(
            path, told["classes"][labels[best]], f"{scores[best]:.3f}", *(f"{side:.1f}" for side in corners), sep="\t"
        )
        if told["suppression"] is not None and left:
            near = overlaps(boxes[best], boxes[left]) > told["suppression"]["iou"]
            left = [n for n, close in zip(left, near, strict=True) if not (close and labels[n] == labels[best])]
