"""A script that any interpreter from 3.8 on runs with ``-I``, and that the host imports too: standard library only.

::

    python -I probe.py facts                    -> what the interpreter is, as one line of JSON
    python -I probe.py versions NAME...         -> {name: installed version or null}, as one line of JSON
    python -I probe.py check MODULE[:ATTR]...   -> imports each; says on standard error which it is at
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import sysconfig

__all__ = ["CHECKING", "facts"]

#: What is written before the name of each import that is being checked.
CHECKING = "checking import of "


def facts() -> dict[str, str]:
    """What this interpreter is; the names of PEP 508's markers, and ``executable``, ``platform`` and ``abi``."""
    implementation = sys.implementation
    version = implementation.version
    release = ".".join(str(part) for part in version[:3])
    if version.releaselevel != "final":
        release += version.releaselevel[0] + str(version.serial)
    return {
        "executable": sys.executable,
        "platform": sysconfig.get_platform(),
        "abi": str(sysconfig.get_config_var("SOABI") or ""),
        "implementation_name": implementation.name,
        "implementation_version": release,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": release,  # platform.python_version() of some distributions ends with a "+"
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def _versions(names: list[str]) -> dict[str, str | None]:
    from importlib import metadata

    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _check(imports: list[str]) -> None:
    for text in imports:
        sys.stderr.write(f"{CHECKING}{text}\n")
        sys.stderr.flush()
        module, _, attribute = text.partition(":")
        value = importlib.import_module(module)
        for name in attribute.split(".") if attribute else []:
            value = getattr(value, name)


if __name__ == "__main__":
    if sys.argv[1] == "check":
        _check(sys.argv[2:])
    else:
        answer = facts() if sys.argv[1] == "facts" else _versions(sys.argv[2:])
        sys.stdout.write(json.dumps(answer) + "\n")
