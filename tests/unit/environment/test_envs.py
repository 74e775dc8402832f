"""The definitions that the project ships."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.interpreter import own

FOLDERS = sorted(path.parent for path in Path(__file__).parents[3].glob("envs/*/environment.toml"))


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def shipped(request):
    return EnvironmentDefinition.load(request.param)


def test_there_are_some():
    assert "timm" in [path.name for path in FOLDERS]


def test_name_is_that_of_the_folder(shipped):
    assert shipped.name in [path.name for path in FOLDERS]


def test_cost_was_measured(shipped):
    assert shipped.cost.download > 0
    assert shipped.cost.disk > 0


def test_lock_has_no_addresses(shipped):
    assert "://" not in shipped.lock
    assert all(not line.startswith("-") for line in shipped.lock.splitlines())


@pytest.mark.parametrize("minor", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize(
    "platform", [("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64")]
)
def test_each_requirement_is_pinned_once_everywhere(shipped, minor, platform):
    if not shipped.supports_python(f"{minor}.9"):
        return
    system, name, machine = platform
    python = {"python_version": minor, "python_full_version": f"{minor}.9", "implementation_version": f"{minor}.9"}
    markers = {
        **own().markers(),
        **python,
        "sys_platform": system,
        "platform_system": name,
        "platform_machine": machine,
    }
    installed = {}
    for pin in shipped.pins:
        if pin.applies(markers):
            assert pin.name not in installed
            installed[pin.name] = pin.version
    for text in shipped.requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(markers):
            assert requirement.specifier.contains(installed[canonicalize_name(requirement.name)])
