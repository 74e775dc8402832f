"""How the host starts processes of its own, and the sockets by which they learn of its end."""

from __future__ import annotations

import os
import socket
import sys
import weakref

from visiontrain.errors import RunError
from visiontrain.runners.links import package_folder

__all__ = ["host_command", "lifeline"]

_ours: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def lifeline() -> tuple[socket.socket, socket.socket]:
    """A pair of sockets: ours, and the other process's. Ours is closed by our end, whatever children we have forked."""
    ours, theirs = socket.socketpair()
    _ours.add(ours)
    return ours, theirs


def host_command(bootstrap: str, *arguments: str) -> list[str]:
    """The command line of a program of ours in the host's interpreter, with nothing but the standard library to import.

    Raises:
        RunError: this Python does not know its own interpreter.
    """
    if not sys.executable:
        raise RunError("this Python does not know its own interpreter (sys.executable is empty)")
    folder = package_folder("visiontrain").parent
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", bootstrap, str(folder), *arguments]


def _close_in_child() -> None:
    # Whatever lock guards one of them may be held by a thread that the child does not have.
    for connection in list(_ours):
        connection.close()


os.register_at_fork(after_in_child=_close_in_child)
