"""A tracker's pages on the store in the home, shown by a server on this machine."""

from __future__ import annotations

import contextlib
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.progress import BuildProgress
from visiontrain.environment.store import EnvironmentStore
from visiontrain.errors import SpecError, TrackingError
from visiontrain.home import Home
from visiontrain.plugin.trackers import TrackerManifest
from visiontrain.runners.connection import WorkerConnection
from visiontrain.runners.variables import worker_variables
from visiontrain.supervisor.launch import WorkerCommand

__all__ = ["HOST", "Pages", "serve_pages"]

#: Nobody but this machine is served.
HOST = "127.0.0.1"

#: Seconds that the server may take until it answers; it makes its database first.
_START_TIMEOUT = 180.0


@dataclass(frozen=True)
class Pages:
    """A server that shows pages, and the process that it runs in."""

    address: str
    server: WorkerConnection

    def wait(self) -> None:
        """Wait until the server ends.

        Raises:
            TrackingError: it has ended.
        """
        while (ended := self.server.await_end(3600.0)) is None:
            pass
        raise TrackingError(f"the server of {self.address} has ended: {ended}")


@contextlib.contextmanager
def serve_pages(
    home: Home, manifest: TrackerManifest, *, port: int, building: Callable[[BuildProgress], None] | None = None
) -> Iterator[Pages]:
    """Show the pages while the context lasts; the server ends with this process, however that ends.

    Raises:
        SpecError: something else listens on that port.
        EnvironmentBuildError: the tracker's environment could not be built.
        TrackingError: the server did not start.
    """
    _check_free(port)
    store = EnvironmentStore(home.environments)
    environment = store.ensure(EnvironmentDefinition.load(manifest.environment), progress=building)
    folder = home.tracking / manifest.name
    folder.mkdir(parents=True, exist_ok=True)
    names = {"host": HOST, "port": port, "folder": folder, "quoted": quote(str(folder))}
    arguments = [word.format_map(names) for word in manifest.pages]
    command = WorkerCommand(
        argv=(str(environment.python), "-I", "-X", "utf8", *arguments),
        env=worker_variables(manifest.variables, fixed=manifest.fixed),
        trainer="",
    )
    with store.hold(environment), WorkerConnection(command) as server:
        address = f"http://{HOST}:{port}"
        _await_answer(address, server)
        yield Pages(address, server)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SpecError(
                "port", f"{port} can't be listened on: {error.strerror}", instruction="Give another one: --port 5001"
            ) from error


def _await_answer(address: str, server: WorkerConnection) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        with contextlib.suppress(OSError):
            # No proxy: it is this machine.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            opener.open(address, timeout=5).close()
            return
        ended = server.await_end(0.1)
        if ended is not None or time.monotonic() > deadline:
            raise TrackingError(f"the server at {address} did not start: {ended or 'no answer in time'}")
