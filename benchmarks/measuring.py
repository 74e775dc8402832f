"""What the benchmarks share: interleaved measurements, a training's request, and one way to print a ratio."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from visiontrain import Run

#: Fields of a training's request that its record has under the same name.
_RECORDED = ("task", "model", "epochs", "batch_size", "learning_rate", "image_size", "device", "seed", "options")


def wall(command: list[str], **options: object) -> float:
    """Seconds that a command takes; its failure is ours."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    return time.perf_counter() - begin


def compare(measured: Callable[[], float], baseline: Callable[[], float], *, rounds: int) -> tuple[float, float]:
    """Medians of both, measured in turns: what the machine does beside it hits both alike. The first round warms up."""
    measured(), baseline()
    pairs = [(measured(), baseline()) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def paired(measured: Callable[[], float], baseline: Callable[[], float], *, rounds: int) -> list[float]:
    """Ratios of the two, one a round: pairs measured one right after the other, in changing order.

    What comes and goes on the machine within minutes hits both of a pair alike. The first round warms up.
    """
    measured(), baseline()
    ratios = []
    for number in range(rounds):
        if number % 2:
            theirs, ours = baseline(), measured()
        else:
            ours, theirs = measured(), baseline()
        ratios.append(ours / theirs)
    return ratios


def report(name: str, measured: float, baseline: float, *, limit: float, unit: str = "ms", scale: float = 1e3) -> bool:
    """Print one line and say whether the ratio is within its limit."""
    ratio = measured / baseline
    good = ratio <= limit
    print(
        f"{name}: {measured * scale:.1f} {unit} against {baseline * scale:.1f} {unit}, "
        f"ratio {ratio:.3f} (limit {limit:g}) {'ok' if good else 'TOO SLOW'}"
    )
    return good


def request_of(run: Run, run_dir: Path) -> dict[str, object]:
    """The request of a finished training from scratch, as plain values, for the same one elsewhere.

    Args:
        run: That it is like.
        run_dir: Of the other one.
    """
    spec = json.loads((run.run_dir / "run.json").read_text(encoding="utf-8"))["spec"]
    return {
        "run_id": "direct",
        "run_dir": str(run_dir),
        "dataset": run.record.data.index,
        "weights": {"source": "scratch"},
        **{name: spec[name] for name in _RECORDED},
    }


def finish(results: list[bool]) -> None:
    """End the process: with 1 where a limit was passed."""
    sys.exit(0 if all(results) else 1)
