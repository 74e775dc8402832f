"""A training with Ultralytics' public API, as its users do it. Runs in the environment of Ultralytics' plugin.

Takes its settings as one JSON object, and prints one: the best epoch's map50, and by epoch the images a second of
training. Ultralytics is kept from the network and from settings of the person's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main(settings: dict[str, Any]) -> dict[str, Any]:
    """Train, and say how it went."""
    folder = Path(settings["output"])
    os.environ.update({"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0"})
    import ultralytics.data.utils
    from ultralytics import YOLO
    from ultralytics import settings as theirs

    ultralytics.data.utils.check_font = lambda *_: None  # would download one
    theirs.update({name: False for name, value in theirs.items() if value is True})
    rates: list[float] = []
    scores: list[float] = []
    began = 0.0

    def begin(_: Any) -> None:
        nonlocal began
        began = time.perf_counter()

    def end(trainer: Any) -> None:
        rates.append(len(trainer.train_loader.dataset) / (time.perf_counter() - began))

    def validated(trainer: Any) -> None:
        if len(scores) < len(rates):  # it is called once more, of the best epoch
            scores.append(float(trainer.metrics[settings["metric"]]))

    model = YOLO(f"{settings['model']}.yaml")
    model.add_callback("on_train_epoch_start", begin)
    model.add_callback("on_train_epoch_end", end)
    model.add_callback("on_fit_epoch_end", validated)
    model.train(
        data=settings["data"],
        epochs=settings["epochs"],
        imgsz=settings["image_size"],
        batch=settings["batch_size"],
        seed=settings["seed"],
        device="cpu",
        pretrained=False,
        plots=False,
        verbose=False,
        project=str(folder / "runs"),
    )
    return {"map50": scores, "images_per_second": rates}


if __name__ == "__main__":
    found = main(json.loads(sys.argv[1]))
    print(json.dumps(found))
