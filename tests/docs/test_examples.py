"""Every marked example of the documentation runs with a stand-in for timm; `tests/integration` runs the others."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint

import examples
import pytest
import tiny_visiontrain

from visiontrain.datasets.samples import make_sample


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all pages: the environment is built once."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("page", examples.pages_with("tiny"), ids=lambda page: page.stem)
def test_a_page_runs(page, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISIONTRAIN_HOME", str(home))
    monkeypatch.setattr("visiontrain.plugin.discovery.entry_points", tiny_visiontrain.stand_in)
    monkeypatch.setattr("visiontrain.session._default", None)
    make_sample("shapes", "data/shapes", images_per_class={"train": 4, "val": 2})
    examples.run_page(page, "tiny", command=examples.TINY, env={})


def test_there_are_pages_to_run():
    assert len(examples.pages_with("tiny")) > 5


def test_the_stand_in_is_found_as_timm():
    (found,) = tiny_visiontrain.stand_in()
    assert isinstance(found, EntryPoint)
    assert found.dist.name == "visiontrain-timm"


@pytest.mark.parametrize("page", examples.PAGES, ids=lambda page: page.stem)
def test_python_blocks_compile(page):
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        is_signature = block.startswith("def ") and block.count("\n") == 1
        compile(f"{block.rstrip()}: ..." if is_signature else block, str(page), "exec")


@pytest.mark.parametrize(
    ("expected", "output", "missing"),
    [
        (["accuracy 0.91  12 s"], ["x", "accuracy 0.5  3 s"], None),
        (["a", "b"], ["b", "a"], "b"),
        (["Did you mean resnet18..."], ["Did you mean resnet18, resnet34? More."], None),
        (["run 20260102-030405-0a1b"], ["run 20270102-030405-ffff"], None),
        (["run"], ["runs"], "run"),
    ],
)
def test_output_is_compared_but_for_numbers(expected, output, missing):
    assert examples.first_missing(expected, output) == missing
