"""Runs without an environment: the worker is this Python, the trainer one of `visiontrain_defects`."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import sys
import tempfile
import venv
from pathlib import Path

from visiontrain.following import RunHandle
from visiontrain.handles import Run
from visiontrain.protocol.messages import ResumeFrom, TrainParams, Weights
from visiontrain.protocol.structure import unstructure
from visiontrain.rundir.directory import RECORD, RunDirectories
from visiontrain.rundir.events import EVENTS
from visiontrain.runners.command import WORKER_BOOTSTRAP
from visiontrain.runners.links import link_folder
from visiontrain.runners.supervised import start_supervisor
from visiontrain.runners.variables import worker_variables
from visiontrain.supervisor.launch import Deadlines, Launch, WorkerCommand
from visiontrain.supervisor.record import DataRecord, EnvironmentRecord, RunRecord, read_record

DEADLINES = Deadlines(stop=60.0, interrupt=10.0, host_gone=6.0, shutdown=5.0)


@functools.cache
def bare_python() -> Path:
    """An interpreter that has nothing installed: of all that a worker imports, only the links can be the source."""
    if found := os.environ.get("VISIONTRAIN_TEST_BARE_PYTHON"):  # made by the test that started this process
        return Path(found)
    folder = Path(tempfile.mkdtemp(prefix="visiontrain-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def command(home: Path, trainer: str, *, passthrough: tuple[str, ...] = ()) -> WorkerCommand:
    """How the worker is started."""
    folder = link_folder(home / "links", ["visiontrain_defects"])
    argv = (str(bare_python()), "-I", "-X", "utf8", "-c", WORKER_BOOTSTRAP, str(folder))
    return WorkerCommand(argv, worker_variables(passthrough), f"visiontrain_defects.{trainer}")


def record(run_id: str, *, status: str = "pending", name: str | None = None, **fields: object) -> RunRecord:
    """A record of a run of no real model."""
    return RunRecord(
        run_id=run_id,
        kind="train",
        status=status,
        created_at="2026-01-01T00:00:00.000+00:00",
        framework="defects",
        task="classify",
        model="defect",
        plugin_version="1.0",
        licence="Apache-2.0",
        spec={},
        data=DataRecord("/data", "/index", "class-folders", "0" * 64, {"train": 1}, ("a",)),
        environment=EnvironmentRecord("defects", "g", sys.executable, "d", locked=False),
        name=name,
        **fields,
    )


def params(run_id: str, run_dir: Path, *, resume: ResumeFrom | None = None, **options: object) -> TrainParams:
    """A request to train."""
    return TrainParams(
        run_id=run_id,
        run_dir=str(run_dir),
        task="classify",
        model="defect",
        dataset="/index",
        epochs=1,
        batch_size=1,
        learning_rate=None,
        image_size=None,
        weights=Weights("scratch"),
        device="cpu",
        seed=0,
        options=options,
        resume=resume,
    )


def start(
    home: Path,
    trainer: str,
    *,
    detached: bool = False,
    deadlines: Deadlines = DEADLINES,
    passthrough: tuple[str, ...] = (),
    run_dir: Path | None = None,
    **options: object,
) -> RunHandle:
    """Start a run with the trainer `visiontrain_defects.<trainer>`; `run_dir` is given to take one up again."""
    if run_dir is None:
        _, run_dir = RunDirectories(home / "runs").create()
    attempt = 1 + (read_record(run_dir / RECORD).attempt if (run_dir / RECORD).exists() else 0)
    events = run_dir / EVENTS
    offset = events.stat().st_size if events.exists() else 0
    asked = params(run_dir.name, run_dir, **options)
    link = start_supervisor(
        Launch(
            run_dir=str(run_dir),
            record=record(run_dir.name, attempt=attempt),
            command=command(home, trainer, passthrough=passthrough),
            params=unstructure(asked),
            device=asked.device,
            detached=detached,
            deadlines=deadlines,
        )
    )
    return RunHandle(Run(run_dir, _no_resume), link, offset=offset)


def follow(run_dir: Path) -> RunHandle:
    """A handle on a run of any process."""
    return RunHandle(Run(run_dir, _no_resume), None)


def _no_resume(run_id: str, epochs: int | None) -> Run:
    raise AssertionError("not used here")
