"""What a person asks for, validated."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from visiontrain.errors import SpecError
from visiontrain.protocol.messages import Weights
from visiontrain.protocol.tasks import Task

__all__ = [
    "DeviceName",
    "Number",
    "TrainSpec",
    "absolute_path",
    "as_spec_error",
    "make_train_spec",
    "parse_task",
    "unknown_field",
    "unknown_option",
]

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")
_RUN_NAME = re.compile(r"[\w][\w .,+=@()\[\]-]{0,99}")
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_]{0,31}(@[A-Za-z0-9_.-]{1,64})?")
_MODEL = re.compile(r"[\w][\w.:/+@-]{0,199}")

#: Longest value that an error repeats whole, in characters.
_SHOWN = 120

#: Spellings that other tools have taught people.
ALIASES = {"lr": "learning_rate", "lr0": "learning_rate", "batch": "batch_size", "imgsz": "image_size"}

_TASK_ALIASES = {
    "classification": "classify",
    "image_classification": "classify",
    "detection": "detect",
    "object_detection": "detect",
    "instance_segmentation": "segment",
    "semantic_segmentation": "semantic",
    "pose_estimation": "pose",
}


def _clipped(value: Any) -> str:
    """A value for an error's message, which nobody reads where it has pages."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise ValueError(f"must be auto, cpu, cuda, cuda:N or mps, not {_clipped(value)}")
    return value


def _model(value: str) -> str:
    if Path(value).is_absolute():
        return value  # a folder that describes a model
    if not _MODEL.fullmatch(value) or ".." in value:
        raise ValueError(f"{_clipped(value)} is not a model's name")
    return value


def _run_name(value: str) -> str:
    if not _RUN_NAME.fullmatch(value) or value == "last" or value != value.strip():
        raise ValueError(
            "must be 1 to 100 letters, digits, spaces or any of _.,+=@()[]- starting with a letter or digit, "
            f"and not the word last; got {_clipped(value)}"
        )
    return value


def _environment(value: str) -> str:
    if not _ENVIRONMENT.fullmatch(value):
        raise ValueError(f"must be NAME or NAME@GENERATION, not {_clipped(value)}")
    return value


def _task(value: Any) -> Any:
    if value is None or isinstance(value, Task):
        return value
    known = [task.value for task in Task]
    word = _TASK_ALIASES.get(value, value) if isinstance(value, str) else value
    if word in known:
        return Task(word)
    near = difflib.get_close_matches(value, [*known, *_TASK_ALIASES], n=1) if isinstance(value, str) else []
    hint = f"; did you mean {_TASK_ALIASES.get(near[0], near[0])}?" if near else ""
    raise ValueError(f"must be one of {', '.join(known)}, not {_clipped(value)}{hint}")


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):  # it would count as 0 or 1
        raise ValueError(f"must be a number, not {value!r}")  # noqa: TRY004 - pydantic turns this one into its own
    return value


def _batch_size(value: Any) -> Any:
    if isinstance(value, str) and value != "auto" and not value.strip().lstrip("+-").isdigit():
        raise ValueError(f"must be a whole number or auto, not {_clipped(value)}")
    return _no_truth(value)


#: For fields that are numbers.
Number = BeforeValidator(_no_truth)

#: What a device goes by.
DeviceName = Annotated[str, AfterValidator(_device)]


