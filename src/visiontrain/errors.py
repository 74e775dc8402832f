"""Every error that visiontrain raises on purpose, in one tree.

::

    VisiontrainError
    ├── InputError                      the request can't be carried out as it stands (exit code 2)
    │   ├── SpecError                   a field of a spec is wrong
    │   ├── UnknownModelError           no installed plugin knows the model
    │   ├── AmbiguousModelError         several plugins know the model
    │   ├── UnknownRunError             no run answers to the name
    │   ├── DatasetError                the data can't be trained on, or evaluated on
    │   ├── ImageError                  an image that was to be predicted can't be read
    │   ├── WeightsError                the weights that were asked for can't be had
    │   ├── DeviceError                 the device that was asked for can't be used
    │   └── PlatformError               the operating system is not supported
    ├── PluginError                     a plugin is broken or was written for another version
    ├── EnvironmentBuildError           an environment could not be built, adopted or found healthy
    ├── StorageError                    the disk can't take, give or lock what visiontrain keeps
    ├── ExportError                     a model can't be exported, or what was written is not the model
    ├── TrackingError                   a tracker does not take what a run's record holds; the record has it all
    ├── ProtocolError                   what came over the pipe is not the protocol
    └── RunError                        a run did not complete
        ├── RunFailedError              the trainer raised an exception
        ├── WorkerCrashedError          the worker's process died
        ├── RunInterruptedError         the supervisor or the host died
        └── RunBusyError                the run is already being worked on

This module uses the standard library alone: it is imported on both sides of the pipe.
"""

from __future__ import annotations

__all__ = [
    "AmbiguousModelError",
    "DatasetError",
    "DeviceError",
    "EnvironmentBuildError",
    "ExportError",
    "ImageError",
    "InputError",
    "PlatformError",
    "PluginError",
    "ProtocolError",
    "RunBusyError",
    "RunError",
    "RunFailedError",
    "RunInterruptedError",
    "SpecError",
    "StorageError",
    "TrackingError",
    "UnknownModelError",
    "UnknownRunError",
    "VisiontrainError",
    "WeightsError",
    "WorkerCrashedError",
]


class VisiontrainError(Exception):
    """Base of all errors raised on purpose.

    Args:
        reason: What happened, in one sentence.
        instruction: What the person can do next; shown on a line of its own.
    """

    def __init__(self, reason: str, *, instruction: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.instruction = instruction

    def __str__(self) -> str:
        return f"{self.reason}\n{self.instruction}" if self.instruction else self.reason


class InputError(VisiontrainError):
    """The request can't be carried out as it stands; it was refused, and no training step was done.

    Most are found before anything starts. Some only the worker can find (a device, weights, an option of the model):
    then there is a run, and it failed.
    """


class SpecError(InputError):
    """A field of a spec is wrong.

    Args:
        field: The field's name, as the person wrote it.
        reason: What is wrong with it and what would be right.
        instruction: What the person can do next.
    """

    def __init__(self, field: str, reason: str, *, instruction: str | None = None) -> None:
        super().__init__(f"{field}: {reason}", instruction=instruction)
        self.field = field


class UnknownModelError(InputError):
    """No installed plugin knows the model's name."""


class AmbiguousModelError(InputError):
    """Several installed plugins know the model's name."""


class UnknownRunError(InputError):
    """No run, or more than one, answers to an id, prefix or name."""


class DatasetError(InputError):
    """The data can't be trained on; the message names the files and what is wrong with them."""


class ImageError(InputError):
    """An image that was to be predicted can't be read."""


class WeightsError(InputError):
    """The weights that were asked for can't be had."""


class DeviceError(InputError):
    """The device that was asked for does not exist here, or the environment's torch can't use it."""


class PlatformError(InputError):
    """The operating system is not supported."""


class PluginError(VisiontrainError):
    """A plugin is broken, or was written for another version of visiontrain."""


class EnvironmentBuildError(VisiontrainError):
    """An environment could not be built, adopted, or was found unhealthy."""


class StorageError(VisiontrainError):
    """What visiontrain keeps can't be written, read or locked: the disk is full, read-only, failing, without locks."""


class ExportError(VisiontrainError):
    """A model can't be written in a format, or what was written computes something else than the model."""


class TrackingError(VisiontrainError):
    """A tracker does not take what a run's record holds. Nothing is lost: the record has it, it can be sent later."""


class ProtocolError(VisiontrainError):
    """What came over the pipe is not a message of the protocol."""


class RunError(VisiontrainError):
    """A run did not complete.

    Args:
        reason: What happened.
        instruction: What the person can do next.
        run_id: The run's id, where there is a run.
        remote_traceback: The worker's traceback with its notes and causes, as text.
        log_tail: The last lines of the run's ``worker.log``.
    """

    def __init__(
        self,
        reason: str,
        *,
        instruction: str | None = None,
        run_id: str | None = None,
        remote_traceback: str | None = None,
        log_tail: str | None = None,
    ) -> None:
        super().__init__(reason, instruction=instruction)
        self.run_id = run_id
        self.remote_traceback = remote_traceback
        self.log_tail = log_tail

    def __str__(self) -> str:
        parts = [self.reason]
        if self.remote_traceback:
            parts.append(self.remote_traceback.rstrip())
        if self.log_tail:
            parts.append("Last lines of the worker's log:\n" + self.log_tail.rstrip())
        if self.instruction:
            parts.append(self.instruction)
        return "\n".join(parts)


class RunFailedError(RunError):
    """The trainer raised an exception inside the worker."""


class WorkerCrashedError(RunError):
    """The worker's process ended without an answer: killed by a signal, or by its own exit."""


class RunInterruptedError(RunError):
    """The supervisor or the host died while the run was going on."""


class RunBusyError(RunError):
    """Another process is working on the run."""
