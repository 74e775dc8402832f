"""Records what a host and a real worker say to each other, for the specification and for whoever replays it.

``python tests/docs/transcripts.py`` writes ``tests/contract/transcripts/*.jsonl`` anew. Each line of such a file is
``{"from": "host" | "worker", "line": TEXT}``, TEXT being one line of the pipe as it was, without its newline. Times,
process ids, folders, the interpreter's version and tracebacks are other ones each time: fixed values stand for them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import visiontrain
from visiontrain.protocol.codec import dumps, encode
from visiontrain.protocol.inference import EvaluateParams, ExportParams, ImageSource, PredictParams, RawPixels
from visiontrain.protocol.messages import (
    InitializeParams,
    Notification,
    Request,
    Response,
    ResumeFrom,
    TrainParams,
    Weights,
)
from visiontrain.protocol.structure import unstructure
from visiontrain.protocol.version import PROTOCOL_VERSION
from visiontrain.runners.command import WORKER_BOOTSTRAP

FOLDER = Path(__file__).parents[1] / "contract" / "transcripts"
TINY = Path(__file__).parent / "visiontrain_tiny"

RUN_ID = "20260102-030405-0a1b"
RUNS = "/data/visiontrain/runs"
INDEX = "/data/visiontrain/datasets/06d2c601a3c1c935-72ac2b4d/index.sqlite"
TRAINER = "visiontrain_tiny.scripted:ScriptedTrainer"

Entry = dict[str, str]
#: Whether a line of the worker is the last one to wait for before the host goes on.
Awaited = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Say:
    """A line of the host, and what it waits for afterwards: the answer to its request where nothing else is said."""

    line: bytes
    until: Awaited | None = None


def train_params(model: str, *, resume: tuple[str, ...] | None = None) -> TrainParams:
    run_dir = f"{RUNS}/{RUN_ID}"
    return TrainParams(
        run_id=RUN_ID,
        run_dir=run_dir,
        task="classify",
        model=model,
        dataset=INDEX,
        epochs=1,
        batch_size=32,
        learning_rate=None,
        image_size=64,
        weights=Weights("scratch"),
        device="auto",
        seed=0,
        options={"weight_decay": 0.05, "augmentation": "light", "workers": None},
        resume=None if resume is None else ResumeFrom(tuple(f"{run_dir}/checkpoints/{name}" for name in resume)),
    )


OPTIONS = {"augmentation": "light", "workers": None}
CHECKPOINT = f"{RUNS}/20260101-020304-0c1d/checkpoints/best.pt"
MODEL = {"task": "classify", "model": "resnet18", "checkpoint": CHECKPOINT, "options": OPTIONS}
OF_RUN = {"run_id": RUN_ID, "run_dir": f"{RUNS}/{RUN_ID}", "dataset": INDEX}


def evaluate_params() -> EvaluateParams:
    return EvaluateParams(**MODEL, **OF_RUN, splits=("test",), batch_size=32, device="auto")


def predict_params() -> PredictParams:
    pixels = ImageSource("/dev/shm/visiontrain-x1y2z3/1", RawPixels("RGB", 640, 480, 0))
    images = (ImageSource("/data/clothes/1.jpg"), pixels, ImageSource("/data/clothes/2.jpg"))
    return PredictParams(**MODEL, images=images, batch_size=32, device="auto", confidence=0.0)


def object_params(task: str) -> PredictParams:
    images = (ImageSource("/data/clothes/1.jpg"), ImageSource("/data/clothes/2.jpg"))
    asked = {**MODEL, "task": task, "model": f"seeing_{task}"}
    return PredictParams(**asked, images=images, batch_size=32, device="auto", confidence=0.25)


def export_params() -> ExportParams:
    return ExportParams(**MODEL, **OF_RUN, format="onnx", split="val", images=32, tolerance=1e-4)


def request(number: int, method: str, params: object | None = None) -> Say:
    return Say(encode(Request(number, method, unstructure(params) if params is not None else {})))


def initialize(number: int = 1, *, protocol: int = PROTOCOL_VERSION, run_id: str | None = RUN_ID) -> Say:
    return request(number, "initialize", InitializeParams(protocol, TRAINER, run_id))


def begun(message: dict[str, Any]) -> bool:
    return message.get("method") == "event" and message["params"]["type"] == "log"


def is_error(message: dict[str, Any]) -> bool:
    return "error" in message


SESSIONS: dict[str, Sequence[Say]] = {
    "train": (
        initialize(),
        request(2, "ping"),
        request(3, "train", train_params("shortest")),
        request(4, "shutdown"),
    ),
    "stop": (
        initialize(),
        Say(request(2, "train", train_params("endless")).line, begun),
        Say(encode(Notification("stop")), lambda message: message.get("id") == 2),
        request(3, "shutdown"),
    ),
    "resume": (
        initialize(),
        request(2, "train", train_params("shortest", resume=("last.pt", "previous.pt"))),
        request(3, "shutdown"),
    ),
    "use": (
        initialize(),
        request(2, "evaluate", evaluate_params()),
        request(3, "predict", predict_params()),
        request(4, "shutdown"),
    ),
    "objects": (
        initialize(run_id=None),
        *(
            request(number, "predict", object_params(task))
            for number, task in enumerate(("detect", "segment", "pose", "obb"), start=2)
        ),
        request(6, "shutdown"),
    ),
    "export": (initialize(), request(2, "export", export_params()), request(3, "shutdown")),
    "models": (initialize(run_id=None), request(2, "models"), request(3, "shutdown")),
    "errors": (
        request(1, "models"),
        initialize(2, protocol=99),
        initialize(3),
        initialize(4),
        request(5, "divide"),
        request(6, "train", {"run_id": RUN_ID}),
        request(7, "train", train_params("broken")),
        Say(request(7, "models").line, is_error),
        Say(encode(Response(8)), is_error),
        Say(encode(Notification("later")), is_error),
        Say(b'{"jsonrpc":"2.0","id":9,"method":\n', is_error),
        Say(b'{"jsonrpc":"2.0","id":10,"method":"ping","params":{"x":NaN}}\n', is_error),
        request(11, "shutdown"),
    ),
}


def record(session: Sequence[Say]) -> list[Entry]:
    """Hold a session with a real worker in a folder of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        links = folder / "links"
        links.mkdir()
        (links / "visiontrain").symlink_to(Path(visiontrain.__file__).parent)
        (links / "visiontrain_tiny").symlink_to(TINY)
        (folder / "runs" / RUN_ID).mkdir(parents=True)
        worker = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", WORKER_BOOTSTRAP, str(links)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONSAFEPATH": "1"},
        )
        with worker:
            entries: list[Entry] = []
            for say in session:
                worker.stdin.write(say.line.replace(RUNS.encode(), str(folder / "runs").encode()))
                worker.stdin.flush()
                entries.append({"from": "host", "line": say.line.decode().rstrip("\n")})
                until = say.until or answers(json.loads(say.line)["id"])
                while line := worker.stdout.readline():
                    message = json.loads(line.decode().replace(str(folder / "runs"), RUNS))
                    entries.append({"from": "worker", "line": dumps(fixed(message, len(entries))).decode()})
                    if until(message):
                        break
            assert worker.stdout.read() == b""  # it ends by itself after shutdown
            assert worker.wait(60) == 0
    return entries


def answers(number: int) -> Awaited:
    return lambda message: message.get("id") == number


def fixed(value: Any, number: int) -> Any:
    """Put fixed values in the place of what is another each time; `number` makes times go on."""
    values = {"time": 1767323045.0 + number, "monotonic": 1000.0 + number, "pid": 4242, "python": "3.12.1"}
    if isinstance(value, dict):
        return {key: values[key] if key in values else fixed(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [fixed(item, number) for item in value]
    if isinstance(value, str) and value.startswith("Traceback"):
        return re.sub(r"\n  .*\n(?=\S)", "\n  ...\n", value, flags=re.DOTALL)
    return value


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.jsonl"


def read(name: str) -> list[Entry]:
    return [json.loads(line) for line in path_of(name).read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each, session in SESSIONS.items():
        text = "".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in record(session))
        path_of(each).write_text(text, encoding="utf-8")