class TrainSpec(BaseModel):
    """A training, as asked for. None means: decided by the plugin, the model or the data.

    Args:
        data: The dataset's folder, or the file that lists it.
        model: The model's name, as its framework spells it.
        task: The vision problem; by default what the data is.
        framework: The framework's name; by default the one that knows the model.
        epochs: Passes over the training split.
        batch_size: Images a step; ``auto``: as many as suit the device, which its trainer finds out.
        learning_rate: Peak learning rate.
        image_size: Side of the square that images are brought to, in pixels; by default the model's own.
        weights: ``pretrained`` (the published ones), ``scratch`` (random), or the path of a file.
        device: auto, cpu, cuda, cuda:N or mps.
        seed: Decides every random choice.
        name: A name for the run.
        options: The plugin's own options.
        environment: ``NAME`` or ``NAME@GENERATION`` instead of the framework's current environment.
        skip_unreadable: Leave images out that can't be decoded, instead of refusing the dataset.
        tracking: Where the run is tracked: ``off``, or an address; by default where ``VISIONTRAIN_TRACKING`` or the
            tracker's own variable says, else in the home.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path
    model: Annotated[str, AfterValidator(_model)]
    task: Annotated[Task | None, BeforeValidator(_task)] = None
    framework: str | None = None
    epochs: Annotated[int | None, Field(ge=1, le=1_000_000), Number] = None
    batch_size: Annotated[
        Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] | None, BeforeValidator(_batch_size)
    ] = None
    learning_rate: Annotated[float | None, Field(gt=0, le=1000, allow_inf_nan=False), Number] = None
    image_size: Annotated[int | None, Field(ge=8, le=16_384), Number] = None
    weights: Annotated[str, Field(min_length=1)] = "pretrained"
    device: DeviceName = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32), Number] = 0
    name: Annotated[str, AfterValidator(_run_name)] | None = None
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    environment: Annotated[str, AfterValidator(_environment)] | None = None
    skip_unreadable: bool = False
    tracking: Annotated[str, Field(min_length=1)] | None = None

    def first_weights(self) -> Weights:
        """Where the first weights come from."""
        if self.weights == "pretrained":
            return Weights("pretrained")
        if self.weights == "scratch":
            return Weights("scratch")
        return Weights("file", str(Path(self.weights).expanduser().absolute()))

    def check_weights(self) -> None:
        """See that a file of weights is there.

        Raises:
            SpecError: it is not.
        """
        weights = self.first_weights()
        if weights.path is not None and not Path(weights.path).is_file():
            raise SpecError(
                "weights",
                f"there is no file {weights.path}",
                instruction="Give pretrained, scratch, or the path of a file that exists.",
            )


def make_train_spec(**fields: Any) -> TrainSpec:
    """Validate a request. Names that are not fields of the spec are taken for options of the plugin.

    Raises:
        SpecError: a field is wrong; the message names it and says what would be right.
    """
    known: dict[str, Any] = {}
    options: dict[str, Any] = dict(fields.pop("options", None) or {})
    for given, value in fields.items():
        name = ALIASES.get(given, given)
        target = known if name in TrainSpec.model_fields else options
        if name in target:
            raise SpecError(given, f"given twice, also as {name}")
        target[name] = value
    for name in ("data", "model"):
        if known.get(name) is None:
            raise SpecError(name, "is needed")
    # Relative paths are the person's, seen from where the person is now; a resume may come from elsewhere.
    known["data"] = absolute_path("data", known["data"])
    if known.get("weights", "pretrained") not in ("pretrained", "scratch"):
        known["weights"] = str(absolute_path("weights", known["weights"]))
    if isinstance(known["model"], str) and "/" in known["model"] and ":" not in known["model"]:
        folder = absolute_path("model", known["model"])
        if folder.is_dir():  # else it is the name of a model on a hub
            known["model"] = str(folder)
        elif known["model"].startswith(("./", "../")) or Path(known["model"]).expanduser().is_absolute():
            raise SpecError(
                "model",
                f"there is no folder {_clipped(str(folder))}",
                instruction="Give the folder that describes the model, or a name: visiontrain models lists them.",
            )
    try:
        return TrainSpec(**known, options=options)
    except ValidationError as error:
        raise as_spec_error(error) from error


def absolute_path(field: str, path: Any) -> Path:
    """A path as the person wrote it, seen from the current folder; ``~`` is the person's own.

    Raises:
        SpecError: it is no path, or an empty one, which would mean the current folder.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise SpecError(field, f"must be a path, not {_clipped(path)}")
    if "\0" in os.fsdecode(path):
        raise SpecError(field, "holds a null character, which no path may")
    if not os.fspath(path):
        raise SpecError(field, "is empty", instruction="Give a path; the current folder is written as a dot.")
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:  # ~NAME of nobody
        raise SpecError(field, f"{str(path)!r} has no meaning here: {error}") from error


def parse_task(value: Any) -> Task | None:
    """The task that a word means, as for a training; None for None.

    Raises:
        SpecError: it means none.
    """
    try:
        task: Task | None = _task(value)
    except ValueError as error:
        raise SpecError("task", str(error)) from error
    return task


def unknown_option(name: str, known: list[str], framework: str) -> SpecError:
    """The error for an option that the framework does not have."""
    if name in ("pretrained", "scratch"):  # as on the command line
        return SpecError(name, "is said by weights", instruction=f'Give weights="{name}", or the path of a file.')
    pool = [*known, *TrainSpec.model_fields, *ALIASES]
    has = f"It has: {', '.join(sorted(known))}." if known else "It has no options of its own."
    return SpecError(name, f"the framework {framework} has no such option", instruction=_nearest(name, pool) or has)


def unknown_field(name: str, known: list[str]) -> SpecError:
    """The error for what is not asked of any trained model."""
    there = f"There are: {', '.join(sorted(known))}."
    return SpecError(name, "there is no such argument", instruction=_nearest(name, known) or there)


def _nearest(name: str, pool: list[str]) -> str | None:
    """The question whether another name was meant; None where none is like it."""
    near = difflib.get_close_matches(name, pool, n=3, cutoff=0.75) or difflib.get_close_matches(name, pool, n=3)
    return f"Did you mean {' or '.join(near)}?" if near else None


def as_spec_error(error: ValidationError) -> SpecError:
    """The first of pydantic's complaints, as the field's name and what would be right."""
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else "spec"
    if field == "options" and len(first["loc"]) > 1:
        return SpecError(str(first["loc"][1]), "must be true, false, a number or a text")
    cause = first.get("ctx", {}).get("error")
    message = str(cause) if isinstance(cause, ValueError) else _as_ours(first["msg"])
    if cause is None and first["type"] != "missing":
        message += f", not {_clipped(first['input'])}"
    return SpecError(field, message)


def _as_ours(message: str) -> str:
    """A complaint of pydantic's as our own ones begin."""
    message = message.replace("Input should be", "must be", 1)
    return message[:1].lower() + message[1:]
