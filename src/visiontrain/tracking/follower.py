"""The process that sends a run while it goes on: started beside the run, and ended by nothing but its own end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from visiontrain.errors import TrackingError
from visiontrain.home import Home
from visiontrain.tracking.describing import source_tags
from visiontrain.tracking.state import TrackingState, read_state, write_state
from visiontrain.worker.priority import stand_back

__all__ = ["LOG", "main", "start_follower"]

#: What the process printed, in the run's folder.
LOG = "tracking.log"

#: The first process ends at once, so that the host has no child to wait for. What the host could import, it can.
_BOOTSTRAP = """\
import json, os, sys
if os.fork():
    os._exit(0)
os.setsid()
sys.path += [path for path in json.loads(sys.argv[1]) if path not in sys.path]
from visiontrain.tracking.follower import main
main(*json.loads(sys.argv[2]))
"""

_START_TIMEOUT = 60.0


def start_follower(
    home: Home, run_dir: Path, state: TrackingState | None = None, *, passthrough: tuple[str, ...] = ()
) -> None:
    """Have a run sent by a process of its own, which goes on when this one ends.

    Args:
        home: The home.
        run_dir: The run's folder.
        state: Where a new run is to be sent; None: it goes on as it was.
        passthrough: Names or patterns of further variables that reach the tracker.

    Raises:
        StorageError: the run's folder does not take the state.
        TrackingError: the process could not be started.
    """
    if state is not None:
        write_state(run_dir, state)
    if not sys.executable:
        raise TrackingError("this Python does not know its own interpreter (sys.executable is empty)")
    paths = [path for path in sys.path if path and os.path.isabs(path)]  # noqa: PTH117 - a plain question
    arguments = [json.dumps(paths), json.dumps([str(home.root), str(run_dir), list(passthrough)])]
    try:
        with (run_dir / LOG).open("ab") as log:
            subprocess.run(
                [sys.executable, "-I", "-X", "utf8", "-c", _BOOTSTRAP, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                timeout=_START_TIMEOUT,
                check=True,
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise TrackingError(
            f"the process that sends the run could not be started: {error}",
            instruction=f"Send it when it is over: visiontrain runs sync {run_dir.name}",
        ) from error


def main(home: str, run_dir: str, passthrough: list[str]) -> None:
    """Send the run to its end, then what earlier ones have left."""
    from visiontrain.plugin.discovery import discover
    from visiontrain.tracking.syncing import Syncer

    stand_back()  # its own work, and that of building an environment, come after the training's
    place, run = Home(Path(home)), Path(run_dir)
    state = read_state(run)
    if state is not None and not state.source:
        write_state(run, replace(state, source=source_tags()))  # from the folder that the person is in
    os.chdir(run)
    trackers = {manifest.name: manifest for plugin in discover() for manifest in plugin.trackers}
    with Syncer(place, trackers, passthrough=tuple(passthrough)) as syncer:
        syncer.follow(run)
        syncer.send_pending(but=run)
