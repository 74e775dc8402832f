"""Which state of a plugin's code something was read from."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from visiontrain.errors import PluginError
from visiontrain.plugin.discovery import Plugin
from visiontrain.plugin.manifest import Manifest
from visiontrain.runners.links import package_folder

__all__ = ["edition_of"]


def edition_of(plugin: Plugin, manifest: Manifest) -> str:
    """The plugin's version; of one that is used where it is written also what tells its sources from earlier ones.

    Sources change while the version does not. They are told apart by names, sizes and times: a few dozen files are
    looked at, none is read.

    Args:
        plugin: Whose code it is.
        manifest: Names the packages that the worker imports.
    """
    if not plugin.editable:
        return plugin.version
    digest = hashlib.sha256()
    for name in manifest.packages:
        with suppress(PluginError, OSError):  # told when a worker is started; a file may go while they are listed
            folder = package_folder(name)
            for file in sorted(folder.rglob("*.py")):
                status = file.stat()
                told = f"{name}/{file.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\n"
                digest.update(told.encode(errors="surrogateescape"))
    return f"{plugin.version}, sources {digest.hexdigest()[:16]}"
