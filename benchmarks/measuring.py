"""What the benchmarks share: medians of repeated, interleaved measurements, and one way to print a ratio."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable


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


def report(name: str, measured: float, baseline: float, *, limit: float, unit: str = "ms", scale: float = 1e3) -> bool:
    """Print one line and say whether the ratio is within its limit."""
    ratio = measured / baseline
    good = ratio <= limit
    print(
        f"{name}: {measured * scale:.1f} {unit} against {baseline * scale:.1f} {unit}, "
        f"ratio {ratio:.3f} (limit {limit:g}) {'ok' if good else 'TOO SLOW'}"
    )
    return good


def finish(results: list[bool]) -> None:
    """End the process: with 1 where a limit was passed."""
    sys.exit(0 if all(results) else 1)
