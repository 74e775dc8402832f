"""Names of metrics and parameters as MLflow takes them. Standard library only."""

from __future__ import annotations

import hashlib
import posixpath
import re

__all__ = ["metric_key"]

#: MLflow's limit, in characters.
_LONGEST = 250

#: All that MLflow's names may not hold. `\w` has the letters of every script.
_REFUSED = re.compile(r"[^/\w.\- :]")


def metric_key(name: str) -> str:
    """The name under which MLflow takes a metric; different names stay different ones.

    MLflow refuses most signs, names that are not normalised as paths, and long ones; a class may be called anything.
    A sign that is refused becomes its number: ``precision/a+b`` is ``precision/a-x2B-b``.
    """
    key = _REFUSED.sub(_number, name)
    parts = key.split("/")
    # Of a path "", "." and ".." mean something else: "precision/.." would be another name.
    key = "/".join(f"-{part}-" if part in ("", ".", "..") else part for part in parts)
    if len(key) > _LONGEST:
        key = f"{key[: _LONGEST - 17].rstrip('/')}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return key if key == posixpath.normpath(key) else key.replace("/", "-x2F-")


def _number(match: re.Match[str]) -> str:
    return f"-x{ord(match[0]):X}-"
