"""What a home's trained models are used for: evaluation, export, prediction."""

from __future__ import annotations

import os
import weakref
from abc import ABC
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from visiontrain.running import RunKeeper, follow_to_end

# Touching `visiontrain.predict` must not cost what predicting costs: each method imports what it needs.
if TYPE_CHECKING:
    from visiontrain.exports import Export
    from visiontrain.following import RunHandle
    from visiontrain.handles import Run
    from visiontrain.observers import Observer
    from visiontrain.predictions import Prediction
    from visiontrain.runners.images import Given
    from visiontrain.runners.warm import WarmWorker

__all__ = ["ModelUser"]


class ModelUser(RunKeeper, ABC):
    """A `RunKeeper` that uses what was trained. `visiontrain.session.Session` is one that trains as well."""

    _warm: WarmWorker | None = None

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
        launched = launch_evaluation(self._planner, plan, self._directories, self._terms(detached=detach))
        self._track_with(launched.run_dir, run_dir)
        return self._handle(launched, detach)

    def export(self, run: str = "last", format: str = "onnx", *, progress: bool = True, **options: Any) -> Export:  # noqa: A002 - as --format
        """Write a trained model for other programs, and check what was written on images of the data.

        Args:
            run: The training: id, unique prefix, name, or ``last``.
            format: onnx, torchscript, or what else the framework offers.
            progress: Show what goes on, on stderr.
            options: Fields of `ExportSpec`: data, output, checkpoint, tolerance, images.

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
        launched = launch_export(self._planner, plan, self._directories, terms)
        self._track_with(launched.run_dir, run_dir)
        return self._handle(launched, detached=False)

    def predict(self, run: str, images: Any, *, progress: bool = True, **options: Any) -> list[Prediction]:
        """What a trained model says of images. The second call costs little more than the computing.

        Args:
            run: The training: id, unique prefix, name, or ``last``.
            images: A path, a folder, a PIL image, an array (height x width x 3, uint8, RGB), or any number of them.
                A generator is asked for its images as they are needed.
            progress: Show how far it is, on stderr.
            options: Fields of `PredictSpec`: checkpoint, batch_size, device, confidence, skip_unreadable.

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
    ) -> Generator[tuple[Given, Prediction], None, None]:
        """`iter_predict`, each with the image as it was given."""
        from visiontrain.checkpoint_specs import PredictSpec, make_checkpoint_spec
        from visiontrain.runners.images import expand
        from visiontrain.runners.predicting import predict
        from visiontrain.runners.trained import find_trained_model, find_training

        run_dir = find_training(self._directories, run)
        spec = make_checkpoint_spec(PredictSpec, run=run_dir.name, **options)
        given: Iterable[Given] = expand(images)
        total = None
        if progress and not isinstance(images, Iterator):  # which is asked for one image at a time
            given = listed = list(given)
            total = len(listed)
        with self._observer(progress=progress) as observer:
            trained = find_trained_model(self._planner, run_dir, observer, checkpoint=spec.checkpoint)
            trained.framework.manifest.check_device(spec.device)
            observer.predicting(trained)
        found = predict(self._planner, self._warm_worker(), trained, spec, given)
        if not progress:
            return found
        from visiontrain.display.predicting import shown

        return shown(found, total=total)

    def close(self) -> None:
        """End the worker that is kept for predictions. Runs go on; the session can still be used."""
        if self._warm is not None:
            self._warm.close()

    def _warm_worker(self) -> WarmWorker:
        from visiontrain.runners.warm import WarmWorker

        with self._lock:
            if self._warm is None:
                self._warm = WarmWorker()
                weakref.finalize(self, self._warm.close)
            return self._warm
