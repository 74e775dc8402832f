"""The messages that cross stdio, and what they carry.

A **request** (host to worker) and its **response** are JSON-RPC 2.0; an **event** (worker to host) is a notification
whose method is ``event``. ``docs/reference/protocol.md`` is the specification; its transcripts are replayed by tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from visiontrain.protocol.structure import JsonObject, JsonValue

__all__ = [
    "Cpu",
    "Device",
    "ErrorInfo",
    "InitializeParams",
    "InitializeResult",
    "ModelInfo",
    "Notification",
    "Request",
    "Response",
    "ResumeFrom",
    "TrainParams",
    "TrainResult",
    "Weights",
]


@dataclass(frozen=True)
class Request:
    """Asks the other side for something; answered by one `Response` with the same id."""

    id: int
    method: str
    params: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class ErrorInfo:
    """An exception as text: what can cross between two Pythons that share no classes.

    `type` is the class's name; where it is one of `visiontrain.errors`, the host raises that class again.
    `traceback` holds notes and causes as the interpreter prints them; `log_tail` is the end of what the worker printed,
    and is not its to tell.
    """

    code: int
    message: str
    type: str = "Exception"
    instruction: str | None = None
    traceback: str | None = None
    log_tail: str | None = None

    @property
    def headline(self) -> str:
        """Class and message, as the last line of a traceback has them."""
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True)
class Response:
    """The answer to a request: `result`, or `error`. `id` is null where the request had no readable id."""

    id: int | None
    result: JsonValue = None
    error: ErrorInfo | None = None


@dataclass(frozen=True)
class Notification:
    """A message that is not answered: ``stop`` to the worker, ``event`` from it."""

    method: str
    params: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class InitializeParams:
    """First request on every pipe."""

    protocol: int
    trainer: str  # "package.module:Class"
    run_id: str | None = None


@dataclass(frozen=True)
class Device:
    """A device that the environment's framework can compute on. `memory` is in bytes, where it is known.

    `id` is a GPU's UUID: what tells it from the machine's others, since ``CUDA_VISIBLE_DEVICES`` changes names.
    """

    name: str  # cpu, cuda:0, mps
    description: str = ""
    memory: int | None = None
    id: str | None = None


@dataclass(frozen=True)
class Cpu:
    """What decides the last bits of a result on a CPU: both are recorded and set again by resume."""

    threads: int
    capability: str  # the instruction set that the framework's kernels were chosen for
    onednn_max_cpu_isa: str | None = None  # ONEDNN_MAX_CPU_ISA as it was set, or None for the processor's best
    features: tuple[str, ...] = ()  # of amx_tile, amx_bf16, avx512_bf16, avx512f, avx2

    @property
    def onednn_isa(self) -> str | None:
        """What oneDNN may use at most, in ONEDNN_MAX_CPU_ISA's words: as it was set, else the processor's best."""
        best = (isa for feature, isa in _ONEDNN_ISAS.items() if feature in self.features)
        return self.onednn_max_cpu_isa or next(best, None)


#: oneDNN's word for the kernels that each processor feature allows, the best first.
_ONEDNN_ISAS = {
    "amx_bf16": "AVX512_CORE_AMX",
    "avx512_bf16": "AVX512_CORE_BF16",
    "avx512f": "AVX512_CORE",
    "avx2": "AVX2",
}


@dataclass(frozen=True)
class InitializeResult:
    """The worker's answer to `InitializeParams`. `offers` are the optional requests that its trainer answers."""

    protocol: int
    trainer: str
    versions: dict[str, str]  # python, torch, the framework...
    devices: tuple[Device, ...] = ()
    cpu: Cpu | None = None
    pid: int = 0
    offers: tuple[str, ...] = ()  # of evaluate, predict, export


@dataclass(frozen=True)
class ModelInfo:
    """One entry of a catalogue."""

    name: str
    tasks: tuple[str, ...]
    pretrained: tuple[str, ...] = ()  # tags of published weights, the default one first


@dataclass(frozen=True)
class Weights:
    """Where a model's first weights come from. `path` is absolute and set for ``file`` alone."""

    source: Literal["pretrained", "scratch", "file"]
    path: str | None = None


@dataclass(frozen=True)
class ResumeFrom:
    """The checkpoints to go on from, best choice first: a later one is used where an earlier one can't be read."""

    checkpoints: tuple[str, ...]


@dataclass(frozen=True)
class TrainParams:
    """What the ``train`` request asks for. Paths are absolute. None means: the trainer's own default."""

    run_id: str
    run_dir: str
    task: str
    model: str
    dataset: str  # path of the dataset's index
    epochs: int
    batch_size: int
    learning_rate: float | None
    image_size: int | None
    weights: Weights
    device: str
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    resume: ResumeFrom | None = None
    auto_batch_size: bool = False  # find a batch size; `batch_size` is then the default


@dataclass(frozen=True)
class TrainResult:
    """The answer to ``train``. `metrics` are those of the best epoch by the task's primary metric.

    A trainer gives them as they are. On the pipe null stands for what is not finite, and `non_finite` says what it was.
    """

    status: Literal["completed", "stopped"]
    epochs: float  # epochs done, with the fraction of the one under way
    metrics: dict[str, float | None] = field(default_factory=dict)
    non_finite: dict[str, str] = field(default_factory=dict)
