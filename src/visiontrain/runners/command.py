"""The command line of a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from visiontrain.plugin.manifest import Manifest
from visiontrain.plugin.trackers import TrackerManifest
from visiontrain.runners.links import link_folder
from visiontrain.runners.variables import worker_variables
from visiontrain.supervisor.launch import WorkerCommand

__all__ = ["WORKER_BOOTSTRAP", "tracker_command", "worker_command"]

#: Appended, not prepended: the environment's own packages always win.
WORKER_BOOTSTRAP = "import sys; sys.path.append(sys.argv[1]); from visiontrain.worker.serve import main; main()"


def worker_command(
    manifest: Manifest,
    python: Path,
    *,
    links: Path,
    write_bytecode: bool = True,
    passthrough: Iterable[str] = (),
    fixed: Mapping[str, str] | None = None,
) -> WorkerCommand:
    """How to start a worker of a framework.

    Args:
        manifest: The framework.
        python: The environment's interpreter.
        links: Folder for folders of links.
        write_bytecode: Whether the worker may write ``__pycache__`` folders; not into an interpreter that is not ours.
        passthrough: Names or patterns of further variables that reach the worker.
        fixed: Variables set to a value.
    """
    return WorkerCommand(
        argv=_argv(python, link_folder(links, manifest.packages), write_bytecode=write_bytecode),
        env=worker_variables((*manifest.variables, *passthrough), fixed=fixed),
        trainer=manifest.trainer,
    )


def tracker_command(
    manifest: TrackerManifest,
    python: Path,
    *,
    links: Path,
    write_bytecode: bool = True,
    passthrough: Iterable[str] = (),
) -> WorkerCommand:
    """How to start a worker of a tracker; arguments as for `worker_command`."""
    return WorkerCommand(
        argv=_argv(python, link_folder(links, manifest.packages), write_bytecode=write_bytecode),
        env=worker_variables((*manifest.variables, *passthrough), fixed=manifest.fixed),
        trainer=manifest.tracker,
    )


def _argv(python: Path, folder: Path, *, write_bytecode: bool) -> tuple[str, ...]:
    # -I: neither PYTHON* variables nor the working folder nor the user's site-packages have a say.
    flags = ("-I",) if write_bytecode else ("-I", "-B")
    return (str(python), *flags, "-X", "utf8", "-c", WORKER_BOOTSTRAP, str(folder))
