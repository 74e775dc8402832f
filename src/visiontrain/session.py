"""The Python API: what the module's functions and the command line stand on."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visiontrain.running import follow_to_end
from visiontrain.using import ModelUser

# Touching `visiontrain.train` must not cost what training costs: each method imports what it needs.
if TYPE_CHECKING:
    from pathlib import Path

    from visiontrain.following import RunHandle
    from visiontrain.handles import Run
    from visiontrain.observers import Observer
    from visiontrain.specs import TrainSpec

__all__ = ["Session", "default_session"]


class Session(ModelUser):
    """One home and what is done in it. Thread safe; make as many as you like.

    A worker for predictions is kept, until nobody has asked it anything for five minutes, or `close`: a session can be
    used as a context manager.

    Args:
        home: Where environments, runs and indexes live; by default ``VISIONTRAIN_HOME``, else the platform's folder.
        passthrough: Names or patterns of environment variables that reach workers beside the allow-list, and beside
            those that ``VISIONTRAIN_PASSTHROUGH`` names.
        deadlines: Seconds that each step of stopping a run is given.
        max_runs_per_device: How many runs of the home may use a device (a GPU, or the CPU) at once; further ones wait
            in order. By default ``VISIONTRAIN_MAX_RUNS_PER_DEVICE``, else 1: trainings that share one finish later
            than one after the other.

    Raises:
        PlatformError: the operating system is not Linux or macOS.
        SpecError: `max_runs_per_device` is not a number from 1, or something in `passthrough` no name.
    """

    def train(self, data: str | os.PathLike[str], *, model: str, progress: bool = True, **options: Any) -> Run:
        """Train, and wait for the end.

        Args:
            data: The dataset's folder, or the file that lists it.
            model: The model's name.
            progress: Show what goes on, on stderr.
            options: Fields of `TrainSpec` and options of the plugin.

        Raises:
            InputError: the request can't be carried out.
            RunError: the run did not complete.
            StorageError: the disk is full or fails, before the run or while it went on.
            KeyboardInterrupt: after a Ctrl-C, once the run has stopped and left its checkpoint.
        """
        with self._observer(progress=progress) as observer:
            return follow_to_end(self.start(data, model=model, observer=observer, **options), observer)

    def start(
        self,
        data: str | os.PathLike[str],
        *,
        model: str,
        detach: bool = False,
        observer: Observer | None = None,
        **options: Any,
    ) -> RunHandle:
        """Start a training and return at once after its preparation.

        Args:
            data: The dataset's folder, or the file that lists it.
            model: The model's name.
            detach: Let the run go on when this process ends; otherwise it is stopped, leaving a checkpoint.
            observer: Is told what goes on before the start.
            options: Fields of `TrainSpec` and options of the plugin.

        Raises:
            InputError: the request can't be carried out; nothing was started.
            EnvironmentBuildError: the environment could not be built.
            StorageError: the disk is full or fails, or has no locks; nothing was started.
        """
        from visiontrain.specs import make_train_spec

        return self.start_spec(make_train_spec(data=data, model=model, **options), detach=detach, observer=observer)

    def start_spec(self, spec: TrainSpec, *, detach: bool = False, observer: Observer | None = None) -> RunHandle:
        """`start`, from a spec."""
        from visiontrain.observers import Silent
        from visiontrain.runners.launching import launch

        told = observer or Silent()
        planner = self._planner
        tracking = self._begin_tracking(spec.tracking)
        plan = planner.plan(spec, told)
        told.planned(plan)
        launched = launch(planner, plan, self._directories, self._terms(detached=detach))
        self._track(launched.run_dir, tracking)
        return self._handle(launched, detach)

    def resume(
        self, run: str = "last", *, epochs: int | None = None, detach: bool = False, observer: Observer | None = None
    ) -> RunHandle:
        """Go on with a run from its last checkpoint, in the environment and on the data that it had.

        Args:
            run: Id, unique prefix, name, or ``last``.
            epochs: A new total of epochs; needed for a run that is completed.
            detach: Let it go on when this process ends.
            observer: Is told what goes on before the start.

        Raises:
            UnknownRunError: no run answers to `run`.
            RunBusyError: it is going on.
            SpecError: it is no training.
            DatasetError: the data changed.
        """
        from visiontrain.observers import Silent
        from visiontrain.runners.launching import relaunch
        from visiontrain.runners.trained import find_training

        launched = relaunch(
            self._planner,
            find_training(self._directories, run),
            observer or Silent(),
            self._terms(detached=detach),
            epochs=epochs,
        )
        self._track(launched.run_dir)
        return self._handle(launched, detach)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def resume_to_end(self, run: str, *, epochs: int | None, progress: bool) -> Run:
        """`resume`, and wait for the end, as `Run.resume` does."""
        with self._observer(progress=progress) as observer:
            return follow_to_end(self.resume(run, epochs=epochs, observer=observer), observer)

    def _run(self, run_dir: Path) -> Run:
        from visiontrain.handles import Run

        return Run(run_dir, self)


_default: Session | None = None
_default_lock = threading.Lock()


def default_session() -> Session:
    """The session that the module's functions use; made when one of them is first called."""
    global _default  # noqa: PLW0603 - one session a process is what a module-level function means
    with _default_lock:
        if _default is None:
            _default = Session()
        return _default
