import json

import pytest

from visiontrain.environment.definition import Cost, EnvironmentDefinition
from visiontrain.errors import PluginError

HASH = "--hash=sha256:" + "0" * 64


def test_load(write_definition):
    folder = write_definition(
        requirements=["numpy>=2"], imports=["numpy", "numpy.linalg:norm"], lock=f"# made\nnumpy==2.1 \\\n    {HASH}\n"
    )
    definition = EnvironmentDefinition.load(folder)
    assert definition.name == "tiny"
    assert definition.requires_python == ">=3.10"
    assert definition.requirements == ("numpy>=2",)
    assert definition.imports == ("numpy", "numpy.linalg:norm")
    assert [(pin.name, pin.version) for pin in definition.pins] == [("numpy", "2.1")]
    assert definition.lock == (folder / "requirements.lock").read_text()


def test_load_through_a_link(write_definition, tmp_path):
    write_definition()
    (tmp_path / "link").symlink_to("definition")
    assert EnvironmentDefinition.load(tmp_path / "link").name == "tiny"


def test_no_requirements(write_definition):
    assert EnvironmentDefinition.load(write_definition()).pins == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "Tiny"}, "name: 'Tiny' is not an environment's name"),
        ({"name": "../tiny"}, "is not an environment's name"),
        ({"requires_python": "3.11 or so"}, "requires-python: '3.11 or so' is not a version specifier"),
        ({"requires_python": "<3.10"}, "allows no Python from 3.10 on"),
        ({"requirements": ["numpy >"]}, "'numpy >' is not a requirement"),
        ({"requirements": ["-r other.txt"]}, "'-r other.txt' is not a requirement"),
        ({"requirements": ["numpy @ https://example.org/numpy.whl"]}, "names an address"),
        ({"imports": ["os; import sys"]}, "is not of the form package.module"),
        ({"imports": ["os:"]}, "is not of the form package.module"),
        ({"cost": 1}, "cost: "),
        ({"libraries": []}, "libraries: Extra inputs are not permitted"),
    ],
)
def test_wrong_field(write_definition, fields, message):
    folder = write_definition(**fields)
    with pytest.raises(PluginError, match=r"environment\.toml") as error:
        EnvironmentDefinition.load(folder)
    assert message in str(error.value)


def test_lock_in_the_wrong_file(write_definition):
    folder = write_definition()
    with (folder / "environment.toml").open("a") as file:
        file.write("lock = ''\n")
    with pytest.raises(PluginError, match="lock is not a field"):
        EnvironmentDefinition.load(folder)


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        ("", "'numpy>=2' is required, the lock does not have it"),
        (f"numpy==1.9 {HASH}\n", "'numpy>=2' is required, the lock has 1.9"),
        ("numpy==2.1\n", "'numpy==2.1' has no hash"),
        (f"numpy>=2.1 {HASH}\n", "is not pinned to one version"),
        (f"numpy==2.* {HASH}\n", "is not pinned to one version"),
        ("--index-url https://example.org/simple\n", "is not a pinned requirement"),
        (f"numpy @ https://example.org/numpy.whl {HASH}\n", "is not pinned to one version"),
        (f"./numpy.whl {HASH}\n", "is not a pinned requirement"),
    ],
)
def test_lock_that_does_not_fit(write_definition, lock, message):
    folder = write_definition(requirements=["numpy>=2"], lock=lock)
    with pytest.raises(PluginError, match=r"requirements\.lock") as error:
        EnvironmentDefinition.load(folder)
    assert message in str(error.value)
    assert "nox -s lock" in str(error.value)


def test_missing_files(write_definition, tmp_path):
    with pytest.raises(PluginError, match=r"environment\.toml does not exist"):
        EnvironmentDefinition.load(tmp_path)
    with pytest.raises(PluginError, match=r"requirements\.lock does not exist"):
        EnvironmentDefinition.load(write_definition(lock=None))


def test_files_that_can_not_be_read(write_definition):
    folder = write_definition()
    (folder / "requirements.lock").write_bytes(b"\xff\xfe")
    with pytest.raises(PluginError, match="can't be read"):
        EnvironmentDefinition.load(folder)
    (folder / "environment.toml").write_text("name = ")
    with pytest.raises(PluginError, match="not valid TOML"):
        EnvironmentDefinition.load(folder)


@pytest.mark.parametrize(
    ("text", "size"), [("2.5 GB", 2_500_000_000), ("300MiB", 300 * 2**20), ("12 kB", 12_000), ("7 B", 7), (9, 9)]
)
def test_cost(text, size):
    assert Cost(download=text, disk=0).download == size


@pytest.mark.parametrize("text", ["much", "-1 GB", "2,5 GB", -1])
def test_wrong_cost(text):
    with pytest.raises(ValueError, match="download"):
        Cost(download=text, disk=0)


@pytest.mark.parametrize(
    ("specifier", "oldest"),
    [(">=3.10,<3.14", "3.10"), (">=3.11.4", "3.11"), ("~=3.12.1", "3.12"), ("!=3.10.*", "3.11")],
)
def test_minimum_python(write_definition, specifier, oldest):
    assert EnvironmentDefinition.load(write_definition(requires_python=specifier)).minimum_python == oldest


def test_supports_python(write_definition):
    definition = EnvironmentDefinition.load(write_definition(requires_python=">=3.10,<3.14"))
    versions = ("3.9.18", "3.10.0", "3.13.12", "3.14.0")
    assert [definition.supports_python(version) for version in versions] == [False, True, True, False]


def test_definition_is_frozen(definition):
    with pytest.raises(ValueError, match="frozen"):
        definition.name = "other"
    assert json.loads(definition.model_dump_json())["name"] == "tiny"
