"""Label files on the command line: in place of a folder everywhere."""

import pytest
from visiontrain_harness.json_lines import lines_of

from visiontrain.session import Session


@pytest.fixture
def labels(shapes):
    """A list of the sample's images beside its folders; it is removed again: others use them."""
    paths = [path.relative_to(shapes) for path in sorted(shapes.rglob("*.jpg"))]
    source = shapes / "labels.csv"
    source.write_text("\n".join(["path,label,split", *(f"{p},{p.parts[1]},{p.parts[0]}" for p in paths)]))
    yield source
    source.unlink()


def test_a_check(run, shapes, labels):
    listed, folder = run("dataset", "check", labels), run("dataset", "check", shapes)
    assert listed.exit_code == folder.exit_code == 0, listed.output
    assert listed.stdout.splitlines()[0] == f"{labels}: label-file, for classify"
    assert listed.stdout == folder.stdout
    (report,) = lines_of(run("dataset", "check", labels, "--json").stdout)
    assert (report["root"], report["source"], report["multi_label"]) == (str(shapes), str(labels), False)


def test_a_bad_row_is_bad_input(run, labels):
    labels.write_text("path,label\nx.png\n")
    done = run("dataset", "check", labels)
    assert done.exit_code == 2
    assert "line 2: has 1 fields" in done.stderr


def test_a_training_keeps_the_file_and_the_warnings(counting, shapes, labels):
    twice = labels.read_text().splitlines()[1]
    labels.write_text(f"{labels.read_text()}\n{twice}\n")
    done = counting("train", labels, "--model", "count_small", "--epochs", "1", "--scratch")
    assert done.exit_code == 0, done.output
    assert "Warning: 1 row left out" in done.stderr
    record = Session().run().record
    assert (record.data.path, record.data.format) == (str(labels), "label-file")
    assert record.data.warnings[0].startswith("1 row left out")
    assert "Warning about the data: 1 row left out" in counting("runs", "show", "last").stdout
    again = counting("resume", "last", "--epochs", "2")
    assert again.exit_code == 0, again.output


def test_a_framework_that_takes_one_label_refuses_several(counting, home, shapes, labels):
    first, *rest = labels.read_text().splitlines()
    labels.write_text("\n".join([first, *(line.replace(",circle,", ",circle|round,") for line in rest)]))
    assert counting("dataset", "check", labels).stdout.splitlines()[0].endswith("for classify, multi-label")
    done = counting("train", labels, "--model", "count_small", "--scratch")
    assert done.exit_code == 2
    assert "gives images several labels each, and the framework counter takes one" in done.stderr
    assert not (home / "runs").exists()
