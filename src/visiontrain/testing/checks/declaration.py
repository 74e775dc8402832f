"""What a plugin says about itself, before and beside training."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from visiontrain.testing.checks.case import Case, expect
from visiontrain.testing.laboratory import Laboratory

__all__ = ["Declaration"]

_DEVICE = re.compile(r"cpu|mps|cuda:\d+")


class Declaration(Case):
    """Manifest, environment, describe, models."""

    def test_the_manifest_is_whole(self) -> None:
        """Options have help; the environment's definition and its lock are there and fit each other."""
        manifest = self.the_manifest()
        silent = [option.name for option in manifest.options if not option.help.strip()]
        expect(not silent, f"the options {', '.join(silent)} have no help")
        expect(manifest.summary.strip() != "", "the manifest's summary is empty")
        expect(self.the_task() in manifest.tasks, f"the manifest does not list the task {self.the_task()}")
        definition = self.the_definition()
        expect(
            definition.name == manifest.name,
            f"the environment is called {definition.name}, the framework {manifest.name}: they share one name",
        )

    def test_the_host_s_half_does_not_import_the_framework(self) -> None:
        """Importing what the entry point names loads nothing that belongs into the environment."""
        definition = self.the_definition()
        theirs = {name.partition(":")[0].partition(".")[0] for name in definition.imports} - sys.stdlib_module_names
        modules = _host_modules(self.the_plugin().name)
        if not modules or not theirs:  # a manifest that is not installed was made by whoever imported it
            return
        code = (
            "import importlib, sys\n"
            "import visiontrain.plugin.hookspecs, visiontrain.plugin.manifest\n"
            "before = set(sys.modules)\n"
            "for name in sys.argv[1:]: importlib.import_module(name)\n"
            "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
        )
        done = subprocess.run([sys.executable, "-c", code, *modules], check=False, capture_output=True, text=True)
        expect(done.returncode == 0, f"{', '.join(modules)} can't be imported:\n{done.stderr}")
        imported = sorted(theirs & set(done.stdout.split()))
        expect(not imported, f"{', '.join(modules)} imports {', '.join(imported)}, which belongs into the environment")

    def test_the_environment_is_described(self, laboratory: Laboratory) -> None:
        """`describe` names versions and devices."""
        worker = laboratory.catalog.worker
        expect(set(worker.versions) > {"python"}, "describe() gives no version of the framework")
        empty = [name for name, version in worker.versions.items() if not version]
        expect(not empty, f"describe() gives no version of {', '.join(empty)}")
        names = [device.name for device in worker.devices]
        expect(names != [], "describe() gives no device")
        odd = [name for name in names if not _DEVICE.fullmatch(name)]
        expect(not odd, f"describe() names devices {', '.join(odd)}; devices are called cpu, mps and cuda:N")

    def test_the_catalogue_has_the_model(self, laboratory: Laboratory) -> None:
        """`models` lists it, each name once, and the manifest's patterns route every name."""
        catalog, manifest = laboratory.catalog, self.the_manifest()
        model = catalog.find(self.model)
        if model is None:
            some = ", ".join(sorted(catalog.names)[:10])
            pytest.fail(f"models() has no {self.model!r}; it has: {some or 'nothing'}", pytrace=False)
        expect(str(self.the_task()) in model.tasks, f"models() says that {model.name} can't {self.the_task()}")
        names = [model.name for model in catalog.models]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        expect(not twice, f"models() gives {', '.join(twice[:5])} more than once")
        known = set(map(str, manifest.tasks))
        foreign = sorted({task for model in catalog.models for task in model.tasks} - known)
        expect(not foreign, f"models() names tasks that the manifest does not have: {', '.join(foreign)}")
        unmatched = [name for name in names if not manifest.answers_to(name)]
        expect(
            not unmatched,
            f"the manifest's patterns match {len(unmatched)} of the model names not, such as {unmatched[:3]}: until "
            "the environment is built, nobody would find them",
        )


def _host_modules(plugin: str) -> list[str]:
    from importlib.metadata import entry_points

    from visiontrain.plugin.hookspecs import ENTRY_POINT_GROUP

    return [found.module for found in entry_points(group=ENTRY_POINT_GROUP) if found.name == plugin]
