"""The reference says what the code says: tables are compared, generated pages are not stale, links lead somewhere."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path

import pytest

from visiontrain import errors
from visiontrain.environment import variables as uv_side
from visiontrain.protocol.metrics import LOSS_PART, METRICS, is_canonical
from visiontrain.protocol.tasks import OBJECT_TASKS, PRIMARY_METRIC, Task
from visiontrain.runners import variables
from visiontrain.supervisor import record

REPO = Path(__file__).parents[2]
DOCS = REPO / "docs"
PAGES = sorted(DOCS.glob("**/*.md"))


def load_generator():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text(page), re.MULTILINE | re.DOTALL)[1]


def names_in_first_column(content: str) -> list[str]:
    cells = re.findall(r"^\| ([^|]*) \|", content, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("page", load_generator().PAGES, ids=lambda page: page.stem)
def test_a_generated_page_is_not_stale(page):
    assert page.read_text(encoding="utf-8") == load_generator().PAGES[page](), "run: python docs/generate.py"


def test_the_variables_that_workers_see():
    content = section("reference/environment-variables.md", "What a worker sees")
    table = content[: content.index("\nA plugin's manifest")]
    described = [name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.partition(" | ")[2])]
    assert sorted(described) == sorted(variables.ALLOWED)
    for name in variables.ALWAYS:
        assert f"`{name}`" in content


def test_the_variables_that_uv_does_not_see():
    content = section("reference/environment-variables.md", "Settings of uv")
    refused = content[content.index("These do not reach it") :]
    assert set(re.findall(r"`(UV_\w+)`", refused)) == uv_side._REFUSED_BY_UV


def test_the_fields_of_a_record():
    described = names_in_first_column(section("reference/run-folder.md", "`run.json`"))
    assert sorted(described) == sorted(field.name for field in dataclasses.fields(record.RunRecord))
    for cls in (record.DataRecord, record.EnvironmentRecord, record.CheckpointRecord):
        for field in dataclasses.fields(cls):
            assert f"`{field.name}`" in section("reference/run-folder.md", "`run.json`")


def test_the_primary_metrics():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", section("reference/metrics.md", "Primary metrics"), re.MULTILINE)
    assert rows == [(str(task), name) for task, name in PRIMARY_METRIC.items()]


def test_every_name_of_a_metric_is_canonical():
    always = set(names_in_first_column(section("reference/metrics.md", "In every training")))
    assert all(always < names for names in METRICS.values())
    described = set(names_in_first_column(section("reference/metrics.md", "classify")))
    assert {name for name in described if "/" not in name} | always == METRICS[Task.classify]
    assert all(is_canonical(name, Task.classify) for name in described)
    of_objects = names_in_first_column(section("reference/metrics.md", "detect, segment, pose and obb"))
    told = [name for name in of_objects if not LOSS_PART.fullmatch(name)]
    assert len(told) < len(of_objects)
    assert {name for name in told if "/" not in name} == {"map50", "map50_95", "precision", "recall"}
    assert all(is_canonical(name, task) for name in told for task in OBJECT_TASKS)
    of_pixels = set(names_in_first_column(section("reference/metrics.md", "semantic")))
    assert {name for name in of_pixels if "/" not in name} | always == METRICS[Task.semantic]
    assert all(is_canonical(name, Task.semantic) for name in of_pixels)


def test_every_error_is_in_the_reference():
    described = re.findall(r"^::: visiontrain\.(\w+Error)$", text("reference/python.md"), re.MULTILINE)
    assert sorted(described) == errors.__all__


@pytest.mark.parametrize(
    "page", [REPO / "README.md", REPO / "CONTRIBUTING.md", *REPO.glob("plugins/*/README.md")], ids=str
)
def test_links_of_pages_outside_of_the_site_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_every_page_is_in_the_navigation():
    navigation = (REPO / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page for page in PAGES if page.relative_to(DOCS).as_posix() not in navigation] == []


def test_no_page_makes_a_reader_fetch_from_elsewhere():
    for page in PAGES:
        images = re.findall(
            r"!\[[^\]]*\]\(([^)]+)\)|<(?:img|script|iframe)[^>]*src=.([^\s\"'>]+)", page.read_text("utf-8")
        )
        assert not [image for pair in images for image in pair if "://" in image]


def test_the_floors_are_modules_and_all_of_them():
    block = re.search(
        r"^## Floors\n.*?^```text\n(.*?)^```", text("explanation/architecture.md"), re.MULTILINE | re.DOTALL
    )[1]
    named = [name for line in block.splitlines() for name in re.split(r"  +", line)[0].split(", ")]
    package = REPO / "src" / "visiontrain"
    modules = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(named) == sorted(modules - {"__init__"})
