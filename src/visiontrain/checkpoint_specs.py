"""What a person asks of a trained model, validated: to evaluate it, to predict with it, to export it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from visiontrain.specs import DeviceName, Number, absolute_path, as_spec_error, unknown_field

__all__ = ["CONFIDENCE", "EvaluateSpec", "ExportSpec", "PredictSpec", "make_checkpoint_spec"]

_FORMAT = re.compile(r"[a-z][a-z0-9_-]{0,31}")

#: Largest difference that an exported model may show: of a probability, a score... Rounding in float32 gives some 1e-6.
TOLERANCE = 1e-4

#: Score from which on an object is told, unless the person says otherwise.
CONFIDENCE = 0.25

#: Images that an exported model is compared on.
CHECKED_IMAGES = 32


def _format(value: str) -> str:
    if not _FORMAT.fullmatch(value):
        raise ValueError(f"{value[:40]!r} is not a format's name")
    return value


class _CheckpointSpec(BaseModel):
    """Which model. `run` is the training's id.

    Args:
        run: The training's id.
        checkpoint: ``best``, ``last``, or None: the best one, and the last where there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    checkpoint: Literal["best", "last"] | None = None


class EvaluateSpec(_CheckpointSpec):
    """An evaluation, as asked for. None means: as the training had it, or decided by the data.

    Args:
        data: A dataset; by default the training's.
        split: train, val, test, or all. By default test, where the data has one; else val, or of other data that has
            no splits everything.
        batch_size: Images at once.
        device: auto, cpu, cuda, cuda:N or mps.
        skip_unreadable: Leave images out that can't be decoded, instead of refusing the dataset.
    """

    data: Path | None = None
    split: Literal["train", "val", "test", "all"] | None = None
    batch_size: Annotated[int | None, Field(ge=1, le=1_000_000), Number] = None
    device: DeviceName = "auto"
    skip_unreadable: bool = False


class PredictSpec(_CheckpointSpec):
    """A prediction, as asked for.

    Args:
        batch_size: Images at once; by default as the training had it.
        device: auto, cpu, cuda, cuda:N or mps.
        confidence: Objects of a lower score are left out, from 0 to 1; by default 0.25. For models that find objects:
            of a classifier every class has its probability.
        skip_unreadable: Go on where an image can't be read: its prediction has an `error` then.
    """

    batch_size: Annotated[int | None, Field(ge=1, le=1_000_000), Number] = None
    device: DeviceName = "auto"
    confidence: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False), Number] = None
    skip_unreadable: bool = False


class ExportSpec(_CheckpointSpec):
    """An export, as asked for.

    Args:
        format: As the framework's plugin offers it: onnx, torchscript...
        data: A dataset to compare them on; by default the training's.
        output: A folder to copy the files to: a new or an empty one.
        tolerance: Largest difference between what the model says and what was written of it, from 0 to 1.
        images: How many images they are compared on.
    """

    format: Annotated[str, AfterValidator(_format)]
    data: Path | None = None
    output: Path | None = None
    tolerance: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Number] = TOLERANCE
    images: Annotated[int, Field(ge=1, le=100_000), Number] = CHECKED_IMAGES


Spec = TypeVar("Spec", EvaluateSpec, PredictSpec, ExportSpec)


def make_checkpoint_spec(cls: type[Spec], **fields: Any) -> Spec:
    """Validate a request. Fields that are None are left out.

    Raises:
        SpecError: a field is wrong, or there is none of the name; the message says what would be right.
    """
    for name in fields.keys() - cls.model_fields.keys():
        raise unknown_field(name, [field for field in cls.model_fields if field != "run"])
    given = {name: value for name, value in fields.items() if value is not None}
    for name in ("data", "output"):
        if name in given:
            given[name] = absolute_path(name, given[name])
    try:
        return cls(**given)
    except ValidationError as error:
        raise as_spec_error(error) from error
