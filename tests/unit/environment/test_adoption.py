"""Existing interpreters as environments."""

import sys
from pathlib import Path

import pytest

from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.errors import EnvironmentBuildError, InputError

HASH = "--hash=sha256:" + "0" * 64


def moved(definition):
    return definition.model_copy(update={"lock": "# moved on\n"})


def test_adopt(store, definition, fake_uv):
    adopted = store.adopt(definition, Path(sys.executable))
    assert adopted.python == Path(sys.executable)
    assert not adopted.locked
    assert adopted.warnings == ()
    assert (adopted.current, adopted.pinned, adopted.size_bytes) == (True, True, 0)
    assert store.ensure(moved(definition)).id == adopted.id
    assert fake_uv.calls == []
    assert store.build(definition).id != adopted.id
    assert store.resolve(definition).locked


def test_adopt_keeps_the_link_of_a_virtualenv(store, definition, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert store.adopt(definition, tmp_path / "bin" / "python").python == tmp_path / "bin" / "python"


def test_adopt_says_what_does_not_fit(store, write_definition):
    lock = f"pydantic==99.1 {HASH}\nno-such-distribution==1 {HASH}\npluggy==1.5 {HASH}\n"
    requirements = ["pydantic>=99", "no-such-distribution", "pluggy", "other; python_version < '3'"]
    definition = EnvironmentDefinition.load(
        write_definition(requires_python=">=3.30", requirements=requirements, lock=lock + f"other==1 {HASH}\n")
    )
    warnings = store.adopt(definition, Path(sys.executable)).warnings
    assert len(warnings) == 3
    assert "is outside of >=3.30" in warnings[0]
    assert warnings[1].startswith("pydantic>=99 is required, ")
    assert warnings[2] == "no-such-distribution is required, and no installed distribution has that name"


def test_adopt_again_checks_again(store, definition):
    first = store.adopt(definition, Path(sys.executable))
    first.catalog_path.write_text("{}")
    with store.hold(first):
        second = store.adopt(definition, Path(sys.executable))
        assert second.id == first.id
        assert second.created > first.created
        assert not second.catalog_path.exists()
        with pytest.raises(InputError, match="in use"):
            store.remove("tiny", first.id)


def test_adopt_what_is_not_healthy(store, definition, tmp_path):
    broken = definition.model_copy(update={"imports": ("no_such_module",)})
    with pytest.raises(EnvironmentBuildError, match="no_such_module"):
        store.adopt(broken, Path(sys.executable))
    with pytest.raises(EnvironmentBuildError, match="can't be run"):
        store.adopt(definition, tmp_path / "missing")
    assert store.generations() == []
