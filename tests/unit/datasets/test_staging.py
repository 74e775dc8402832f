from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from visiontrain.datasets.probe_cache import Probe
from visiontrain.datasets.staging import Staging

#: For each class the number of copies of each content.
CLASSES = st.dictionaries(st.text("abc", min_size=1), st.lists(st.integers(1, 3), max_size=30), min_size=1, max_size=4)


def fill(staging, classes, *, backwards=False):
    images = [
        (name, f"{name}/{number}-{copy}", hashlib.sha256(f"{name}{number}".encode()).digest())
        for name, contents in classes.items()
        for number, copies in enumerate(contents)
        for copy in range(copies)
    ]
    for name in classes:
        staging.add_class(name)
    if backwards:
        images.reverse()
    for name, path, _ in images:
        staging.add_image("train", name, path, size=1, mtime_ns=2)
    contents = {path.encode(): sha256 for _, path, sha256 in images}
    for chunk in staging.unprobed():
        staging.set_probes((row[0], Probe(1, 2, 8, 8, "RGB", contents[row[1]])) for row in chunk)
    staging.index_contents()


def carved(classes, seed, **options):
    with Staging() as staging:
        fill(staging, classes, **options)
        staging.carve(seed, 0.2)
        return sorted(staging.rows("SELECT class.name, path, split, sha256 FROM kept JOIN class ON class.id = class"))


@given(CLASSES, st.integers(0, 3))
def test_carving_is_stratified_and_keeps_equal_contents_together(classes, seed):
    by_content = defaultdict(set)
    contents = defaultdict(set)
    for name, _, split, sha256 in carved(classes, seed):
        by_content[sha256].add(split)
        contents[name, split].add(sha256)
    assert all(len(splits) == 1 for splits in by_content.values())
    for name, copies in classes.items():
        in_val = len(contents[name, "val"])
        if len(copies) > 1:
            assert in_val == max(1, round(0.2 * len(copies)))
            assert contents[name, "train"]
        else:
            assert in_val == 0


@given(CLASSES)
def test_carving_does_not_depend_on_the_order_of_listing(classes):
    assert carved(classes, 5) == carved(classes, 5, backwards=True)


def test_another_seed_carves_others():
    splits = [tuple(row[2] for row in carved({"a": [1] * 50}, seed)) for seed in range(3)]
    assert len(set(splits)) == 3
    assert {Counter(split)["val"] for split in splits} == {10}


def test_unprobed_images_come_in_chunks_once():
    with Staging() as staging:
        staging.add_class("a")
        for number in range(4500):
            staging.add_image("train", "a", str(number), size=1, mtime_ns=2)
        assert [len(chunk) for chunk in staging.unprobed()] == [2000, 2000, 500]
        staging.set_probes((number, Probe(reason="no")) for number in range(1, 4001))
        assert [len(chunk) for chunk in staging.unprobed()] == [500]
