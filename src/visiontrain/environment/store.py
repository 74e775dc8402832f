"""The environments that are built on this machine: found, built, adopted, pinned, held and removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from visiontrain.environment.adoption import examine
from visiontrain.environment.builder import build_generation, building_folder, discard_leftovers, install, set_aside
from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.files import remove_folder, write_whole
from visiontrain.environment.generation import (
    IN_USE_FILE,
    STAMP_FILE,
    Fingerprint,
    Generation,
    generation_id,
    read_generation,
)
from visiontrain.environment.interpreter import Interpreter, choose, fits, inspect, own
from visiontrain.environment.locking import UseLock, exclusive
from visiontrain.environment.pointer import Pointer, forget, point, read_pointer
from visiontrain.environment.progress import BuildProgress, ProgressCallback
from visiontrain.environment.shelf import Shelf
from visiontrain.environment.torch_backend import wanted_torch_backend
from visiontrain.environment.uv import Uv
from visiontrain.errors import EnvironmentBuildError, InputError

__all__ = ["EnvironmentStore"]

_LOCK = ".lock"


class EnvironmentStore:
    """All environments under one folder, ``<root>/<name>/<generation>/``. Safe to use from many threads and processes.

    Args:
        root: The folder; it is made when something is built.
        uv: How uv is run; None for the uv that visiontrain depends on.
    """

    def __init__(self, root: Path, *, uv: Uv | None = None) -> None:
        self._shelf = Shelf(root.expanduser().absolute())
        self._uv = uv or Uv()

    def resolve(
        self, definition: EnvironmentDefinition, *, generation: str | None = None, torch_backend: str | None = None
    ) -> Generation | None:
        """The generation to use: the one that is named, else the pinned one, else the one that `definition` describes.

        A named or pinned one is used although the definition may have moved on: it is marked `stale` then.

        Args:
            definition: What the environment is made of.
            generation: An id, or a unique prefix of one.
            torch_backend: The build of torch; None for what ``VISIONTRAIN_TORCH_BACKEND`` or ``UV_TORCH_BACKEND`` say.

        Returns:
            None where it must be built first.

        Raises:
            InputError: `generation` names none, or several; `torch_backend` is not one.
            EnvironmentBuildError: the named or pinned generation is damaged, or no interpreter fits.
        """
        backend = wanted_torch_backend(definition, torch_backend)
        pointer = read_pointer(self._shelf.folder(definition.name))
        if generation is None and pointer is not None and pointer.pinned:
            generation = pointer.generation
        if generation is None:
            fingerprint = Fingerprint.of_build(definition, self._choose(definition, backend), torch_backend=backend)
            return self._shelf.ready(fingerprint)
        found = self._shelf.get(definition.name, generation)
        return replace(found, stale=found.fingerprint.is_stale(definition, torch_backend=backend))

    def build(
        self,
        definition: EnvironmentDefinition,
        *,
        torch_backend: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> Generation:
        """Build what `definition` describes, unless it is there, and make it current (not pinned).

        Args:
            definition: What the environment is made of.
            torch_backend: As for `resolve`.
            progress: Called from this thread with each step.

        Raises:
            InputError: `torch_backend` is not one.
            EnvironmentBuildError: it could not be built, or is not healthy; the message has the command and its output.
        """
        backend = wanted_torch_backend(definition, torch_backend)
        report: ProgressCallback = progress or _ignore

        def on_wait(holder: str) -> None:
            message = f"Waiting for {holder or 'another process'}, which is building it"
            report(BuildProgress(definition.name, "waiting-for-lock", message))

        folder = self._shelf.folder(definition.name)
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive(folder / _LOCK, on_wait=on_wait):
                discard_leftovers(folder)
                interpreter = self._choose(definition, backend)
                fingerprint = Fingerprint.of_build(definition, interpreter, torch_backend=backend)
                if self._shelf.ready(fingerprint) is None:
                    target = folder / generation_id(fingerprint)
                    build_generation(target, definition, fingerprint, interpreter, uv=self._uv, report=report)
                generation = self._make_current(fingerprint, pinned=False)
        report(BuildProgress(definition.name, "ready", f"Environment {definition.name} ({generation.id}) is ready"))
        return generation

    def ensure(
        self,
        definition: EnvironmentDefinition,
        *,
        generation: str | None = None,
        torch_backend: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> Generation:
        """What `resolve` finds, or else what `build` makes; arguments and errors are theirs."""
        found = self.resolve(definition, generation=generation, torch_backend=torch_backend)
        if found is None:
            return self.build(definition, torch_backend=torch_backend, progress=progress)
        if generation is None and not found.current:
            # Where none is pinned, what is current is only shown: a store that is read-only serves as well.
            with suppress(EnvironmentBuildError), _disk_errors(found.path):
                point(found.path.parent, Pointer(generation=found.id, pinned=False), keep_pinned=True)
                found = replace(found, current=True)
        return found

    def adopt(self, definition: EnvironmentDefinition, python: Path) -> Generation:
        """Take an existing interpreter as the environment and pin it; nothing is written in it.

        What does not fit the definition is in the generation's `warnings`.

        Raises:
            EnvironmentBuildError: it does not run, is too old for visiontrain's worker, or an import fails.
        """
        stamp = examine(definition, python)
        folder = self._shelf.folder(definition.name)
        target = folder / generation_id(stamp.fingerprint)
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive(folder / _LOCK):
                discard_leftovers(folder)
                known = read_generation(target)
                if known is None:
                    with building_folder(folder) as aside:
                        install(aside, target, stamp)
                else:
                    # Its packages may have changed; runs may be using it, so the folder stays.
                    write_whole(target / STAMP_FILE, stamp.model_dump_json(indent=1))
                    known.catalog_path.unlink(missing_ok=True)
                return self._make_current(stamp.fingerprint, pinned=True)

    def use(self, name: str, generation: str) -> Generation:
        """Pin a generation: it is used from now on, whatever the definition says, until the next build.

        Raises:
            InputError: `name` is not valid, or `generation` names none, or several.
            EnvironmentBuildError: the generation is damaged.
        """
        return self._make_current(self._shelf.get(name, generation).fingerprint, pinned=True)

    def hold(self, generation: Generation) -> UseLock:
        """Keep a generation from being removed for as long as the returned lock (a context manager) is open.

        Its descriptor can be handed to a child process, which then holds the generation too.

        Raises:
            EnvironmentBuildError: it was removed meanwhile.
        """
        try:
            return UseLock(generation.in_use_path, shared=True)
        except FileNotFoundError as error:
            raise _gone(generation.fingerprint) from error

    def remove(self, name: str, generation: str | None = None) -> tuple[str, ...]:
        """Remove one generation, or all of an environment; returns the ids. An adopted interpreter stays where it is.

        Raises:
            InputError: one is in use, and nothing was removed; or `name` or `generation` names nothing.
            EnvironmentBuildError: the files could not be removed.
        """
        folder = self._shelf.folder(name)
        targets = self._shelf.stored(name) if generation is None else [self._shelf.find(name, generation)]
        if not targets:
            raise InputError(f"no generation of environment {name} is stored here")
        with _disk_errors(folder):
            with ExitStack() as locks:
                for target in targets:
                    _lock_for_removal(target, locks)
                forget(folder, {target.name for target in targets})
                trash = [set_aside(target) for target in targets if target.exists()]
            for each in trash:
                remove_folder(each)
        return tuple(target.name for target in targets)

    def generations(self, name: str | None = None) -> list[Generation]:
        """All usable generations, of one environment or of all: by name, the newest first.

        Raises:
            InputError: `name` is not valid.
            EnvironmentBuildError: an environment's ``current.json`` is damaged.
        """
        return self._shelf.generations(name)

    def _choose(self, definition: EnvironmentDefinition, torch_backend: str | None) -> Interpreter:
        """The interpreter to build with; the search on PATH is spared where one that it found is in use already."""
        if not fits(definition, own()):
            for folder in self._shelf.stored(definition.name):
                known = read_generation(folder)
                if known is not None and known.fingerprint.is_build_of(definition, torch_backend=torch_backend):
                    with suppress(EnvironmentBuildError):  # what it was built with has changed: another is found
                        interpreter = inspect(known.python)
                        today = Fingerprint.of_build(definition, interpreter, torch_backend=torch_backend)
                        if today == known.fingerprint:
                            return interpreter
        return choose(definition, self._uv)

    def _make_current(self, fingerprint: Fingerprint, *, pinned: bool) -> Generation:
        pointer = Pointer(generation=generation_id(fingerprint), pinned=pinned)
        folder = self._shelf.folder(fingerprint.name)
        with _disk_errors(folder):
            point(folder, pointer)
        found = self._shelf.ready(fingerprint)
        if found is None:
            raise _gone(fingerprint)
        return found


def _gone(fingerprint: Fingerprint) -> EnvironmentBuildError:
    return EnvironmentBuildError(
        f"generation {generation_id(fingerprint)} of environment {fingerprint.name} was removed meanwhile",
        instruction=f"Build it again: visiontrain env build {fingerprint.name}",
    )


def _lock_for_removal(folder: Path, locks: ExitStack) -> None:
    try:
        locks.enter_context(UseLock(folder / IN_USE_FILE, shared=False))
    except BlockingIOError as error:
        raise InputError(
            f"generation {folder.name} of environment {folder.parent.name} is in use by a run",
            instruction="Stop the run first; those that are running: visiontrain runs list",
        ) from error
    except FileNotFoundError:
        return  # damaged, so that nobody uses it; or another process is removing it


def _ignore(_progress: BuildProgress) -> None:
    """Nobody listens."""


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Say what a failed write means for the person."""
    try:
        yield
    except BrokenPipeError:
        raise  # from whoever listens to the progress
    except OSError as error:
        raise EnvironmentBuildError(
            f"the store of environments at {folder} can't be written to: {error}",
            instruction="Free some space or set VISIONTRAIN_HOME to a folder on another disk that can be written to.",
        ) from error
