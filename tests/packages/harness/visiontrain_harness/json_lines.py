"""Reading what ``--json`` prints."""

from __future__ import annotations

import json
from typing import Any


def lines_of(text: str) -> list[Any]:
    """JSON lines, strictly: a bare NaN is an error."""

    def refuse(name: str) -> None:
        raise AssertionError(f"bare {name}")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
