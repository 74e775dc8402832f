"""The key metrics on a line."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from visiontrain.report.metrics import ASIDE, ordered
from visiontrain.wording import clean, metric

__all__ = ["metrics_line"]


def metrics_line(values: Mapping[str, float], primary: str | None, *, limit: int) -> Text:
    """As many metrics with their values as fit in `limit` characters, the telling ones first; one at the least."""
    line = Text()
    for name in ordered(values, primary):
        if name in ASIDE:
            continue
        shown = clean(name)
        part = f"{shown} {metric(values[name])}"
        if line and len(line) + 2 + len(part) > limit:
            break
        line.append("  " if line else "")
        line.append(f"{shown} ", style="dim")
        line.append(metric(values[name]), style="bold" if name == primary else "")
    return line
