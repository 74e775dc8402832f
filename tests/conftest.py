"""What all tests share: the packages in ``tests/packages``, installed for one test as an editable install would."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGES = Path(__file__).parent / "packages"

# A shell starts what it puts into the background with SIGINT ignored, nohup does so with SIGHUP, and children inherit
# that: programs that tests send a Ctrl-C, or hang up on, would not hear of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Each run would be sent to a tracker by a process of its own; tests of that ask for it.
os.environ["VISIONTRAIN_TRACKING"] = "off"

# What tests import themselves; it adds no plugin.
sys.path += [str(PACKAGES / "harness"), str(PACKAGES / "defects")]


def install(name: str, site: Path) -> list[Path]:
    """Write the metadata of ``tests/packages/<name>`` below `site`; returns the folders to put on ``sys.path``."""
    source = PACKAGES / name
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    header = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(header, encoding="utf-8")
    lines = []
    for group, targets in project.get("entry-points", {}).items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in targets.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [site, source]


@pytest.fixture
def installed(tmp_path_factory, monkeypatch):
    """Install packages of ``tests/packages``, for this process and for those it starts with ``PYTHONPATH``."""
    before = set(sys.modules)

    def add(*names: str) -> None:
        for name in names:
            for folder in install(name, tmp_path_factory.mktemp("site")):
                monkeypatch.syspath_prepend(str(folder))
                monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)

    yield add
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and PACKAGES in Path(sys.modules[name].__file__).parents:
            del sys.modules[name]
