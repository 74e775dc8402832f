"""Classify photos with an exported model: python classify_with_onnxruntime.py FOLDER IMAGE..."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

folder, *paths = map(Path, sys.argv[1:])
told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
how, (height, width) = told["preprocessing"], told["preprocessing"]["size"]
session = onnxruntime.InferenceSession(folder / told["file"], providers=["CPUExecutionProvider"])
for path in paths:
    image = ImageOps.exif_transpose(Image.open(path))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    target = int(width / how["crop_pct"]), int(height / how["crop_pct"])
    fit = {"center": max, "squash": None}[how["crop_mode"]]  # "border", which few models have, is left out here
    if fit:  # keep the aspect ratio
        scale = fit(target[0] / image.width, target[1] / image.height)
        target = int(image.width * scale + 1e-6), int(image.height * scale + 1e-6)
    image = image.convert("RGB").resize(target, Image.Resampling[how["interpolation"].upper()])
    left, top = round((target[0] - width) / 2), round((target[1] - height) / 2)
    pixels = np.asarray(image.crop((left, top, left + width, top + height))) / 255
    images = ((pixels - how["mean"]) / how["std"]).astype(np.float32).transpose(2, 0, 1)[None]
    (found,) = session.run(None, {told["input"]["name"]: images})[0]
    best = sorted(zip(found.tolist(), told["classes"], strict=True), reverse=True)[:5]
    print(path, *(f"{name} {probability:.4f}" for probability, name in best), sep="\t")
