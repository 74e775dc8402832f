import pytest
from packaging.markers import default_environment

from visiontrain.environment.pins import parse_lock, torch_constraints

HASH = "--hash=sha256:" + "0" * 64


def test_parse_lock():
    text = f"# a comment\n\nTyping_Extensions==4.1 ; python_version < '3.11' \\\n    {HASH} \\\n    {HASH}\n"
    text += f"numpy==2.1 {HASH}"
    first, second = parse_lock(text)
    assert (first.name, first.version, len(first.hashes)) == ("typing-extensions", "4.1", 2)
    assert (second.name, second.version) == ("numpy", "2.1")
    assert second.hashes == ("sha256:" + "0" * 64,)


def test_last_line_may_be_continued():
    assert [pin.name for pin in parse_lock(f"numpy==2.1 \\\n  {HASH} \\\n")] == ["numpy"]


def test_applies():
    (pin,) = parse_lock(f"tomli==2.0 ; python_version < '3.11' {HASH}")
    markers = {**default_environment(), "extra": ""}
    assert pin.applies({**markers, "python_version": "3.10", "python_full_version": "3.10.1"})
    assert not pin.applies({**markers, "python_version": "3.11", "python_full_version": "3.11.1"})


def test_torch_constraints():
    names = (
        "torch==2.15.0",
        "nvidia-cublas==13.4",
        "triton==3.9",
        "cuda-bindings==13.5",
        "numpy==2.1 ; sys_platform == 'linux'",
    )
    pins = parse_lock("".join(f"{name} {HASH}\n" for name in names))
    assert torch_constraints(pins).splitlines() == ["torch==2.15.0", 'numpy==2.1; sys_platform == "linux"']


@pytest.mark.parametrize(
    "behind",
    [
        "--index-url=http://elsewhere",
        "-e .",
        "# a comment",
        "; python_version < '3'",
        "--hash=sha256:" + "0" * 63,
        "--hash=md5:" + "0" * 32,
        "--hash=",
        "--hash=sha256:" + "0" * 64 + " -r other.txt",
        "\\\n --extra-index-url http://elsewhere",
    ],
)
def test_nothing_but_hashes_stands_behind_a_pin(behind):
    with pytest.raises(ValueError, match=r"'numpy==2\.1' has something that is no SHA-2 hash"):
        parse_lock(f"numpy==2.1 {HASH} {behind}\n")


@pytest.mark.parametrize(
    "line",
    [
        "--index-url=http://elsewhere",
        "-r other.txt",
        "-e .",
        "./numpy",
        "numpy @ file:///numpy",
        "numpy==2.*",
        "numpy>=2",
    ],
)
def test_a_line_is_a_pin_and_nothing_else(line):
    with pytest.raises(ValueError, match="is not"):
        parse_lock(f"{line} {HASH}\n")
