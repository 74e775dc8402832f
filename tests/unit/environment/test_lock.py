import pytest

from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.lock import lock_environment
from visiontrain.errors import EnvironmentBuildError, PluginError

HASH = "--hash=sha256:" + "0" * 64


def test_lock(write_definition, fake_uv):
    folder = write_definition(requirements=["numpy>=2"], requires_python=">=3.11,<3.14", lock=None)
    fake_uv.answer("pip compile", lock=f"numpy==2.1 \\\n    {HASH}\n")
    definition = lock_environment(folder, uv=fake_uv)
    text = (folder / "requirements.lock").read_text()
    assert text.startswith('# Pins of the environment "tiny"')
    assert text.endswith(f"numpy==2.1 \\\n    {HASH}\n")
    assert "/" not in text
    assert definition == EnvironmentDefinition.load(folder)
    (call,) = fake_uv.calls
    assert "--python-version=3.11" in call["arguments"]
    assert "--upgrade" not in call["arguments"]


def test_locking_again_adds_no_second_header(write_definition, fake_uv):
    folder = write_definition()
    fake_uv.answer("pip compile", lock="# made by something\n")
    lock_environment(folder, uv=fake_uv)
    first = (folder / "requirements.lock").read_text()
    lock_environment(folder, upgrade=True, uv=fake_uv)
    assert (folder / "requirements.lock").read_text() == first
    assert "--upgrade" in fake_uv.calls[-1]["arguments"]


def test_failure_leaves_the_lock(write_definition, fake_uv):
    folder = write_definition(lock="# as it was\n")
    fake_uv.answer("pip compile", code=1, stderr="error: No solution found")
    with pytest.raises(EnvironmentBuildError, match="No solution found"):
        lock_environment(folder, uv=fake_uv)
    assert (folder / "requirements.lock").read_text() == "# as it was\n"


def test_a_wrong_definition_is_not_locked(write_definition, fake_uv):
    with pytest.raises(PluginError):
        lock_environment(write_definition(name="Tiny"), uv=fake_uv)
    assert fake_uv.calls == []
