"""What ``visiontrain env list`` shows of a generation."""

from __future__ import annotations

from typing import Any

from visiontrain.environment.generation import Generation
from visiontrain.environment.progress import format_size

__all__ = ["generation_object", "generation_row"]


def generation_row(generation: Generation, *, in_use: bool, stale: bool) -> tuple[str, ...]:
    """Cells of the list: name and id, Python, size on disk, when it was built (UTC), state."""
    states = {
        "current": generation.current,
        "pinned": generation.pinned,
        "stale": stale,
        "in use": in_use,
        "adopted, not locked": not generation.locked,
        str(generation.torch_backend): generation.torch_backend is not None,
    }
    return (
        f"{generation.name}@{generation.id}",
        generation.python_version,
        format_size(generation.size_bytes) if generation.locked else "",
        f"{generation.created:%Y-%m-%d %H:%M}",
        ", ".join(state for state, holds in states.items() if holds) or "kept",
    )


def generation_object(generation: Generation, *, in_use: bool, stale: bool) -> dict[str, Any]:
    """The same as one JSON object."""
    return {
        "name": generation.name,
        "generation": generation.id,
        "digest": generation.digest,
        "python": str(generation.python),
        "python_version": generation.python_version,
        "platform": generation.platform,
        "torch_backend": generation.torch_backend,
        "size_bytes": generation.size_bytes,
        "exclusive_bytes": generation.exclusive_bytes,
        "created": generation.created.isoformat(),
        "locked": generation.locked,
        "current": generation.current,
        "pinned": generation.pinned,
        "stale": stale,
        "in_use": in_use,
        "warnings": list(generation.warnings),
    }
