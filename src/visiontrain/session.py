"""The Python API: what the module's functions and the command line stand on."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from visiontrain.running import RunKeeper, follow_to_end

# Touching `visiontrain.train` must not cost what training costs: each method imports what it needs.
if TYPE_CHECKING:
    from pathlib import Path

    from visiontrain.exports import Export
    from visiontrain.handles import Run, RunHandle
    from visiontrain.observers import Observer
    from visiontrain.predictions import Prediction
    from visiontrain.runners.images import Given
    from visiontrain.runners.warm import WarmWorker
    from visiontrain.specs import TrainSpec

__all__ = ["Session", "default_session"]


class Session(RunKeeper):
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
            data: The dataset's folder, or its label file (CSV or JSONL).
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
            data: The dataset's folder, or its label file (CSV or JSONL).
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
        plan = planner.plan(spec, told)
        told.planned(plan)
        return self._handle(launch(planner, plan, self._directories, self._terms(detached=detach)), detach)

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
        return self._handle(launched, detach)

    def evaluate(
        self,
        run: str = "last",
        data: str | os.PathLike[str] | None = None,
        *,
        progress: bool = True,
        **options: Any,
    ) -> Run:
        """Measure a trained model, and give the evaluation's run: `Run.metrics` has the numbers.

        Args:
            run: The training: id, unique prefix, name, or ``last``.
            data: A dataset; by default the training's.
            progress: Show what goes on, on stderr.
            options: Fields of `EvaluateSpec`: split, checkpoint, batch_size, device, skip_unreadable.

        Raises:
            InputError: the request can't be carried out.
            RunError: the evaluation did not complete.
        """
        with self._observer(progress=progress) as observer:
            return follow_to_end(self.start_evaluation(run, data, observer=observer, **options), observer)

    def start_evaluation(
        self,
        run: str = "last",
        data: str | os.PathLike[str] | None = None,
        *,
        detach: bool = False,
        observer: Observer | None = None,
        **options: Any,
    ) -> RunHandle:
        """`evaluate`, without waiting for its end. See `start` for `detach` and `observer`."""
        from visiontrain.checkpoint_specs import EvaluateSpec, make_checkpoint_spec
        from visiontrain.observers import Silent
        from visiontrain.runners.trained import find_trained_model, find_training
        from visiontrain.runners.using import launch_evaluation, plan_evaluation

        told = observer or Silent()
        run_dir = find_training(self._directories, run)
        spec = make_checkpoint_spec(EvaluateSpec, run=run_dir.name, data=data, **options)
        trained = find_trained_model(self._planner, run_dir, told, checkpoint=spec.checkpoint)
        plan = plan_evaluation(self._planner, trained, spec, told)
        told.using(plan)
        return self._handle(
            launch_evaluation(self._planner, plan, self._directories, self._terms(detached=detach)), detach
        )

    def export(self, run: str = "last", format: str = "onnx", *, progress: bool = True, **options: Any) -> Export:  # noqa: A002 - as --format
        """Write a trained model for other programs, and check what was written on images of the data.

        Args:
            run: The training: id, unique prefix, name, or ``last``.
            format: onnx, torchscript, or what else the framework offers.
            progress: Show what goes on, on stderr.
            options: Fields of `ExportSpec`: output, checkpoint, tolerance, images.

        Raises:
            InputError: the request can't be carried out.
            ExportError: what was written computes something else than the model, or the model can't be written so.
            RunError: the export did not complete.
        """
        from visiontrain.exports import delivered

        with self._observer(progress=progress) as observer:
            handle = self.start_export(run, format, observer=observer, **options)
            return delivered(follow_to_end(handle, observer))

    def start_export(
        self,
        run: str = "last",
        format: str = "onnx",  # noqa: A002 - as --format
        *,
        observer: Observer | None = None,
        **options: Any,
    ) -> RunHandle:
        """`export`, without waiting for its end."""
        from visiontrain.checkpoint_specs import ExportSpec, make_checkpoint_spec
        from visiontrain.observers import Silent
        from visiontrain.runners.trained import find_trained_model, find_training
        from visiontrain.runners.using import launch_export, plan_export

        told = observer or Silent()
        run_dir = find_training(self._directories, run)
        spec = make_checkpoint_spec(ExportSpec, run=run_dir.name, format=format, **options)
        trained = find_trained_model(self._planner, run_dir, told, checkpoint=spec.checkpoint)
        plan = plan_export(self._planner, trained, spec, told)
        told.using(plan)
        # On the processor, and soon over: nothing that a training should be waited for.
        terms = self._terms(detached=False, queued=False)
        return self._handle(launch_export(self._planner, plan, self._directories, terms), detached=False)

    def predict(self, run: str, images: Any, *, progress: bool = True, **options: Any) -> list[Prediction]:
        """What a trained model says of images. The second call costs little more than the computing.

        Args:
            run: The training: id, unique prefix, name, or ``last``.
            images: A path, a folder, a PIL image, an array (height x width x 3, uint8, RGB), or any number of them.
            progress: Show how far it is, on stderr.
            options: Fields of `PredictSpec`: checkpoint, batch_size, device, skip_unreadable.

        Raises:
            InputError: the request can't be carried out; an image that can't be read is an `ImageError`.
            WorkerCrashedError: the worker died.
        """
        return list(self.iter_predict(run, images, progress=progress, **options))

    def iter_predict(self, run: str, images: Any, *, progress: bool = False, **options: Any) -> Iterator[Prediction]:
        """`predict`, one after the other, in memory that does not grow with their number."""
        return (prediction for _, prediction in self.predict_given(run, images, progress=progress, **options))

    def predict_given(
        self, run: str, images: Any, *, progress: bool = False, **options: Any
    ) -> Iterator[tuple[Given, Prediction]]:
        """`iter_predict`, each with the image as it was given."""
        from visiontrain.checkpoint_specs import PredictSpec, make_checkpoint_spec
        from visiontrain.runners.images import expand
        from visiontrain.runners.predicting import predict
        from visiontrain.runners.trained import find_trained_model, find_training

        run_dir = find_training(self._directories, run)
        spec = make_checkpoint_spec(PredictSpec, run=run_dir.name, **options)
        given = expand(images)
        listed = list(given) if progress else None
        with self._observer(progress=progress) as observer:
            trained = find_trained_model(self._planner, run_dir, observer, checkpoint=spec.checkpoint)
        found = predict(self._planner, self._warm, trained, spec, given if listed is None else listed)
        if listed is None:
            return found
        from visiontrain.display.predicting import shown

        return shown(found, total=len(listed))

    def close(self) -> None:
        """End the worker that is kept for predictions. Runs go on; the session can still be used."""
        if "_warm" in self.__dict__:
            self._warm.close()

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

    @cached_property
    def _warm(self) -> WarmWorker:
        from visiontrain.runners.warm import WarmWorker

        warm = WarmWorker()
        weakref.finalize(self, warm.close)
        return warm


_default: Session | None = None
_default_lock = threading.Lock()


def default_session() -> Session:
    """The session that the module's functions use; made when one of them is first called."""
    global _default  # noqa: PLW0603 - one session a process is what a module-level function means
    with _default_lock:
        if _default is None:
            _default = Session()
        return _default
