"""A worker on its own, spoken to line by line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from pathlib import Path

from visiontrain.protocol.structure import unstructure
from visiontrain_harness.runs import command, params

#: Seconds after which a worker that does not answer fails the test.
PATIENCE = 60.0


class Worker:
    """A worker's process; a context manager. `log` is what it printed."""

    def __init__(self, home: Path, trainer: str = "base:Steady") -> None:
        self.run_dir = home / "run"
        self.run_dir.mkdir()
        self._log = self.run_dir / "worker.log"
        self.trainer = f"visiontrain_defects.{trainer}"
        started = command(home, trainer)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                started.argv,
                env=started.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.run_dir,
                start_new_session=True,
            )
        self._number = 0  # of the last request
        self._timer = threading.Timer(PATIENCE, self.process.kill)
        self._timer.start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    @property
    def log(self) -> bytes:
        return self._log.read_bytes()

    def write(self, line: bytes) -> None:
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def send(self, method: str, params: object = None, *, number: int | None = None) -> None:
        self._number = max(self._number, number or 0)
        body = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        self.write(json.dumps(body if number is None else {**body, "id": number}).encode() + b"\n")

    def read(self) -> dict:
        line = self.process.stdout.readline()
        assert line.endswith(b"\n"), f"the worker ended: {self.log.decode(errors='replace')}"
        return json.loads(line)

    def initialize(self) -> dict:
        self.send("initialize", {"protocol": 1, "trainer": self.trainer}, number=1)
        return self.read()

    def train(self, **options: object) -> tuple[list[dict], dict]:
        """Events and the answer."""
        number = self._number + 1
        self.send("train", unstructure(params("run", self.run_dir, **options)), number=number)
        return self.until(number)

    def until(self, number: int) -> tuple[list[dict], dict]:
        """Events, up to the answer to the request `number`."""
        events = []
        while (message := self.read()).get("id") != number:
            assert "params" in message, message
            events.append(message["params"])
        return events, message

    def shut_down(self) -> int:
        """Ask it to end; its exit code."""
        self.send("shutdown", number=99)
        assert self.read() == {"jsonrpc": "2.0", "id": 99, "result": None}
        return self.process.wait()
