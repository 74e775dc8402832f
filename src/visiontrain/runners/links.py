"""Folders of links: all that a worker can import beside its environment's own packages.

A worker's `sys.path` gets one folder that holds just `visiontrain` and the plugin's packages. The host's site-packages
stay out of sight, and a folder serves children started by spawn or forkserver too, where an import hook would be lost.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from visiontrain.errors import PluginError
from visiontrain.storage import explained

__all__ = ["link_folder", "package_folder"]


def package_folder(name: str) -> Path:
    """Where a top-level package lies; it is not imported.

    Raises:
        PluginError: there is no such package, or it is a single module.
    """
    spec = find_spec(name) if name.isidentifier() else None
    locations = list(spec.submodule_search_locations or ()) if spec else []
    if len(locations) != 1:
        raise PluginError(
            f"the package {name!r}, which a plugin's manifest names, is not an installed package of one folder",
            instruction="The plugin's author must name its top-level packages in the manifest.",
        )
    return Path(locations[0]).resolve()


def link_folder(root: Path, packages: Iterable[str]) -> Path:
    """The folder below `root` with a link to each package; made where it is not there yet.

    Raises:
        PluginError: a package is not there.
        StorageError: the disk does not take the folder.
    """
    targets = {name: package_folder(name) for name in sorted({"visiontrain", *packages})}
    digest = hashlib.sha256(
        "\0".join(f"{name}={path}" for name, path in targets.items()).encode(errors="surrogateescape")
    )
    folder = root / digest.hexdigest()[:16]
    if folder.is_dir():
        return folder
    with explained("the folder of links that workers import from can't be made"):
        root.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=root, prefix=".making-"))
        try:
            temporary.chmod(0o755)
            for name, target in targets.items():
                (temporary / name).symlink_to(target, target_is_directory=True)
            temporary.rename(folder)
        except BaseException as error:
            shutil.rmtree(temporary, ignore_errors=True)
            # Somebody else was faster, with the same links.
            if not isinstance(error, OSError) or not os.path.isdir(folder):  # noqa: PTH112 - a plain question
                raise
    return folder
