"""The formats that a model can be exported in: how each is written, and how what was written is run."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from visiontrain.errors import ExportError
from visiontrain.torchkit.exported import INPUT, Description, Tensors

__all__ = ["FORMATS", "ExportFormat", "Onnx", "OpenVino", "Run", "TorchScript", "export_format"]

#: Images (batch, 3, height, width) to the outputs; a single one by itself.
Run = Callable[[torch.Tensor], "torch.Tensor | Tensors"]

#: Which of their own steps exporters tell of; what went wrong is an exception.
_LOGGERS = ("torch.onnx", "torch.export", "torch._export", "torch._dynamo", "onnxscript", "onnx_ir")

_TELEMETRY = "openvino_telemetry"


class ExportFormat(Protocol):
    """A way to write a model, and to run what was written."""

    name: str

    #: The model's, and that of what may lie beside it.
    file: str
    beside: str | None

    #: What writes it, and of that what runs it.
    packages: tuple[str, ...]
    runtime: str

    def write(self, model: nn.Module, images: torch.Tensor, path: Path, description: Description) -> None:
        """Write `model` to `path`, and next to it what is too large for one file.

        Args:
            model: From images to the outputs that the description names, in float32 on the CPU.
            images: A batch of two as it will be given.
            path: The file.
            description: Goes into the file.

        Raises:
            ExportError: the format's exporter can't do it.
        """
        ...

    def open(self, path: Path) -> Run:
        """The exported model as a function."""
        ...


class Onnx:
    """ONNX, run by onnxruntime."""

    name = "onnx"
    file = "model.onnx"
    beside: str | None = "model.onnx.data"
    packages: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")
    runtime = "onnxruntime"

    def write(self, model: nn.Module, images: torch.Tensor, path: Path, description: Description) -> None:
        """By torch's exporter, with a batch of any size. Weights of more than 2 GB lie in a file beside it."""
        try:
            with _quiet(), torch.no_grad():
                program = torch.onnx.export(
                    model,
                    (images,),
                    dynamo=True,
                    input_names=[INPUT],
                    output_names=list(description.task.outputs),
                    dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
                    verbose=False,
                )
                if program is None:
                    raise TypeError("the exporter gave no program")
                program.model.metadata_props.update(description.to_properties())
                program.model.producer_name = "visiontrain"
                program.save(path)
        except OSError:
            raise
        except Exception as e:  # every layer of torch's exporter raises errors of its own
            raise _failure(description, e, other="torchscript") from e

    def open(self, path: Path) -> Run:
        """Load the file with onnxruntime, on the CPU."""
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it would note each use in the person's home, and report it
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(images: torch.Tensor) -> Tensors:
            found = session.run(None, {INPUT: images.contiguous().numpy()})
            return tuple(torch.from_numpy(each) for each in found)

        return run


class TorchScript:
    """TorchScript: run by torch alone, from Python or C++."""

    name = "torchscript"
    file = "model.pt"
    beside: str | None = None
    packages: tuple[str, ...] = ("torch",)
    runtime = "torch"

    def write(self, model: nn.Module, images: torch.Tensor, path: Path, description: Description) -> None:
        """By tracing."""
        try:
            with _quiet(), torch.no_grad():
                traced = torch.jit.trace(model, images, check_trace=False)  # type: ignore[no-untyped-call]
                text = json.dumps(description.to_plain(), ensure_ascii=False)
                with path.open("wb") as file:  # torch's own writer does not say what the disk refused
                    torch.jit.save(traced, file, _extra_files={"model.json": text})
        except OSError:
            raise
        except Exception as e:  # the tracer's errors are of many kinds
            raise _failure(description, e, other="onnx") from e

    def open(self, path: Path) -> Run:
        """Load the file on the CPU."""
        with _quiet():
            loaded: Any = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]

        def run(images: torch.Tensor) -> torch.Tensor | Tensors:
            with torch.no_grad():
                found: torch.Tensor | Tensors = loaded(images)
            return found

        return run


class OpenVino:
    """OpenVINO's intermediate representation, made from ONNX."""

    name = "openvino"
    file = "model.xml"
    beside: str | None = "model.bin"
    packages: tuple[str, ...] = ("onnx", "onnxscript", "openvino")
    runtime = "openvino"

    def write(self, model: nn.Module, images: torch.Tensor, path: Path, description: Description) -> None:
        """By way of ONNX, with a batch of any size; the weights lie in a file beside it, in float32."""
        between = path.with_name("between")
        between.mkdir()
        Onnx().write(model, images, between / Onnx.file, description)
        openvino = _openvino()

        try:
            converted = openvino.Core().read_model(between / Onnx.file)
            for key, value in description.to_properties().items():
                converted.set_rt_info(value, ["visiontrain", key])
            openvino.save_model(converted, path, compress_to_fp16=False)
        except OSError:
            raise
        except Exception as e:  # OpenVINO's errors are RuntimeErrors of all kinds
            raise _failure(description, e, other="onnx") from e
        finally:
            shutil.rmtree(between)

    def open(self, path: Path) -> Run:
        """Load the file on the CPU, computed in float32: OpenVINO would take bfloat16 where the processor has it."""
        openvino = _openvino()

        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        compiled = openvino.Core().compile_model(path, "CPU", settings)
        request = compiled.create_infer_request()

        def run(images: torch.Tensor) -> Tensors:
            request.infer({INPUT: images.contiguous().numpy()})
            outputs = range(len(compiled.outputs))
            return tuple(torch.from_numpy(request.get_output_tensor(n).data.copy()) for n in outputs)

        return run


def _openvino() -> Any:
    """OpenVINO without what reports its use: a mere import would reach a server, and leave an id in one's home."""
    if "openvino" in sys.modules:
        return import_module("openvino")
    missing: Any = None  # what makes an import fail: OpenVINO then takes a stand-in of its own that does nothing
    sys.modules[_TELEMETRY] = missing
    try:
        return import_module("openvino")
    finally:
        del sys.modules[_TELEMETRY]


#: Those that every torch-based plugin can offer; OpenVINO is for environments that have it.
FORMATS: dict[str, ExportFormat] = {each.name: each for each in (Onnx(), TorchScript())}


def export_format(name: str, formats: Mapping[str, ExportFormat]) -> ExportFormat:
    """The format of that name.

    Raises:
        ExportError: there is none.
    """
    if name not in formats:
        raise ExportError(f"there is no export format {name!r}", instruction=f"There is {', '.join(formats)}.")
    return formats[name]


def _failure(description: Description, error: Exception, *, other: str) -> ExportError:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return ExportError(
        f"{description.task.saved.model} can't be written as {description.format}: {type(error).__name__}: {text}",
        instruction=f"Try --format {other}. What the exporter met is in the run's log.",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters say of their own steps, and of what will be deprecated in them, out of the log."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
