"""Versions that both sides of the pipe compare before anything else is said."""

from __future__ import annotations

#: Version of the messages and of what they mean. Unknown versions are refused.
PROTOCOL_VERSION = 1

#: Version of the interface between the core and a plugin: manifest, hooks, ``Trainer`` and ``RunContext``.
API_VERSION = 1
