"""``visiontrain`` with the stand-in in timm's place: what the documentation's commands are run with."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from visiontrain.plugin import discovery
from visiontrain.plugin.hookspecs import ENTRY_POINT_GROUP


class _Distribution:
    name, version = "visiontrain-timm", "0.1.0"


def stand_in(group: str = ENTRY_POINT_GROUP) -> list[EntryPoint]:
    """The one entry point that is found."""
    found = EntryPoint("timm", "visiontrain_tiny.plugin", group)
    vars(found).update(dist=_Distribution)
    return [found]


if __name__ == "__main__":
    discovery.entry_points = stand_in
    from visiontrain.cli.main import main

    main()
