"""Sending one run: a piece of its record at a time, with a cursor on disk that moves when a piece was accepted."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from visiontrain.protocol.events import UNFINISHED
from visiontrain.protocol.structure import structure
from visiontrain.protocol.tracking import (
    LogModelParams,
    LogModelResult,
    Point,
    SystemMetricsResult,
    TrackedFile,
    TrackedRun,
    TrackingTarget,
    TrackParams,
    TrackResult,
)
from visiontrain.report.page import REPORT, write_report
from visiontrain.rundir.directory import is_being_worked_on, read_current_record
from visiontrain.rundir.events import EVENTS, EventReader
from visiontrain.runners.connection import WorkerConnection
from visiontrain.storage import explained
from visiontrain.supervisor.record import RunRecord
from visiontrain.tracking.describing import milliseconds, params_of, tags_of, texts_of
from visiontrain.tracking.folding import Piece, begin_piece, fold
from visiontrain.tracking.state import TrackingState, write_state

__all__ = ["NO_MODEL", "SAMPLES", "Sender"]

#: What the machine was doing, a line a sample, beside the record: its only writer is the process that sends the run.
SAMPLES = "system_metrics.jsonl"

#: In place of a model's address: the tracker can't serve models of its kind.
NO_MODEL = "none"

#: Points that are enough for a piece: a few calls of a server that takes a thousand at once.
ENOUGH = 5000


class Sender:
    """Sends a run; the caller holds its `lock_state`.

    Args:
        run_dir: The run's folder.
        state: How far it has been sent.
        worker: A tracker's worker, initialized.
        target: Where to.
        parent: The tracker's id of the run that this one belongs to.
    """

    def __init__(
        self,
        run_dir: Path,
        state: TrackingState,
        worker: WorkerConnection,
        target: TrackingTarget,
        *,
        parent: str | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.state = state
        self._worker = worker
        self._target = target
        self._parent = parent
        self.took = 0.0  # seconds that the pieces have taken

    def step(self) -> bool:
        """Send the next piece; gives False where there is none at the moment.

        Raises:
            VisiontrainError: it was not accepted; the cursor stays where it is.
        """
        began = time.monotonic()
        try:
            return self._step()
        finally:
            self.took += time.monotonic() - began

    def _step(self) -> bool:
        over = not is_being_worked_on(self.run_dir)  # asked before the reading: what was written until then is read
        record = read_current_record(self.run_dir)
        reader = EventReader(self.run_dir / EVENTS, offset=self.state.offset)
        piece, caught_up = begin_piece(self.state), False
        while len(piece.points) < ENOUGH and not caught_up:
            events = reader.read()
            caught_up = not events
            fold(events, piece, self.run_dir, kind=record.kind)
        samples, sampled = self._samples()
        ends = over and caught_up and record.status not in UNFINISHED
        told_end = (record.status, record.attempt) == (self.state.status, self.state.attempt)
        if caught_up and reader.position == self.state.offset and not samples and (told_end or not ends):
            return False
        if ends:
            self._add_report(piece)
        # Kept before it is sent: a process that dies between here and the answer leaves word that it may be there.
        uncertain = self.state.uncertain
        if not uncertain:
            self.keep(replace(self.state, uncertain=True))
        told = TrackParams(
            self._target,
            self._describe(record, ends=ends),
            points=(*piece.points, *samples),
            files=tuple(piece.files.values()),
            texts=texts_of(record) if self.state.offset == 0 else {},
            uncertain=uncertain,
        )
        answer = structure(TrackResult, self._worker.request("track", told))
        self.keep(
            replace(
                self.state,
                offset=reader.position,
                samples=sampled,
                uncertain=False,
                reached=piece.reached,
                again=piece.again,
                tracked=answer.tracked or self.state.tracked,
                url=answer.url,
                gone=answer.gone,
                status=record.status if ends else None,
                attempt=record.attempt if ends else self.state.attempt,
                error=None,
                instruction=None,
            )
        )
        return not answer.gone

    def confirm(self) -> bool:
        """Ask the tracker whether it still has the run; gives False where it was deleted there.

        Raises:
            VisiontrainError: there was no answer.
        """
        over = not is_being_worked_on(self.run_dir)
        record = read_current_record(self.run_dir)
        told = TrackParams(self._target, self._describe(record, ends=over and record.status not in UNFINISHED))
        return not structure(TrackResult, self._worker.request("track", told)).gone

    def _add_report(self, piece: Piece) -> None:
        """That the run's page can't be made must not keep the rest from being sent."""
        try:
            piece.files[REPORT] = TrackedFile(str(write_report(self.run_dir)), REPORT)
        except Exception as error:  # noqa: BLE001 - as above
            message = f"the report of the run {self.run_dir.name} is not sent: {error}"
            warnings.warn(message, stacklevel=2)

    def log_model(self, *, register_as: str | None = None) -> str | None:
        """Have the tracker keep the model that an export has left, so that it can be served; gives the version.

        Args:
            register_as: The registered model that it becomes a version of.

        Raises:
            VisiontrainError: it was not accepted.
        """
        told = LogModelParams(
            self._target, self.state.tracked or "", self.run_dir.name, str(self.run_dir / "artifacts"), register_as
        )
        answer = structure(LogModelResult, self._worker.request("log_model", told))
        self.keep(replace(self.state, model=answer.uri or NO_MODEL, error=None, instruction=None))
        return answer.version

    def send_files(self, paths: Iterable[Path]) -> None:
        """Send files of the run's folder that no event asks for: checkpoints.

        Raises:
            VisiontrainError: they were not accepted.
        """
        record = read_current_record(self.run_dir)
        files = tuple(TrackedFile(str(path), path.relative_to(self.run_dir).as_posix()) for path in paths)
        told = TrackParams(self._target, self._describe(record, ends=True), files=files)
        structure(TrackResult, self._worker.request("track", told))

    def sample(self) -> None:
        """Keep what the machine is doing at this moment.

        Raises:
            VisiontrainError: the worker can't say, or the disk does not take it.
        """
        found = structure(SystemMetricsResult, self._worker.request("system_metrics"))
        line = json.dumps({"time": time.time(), "values": found.values})
        path = self.run_dir / SAMPLES
        with explained("the machine's loads can't be kept"), path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def keep(self, state: TrackingState) -> None:
        """Take a new state, which is on disk before this returns.

        Raises:
            StorageError: the disk does not take it.
        """
        write_state(self.run_dir, state)
        self.state = state

    def _samples(self) -> tuple[list[Point], int]:
        """Points of the samples that were not sent, numbered from 0, and where the file ends."""
        path = self.run_dir / SAMPLES
        with explained("the machine's loads can't be read"):
            try:
                if path.stat().st_size == self.state.samples:
                    return [], self.state.samples
                lines = path.read_bytes()
            except FileNotFoundError:
                return [], 0
        end = lines.rfind(b"\n") + 1
        first = lines.count(b"\n", 0, self.state.samples)
        points = []
        for number, line in enumerate(lines[self.state.samples : end].splitlines(), first):
            sample = json.loads(line)
            moment = round(sample["time"] * 1000)
            points += [Point(name, value, number, moment) for name, value in sample["values"].items()]
        return points, end

    def _describe(self, record: RunRecord, *, ends: bool) -> TrackedRun:
        # A run whose supervisor has died and whose record is still being sent is not over for whoever reads the page.
        status = record.status if ends or record.status in UNFINISHED else "running"
        return TrackedRun(
            run_id=record.run_id,
            name=record.name or record.run_id,
            started=milliseconds(record.created_at) or 0,
            status=status,
            tracked=self.state.tracked,
            parent=self._parent,
            ended=milliseconds(record.ended_at) if ends else None,
            params=params_of(record),
            tags=tags_of(record, str(self.run_dir), self.state.source),
        )
