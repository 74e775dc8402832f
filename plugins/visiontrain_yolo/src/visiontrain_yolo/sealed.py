"""Imports ultralytics so that it keeps to itself: no settings file, no network, no change to this process.

Import this module before any other that uses ultralytics. Its engine (trainers, predictors, callbacks, downloads) is
not used, only models, losses, augmentation and metrics are; what is switched off here is what importing them does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any

import PIL.Image
import torch  # reads OMP_NUM_THREADS, before ultralytics sets it

__all__ = ["MODULES", "import_sealed"]

#: What this plugin uses; imported here, so that nothing of theirs is imported outside of the seal. What few models need
#: is imported for them, with `import_sealed`.
MODULES = (
    "torchmetrics",  # torchkit's; here for what is said in `_hidden`
    "ultralytics.utils",
    "ultralytics.nn.tasks",
    "ultralytics.data.dataset",
    "ultralytics.engine.trainer",
    "ultralytics.utils.loss",
    "ultralytics.utils.metrics",
    "ultralytics.utils.nms",
)

#: Read while ultralytics is imported, and never again.
_VARIABLES = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "0",
    "YOLO_VERBOSE": "0",
    "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
    "ULTRALYTICS_SAFE_LOAD": "1",
}

#: The version of the settings' layout, without which ultralytics would write the file anew.
_SETTINGS_VERSION = "0.0.8"

_DRAWING = "matplotlib"

_INTEGRATIONS = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb", "vscode_msg")


def _settings(folder: Path) -> dict[str, object]:
    places = {name: str(folder / name) for name in ("datasets_dir", "weights_dir", "runs_dir")}
    off = dict.fromkeys((*_INTEGRATIONS, "openvino_msg"), False)
    return {
        "settings_version": _SETTINGS_VERSION, **places, **off, "uuid": "", "api_key": "", "openai_api_key": "",
    }  # fmt: skip


@contextlib.contextmanager
def _hidden() -> Iterator[None]:
    """Let matplotlib seem not to be installed: torchmetrics would import it, and it then looks through all fonts.

    Ultralytics asks for it and imports it only when it draws.
    """
    find, drawing = Distribution.from_name, sys.modules.get(_DRAWING)

    def from_name(name: str) -> Distribution:
        if name == _DRAWING:
            raise PackageNotFoundError(name)
        return find(name)

    missing: Any = None  # what makes an import fail
    Distribution.from_name = from_name  # type: ignore[method-assign]
    sys.modules[_DRAWING] = missing
    try:
        yield
    finally:
        Distribution.from_name = find  # type: ignore[method-assign]
        del sys.modules[_DRAWING]
        if drawing is not None:
            sys.modules[_DRAWING] = drawing


def import_sealed(*modules: str) -> None:
    """Import modules that use ultralytics: nothing of what they do meanwhile stays, but themselves."""
    before, save, open_image = dict(os.environ), torch.save, PIL.Image.open
    with tempfile.TemporaryDirectory(prefix="visiontrain-yolo-") as name, warnings.catch_warnings(), _hidden():
        folder = Path(name)
        (folder / "Ultralytics").mkdir()
        (folder / "Ultralytics" / "settings.json").write_text(json.dumps(_settings(folder)), encoding="utf-8")
        os.environ.update(_VARIABLES)
        os.environ["YOLO_CONFIG_DIR"] = name
        os.environ.pop("ULTRALYTICS_API_KEY", None)
        try:
            for module in modules:
                importlib.import_module(module)
        finally:
            torch.save = save  # theirs tries again for half a minute where the disk is full
            PIL.Image.open = open_image  # theirs installs a package when it meets a file that is no image
            os.environ.clear()
            os.environ.update(before)
    logging.getLogger("ultralytics").setLevel(logging.WARNING)


if "ultralytics" in sys.modules:
    raise RuntimeError("ultralytics was imported before it was sealed: import visiontrain_yolo.sealed first")
import_sealed(*MODULES)
