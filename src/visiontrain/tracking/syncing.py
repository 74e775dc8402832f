"""Sending runs: trackers' environments and workers are there as long as one process sends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.progress import BuildProgress
from visiontrain.environment.store import EnvironmentStore
from visiontrain.errors import (
    EnvironmentBuildError,
    PluginError,
    StorageError,
    TrackingError,
    UnknownRunError,
    VisiontrainError,
    WorkerCrashedError,
)
from visiontrain.home import Home
from visiontrain.plugin.trackers import TrackerManifest
from visiontrain.protocol.tracking import TrackingTarget
from visiontrain.rundir.directory import is_being_worked_on, read_current_record
from visiontrain.runners.command import tracker_command
from visiontrain.runners.connection import WorkerConnection
from visiontrain.tracking.pace import Pace
from visiontrain.tracking.sending import Sender
from visiontrain.tracking.state import (
    TrackingState,
    is_complete,
    lock_following,
    lock_state,
    owes_model,
    pending_runs,
    read_state,
    write_state,
)
from visiontrain.tracking.targets import find_target

__all__ = ["Sent", "Syncer"]

#: Seconds that a tracker may take for a piece: a server may need ten for each of several calls, and files may be large.
ANSWER = 900.0


@dataclass(frozen=True)
class Sent:
    """A run of which the tracker has all.

    Args:
        run_id: The run.
        url: The address of its page; None where the store is a file.
        version: The version of the registered model that it was made, where that was asked for.
    """

    run_id: str
    url: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class _Open:
    worker: WorkerConnection
    close: ExitStack


#: After these, trying again would change nothing.
_HOPELESS = (EnvironmentBuildError, PluginError, UnknownRunError, StorageError)


class Syncer:
    """Sends runs of a home. Use it as a context manager: its end ends the trackers' workers.

    Args:
        home: The home.
        trackers: Installed trackers by name.
        passthrough: Names or patterns of further variables that reach their workers.
        building: Is told how an environment is built.
    """

    def __init__(
        self,
        home: Home,
        trackers: Mapping[str, TrackerManifest],
        *,
        passthrough: tuple[str, ...] = (),
        building: Callable[[BuildProgress], None] | None = None,
    ) -> None:
        self._home = home
        self._trackers = trackers
        self._passthrough = passthrough
        self._building = building
        self._open: dict[str, _Open] = {}

    def __enter__(self) -> Syncer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._open):
            self._close(name)

    def follow(self, run_dir: Path) -> None:
        """Send a run to its end, trying again for as long as it goes on and some time longer.

        What can't be sent stays for later; why is kept in the run's state.
        """
        pace = Pace()
        with lock_following(run_dir):
            while True:
                over = not is_being_worked_on(run_dir)
                send, sample = pace.look(over=over)
                if send or sample:
                    with lock_state(run_dir, wait=True):  # not while it waits: others may send what is there
                        state = read_state(run_dir)
                        if state is None or (over and is_complete(run_dir, state)):
                            return
                        try:
                            if sample:
                                with self._sender(run_dir, state) as sender:
                                    sender.sample()
                            if send:
                                # A piece at a time while the training goes on.
                                pace.sent(self._send_what_is_there(run_dir, state, whole=over).took)
                        except VisiontrainError as error:
                            self._note(run_dir, error)
                            if isinstance(error, _HOPELESS) or not pace.failed():
                                return
                time.sleep(pace.nap)

    def send(
        self, run_dir: Path, *, named: bool = True, files: Sequence[Path] = (), register_as: str | None = None
    ) -> Sent:
        """Send what is there of a run, once.

        Args:
            run_dir: The run's folder.
            named: The person asks for this run: where it was deleted, it is sent anew.
            files: Files in it that are sent beside what its record tells of.
            register_as: The registered model that its exported model becomes a version of.

        Raises:
            VisiontrainError: it is not tracked, or was not accepted.
        """
        with lock_state(run_dir, wait=True):
            state = read_state(run_dir)
            if state is None:
                raise TrackingError(f"the run {run_dir.name} is not tracked: it was started with tracking off")
            try:
                sender = self._send_what_is_there(run_dir, state)
                if named and (sender.state.gone or not sender.confirm()):
                    anew = TrackingState(state.tracker, state.uri, state.experiment, state.source)
                    write_state(run_dir, anew)
                    sender = self._send_what_is_there(run_dir, anew)
                if files:
                    sender.send_files(files)
                version = sender.log_model(register_as=register_as) if register_as is not None else None
            except VisiontrainError as error:
                self._note(run_dir, error)
                raise
            return Sent(run_dir.name, sender.state.url, version)

    def send_each(self, run_dirs: Sequence[Path]) -> list[Sent]:
        """Send what is there of several runs, each tracker and address once where it fails.

        Raises:
            VisiontrainError: not all were accepted; those that could be are sent.
        """
        sent: list[Sent] = []
        failed: dict[tuple[str, str | None], VisiontrainError] = {}
        for run_dir in run_dirs:
            place: tuple[str, str | None] = ("", str(run_dir))
            try:
                if state := read_state(run_dir):
                    place = state.tracker, state.uri
                if place not in failed:
                    sent.append(self.send(run_dir, named=False))
            except VisiontrainError as error:
                failed[place] = error
        if not failed:
            return sent
        first = next(iter(failed.values()))
        if len(run_dirs) == 1:
            raise first
        raise TrackingError(
            f"{len(sent)} of {len(run_dirs)} runs were sent. The first that was not: {first.reason}",
            instruction=first.instruction,
        ) from first

    def send_pending(self, *, but: Path) -> None:
        """Send what earlier runs have left, each tracker and address once where it fails."""
        failed: set[tuple[str, str | None]] = set()
        for run_dir in pending_runs(self._home):
            if run_dir == but:
                continue
            with suppress(VisiontrainError), lock_state(run_dir, wait=False) as ours:
                state = read_state(run_dir)
                if not ours or state is None or (state.tracker, state.uri) in failed or is_being_worked_on(run_dir):
                    continue
                try:
                    self._send_what_is_there(run_dir, state)
                except VisiontrainError as error:
                    failed.add((state.tracker, state.uri))
                    self._note(run_dir, error)

    def worker(self, state: TrackingState) -> tuple[WorkerConnection, TrackingTarget]:
        """The worker of a run's tracker, and where it is to send the run.

        Raises:
            TrackingError: no plugin adds the tracker, or a password is not to be had.
            EnvironmentBuildError: its environment could not be built.
        """
        manifest = self._trackers.get(state.tracker)
        if manifest is None:
            raise TrackingError(
                f"no installed plugin adds the tracker {state.tracker!r}",
                instruction=f"Install it again: pip install visiontrain-{state.tracker}",
            )
        target = find_target(state, manifest, self._home)
        found = self._open.get(state.tracker)
        if found is None:
            found = self._open[state.tracker] = self._start(manifest)
        return found.worker, target

    def _send_what_is_there(self, run_dir: Path, state: TrackingState, *, whole: bool = True) -> Sender:
        """Send a piece of a run; `whole`: all of them, and the model that it has exported."""
        with self._sender(run_dir, state) as sender:
            while sender.step() and whole:
                pass
            if whole and not sender.state.gone and owes_model(sender.state, read_current_record(run_dir)):
                sender.log_model()
        return sender

    @contextmanager
    def _sender(self, run_dir: Path, state: TrackingState) -> Iterator[Sender]:
        try:
            worker, target = self.worker(state)
            yield Sender(run_dir, state, worker, target, parent=self._parent(run_dir, state))
        except WorkerCrashedError:
            self._close(state.tracker)  # the next try starts another one
            raise

    def _parent(self, run_dir: Path, child: TrackingState) -> str | None:
        """The tracker's id of the run that an evaluation or export belongs to; None where there is none any more.

        Raises:
            TrackingError: another process is about to send that run for the first time.
        """
        name = read_current_record(run_dir).parent
        if name is None or child.tracked is not None:  # it belongs where it was first sent to
            return None
        parent = self._home.runs / name
        state = read_state(parent)
        if state is None or state.gone or (state.tracker, state.uri) != (child.tracker, child.uri):
            return None
        if state.tracked is None:
            with lock_state(parent, wait=False) as ours:
                if not ours:
                    raise TrackingError(f"the run {name}, which it belongs to, is to be sent first")
                # Read again: whoever held the lock until now may have sent it.
                state = self._send_what_is_there(parent, read_state(parent) or state).state
        return state.tracked

    def _start(self, manifest: TrackerManifest) -> _Open:
        definition = EnvironmentDefinition.load(manifest.environment)
        store = EnvironmentStore(self._home.environments)
        with ExitStack() as undo:
            environment = store.ensure(definition, progress=self._building)
            undo.enter_context(store.hold(environment))
            command = tracker_command(
                manifest,
                environment.python,
                links=self._home.links,
                write_bytecode=environment.locked,
                passthrough=self._passthrough,
            )
            worker = undo.enter_context(WorkerConnection(command, timeout=ANSWER))
            worker.initialize()
            return _Open(worker, undo.pop_all())

    def _close(self, name: str) -> None:
        found = self._open.pop(name, None)
        if found is not None:
            with suppress(VisiontrainError):
                found.close.close()

    @staticmethod
    def _note(run_dir: Path, error: VisiontrainError) -> None:
        """Keep why a run was not accepted; the caller holds its `lock_state`."""
        with suppress(VisiontrainError):  # the run's folder is gone, or its disk is full
            state = read_state(run_dir)
            if state is not None:
                write_state(run_dir, replace(state, error=error.reason, instruction=error.instruction))
