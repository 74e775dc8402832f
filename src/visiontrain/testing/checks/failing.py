"""What can't be done is said in good order: an error with its reason, not a crash and not something else instead."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from visiontrain.errors import (
    DatasetError,
    DeviceError,
    InputError,
    ProtocolError,
    RunFailedError,
    VisiontrainError,
    WorkerCrashedError,
)
from visiontrain.testing.checks.case import Case, expect, to_the_end, until
from visiontrain.testing.laboratory import Trial

__all__ = ["Failing"]


class Failing(Case):
    """Requests that fail: before anything starts where the manifest rules them out, else inside the worker."""

    def test_a_file_that_holds_no_weights_is_refused(self, start: Any, tmp_path: Path) -> None:
        """The error names the file, or says that the model takes none."""
        path = tmp_path / "not-weights.bin"
        path.write_bytes(b"these are no weights" * 100)
        error = self._refusal(start, weights=str(path))
        expect(isinstance(error, InputError), f"raise WeightsError for weights that can't be used, not this: {error}")

    def test_a_device_that_is_not_there_is_refused(self, start: Any) -> None:
        """Nothing is computed on another device instead."""
        error = self._refusal(start, device="cuda:99")
        expect(isinstance(error, DeviceError), f"raise DeviceError for a device that can't be used, not this: {error}")

    def test_an_image_that_is_gone_is_named(self, start: Any, data: Path, tmp_path: Path) -> None:
        """Data can break after it was checked."""
        broken = tmp_path / "data"
        shutil.copytree(data, broken)
        trial = start(data=broken, hold="start")
        expect(until(lambda: trial.is_held, trial, within=self.patience), "the training did not begin")
        for path in [path for path in broken.rglob("*") if path.is_file()]:
            path.unlink()
        trial.let_go()
        error = self._error(trial)
        told = isinstance(error, (DatasetError, RunFailedError))
        expect(told, f"a file of the data that is gone is told as {type(error).__name__}: {error}")
        expect(str(broken.name) in str(error), f"the error names no file of the data: {error}")

    def _refusal(self, start: Any, **request: Any) -> VisiontrainError:
        try:
            trial = start(**request)
        except InputError as error:
            return error
        return self._error(trial)

    def _error(self, trial: Trial) -> VisiontrainError:
        to_the_end(trial, within=self.patience)
        try:
            run = trial.handle.run.raise_for_status()
        except (WorkerCrashedError, ProtocolError) as error:
            pytest.fail(f"the worker did not answer with an error, it broke: {error}", pytrace=False)
        except VisiontrainError as error:
            expect(trial.handle.status == "failed", f"the run reads {trial.handle.status} after: {error}")
            expect(error.reason.strip() not in ("", "Exception:"), "the error has no message")
            return error
        pytest.fail(f"the training did something else instead of failing: it ended as {run.status}", pytrace=False)
