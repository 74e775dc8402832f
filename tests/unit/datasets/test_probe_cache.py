from __future__ import annotations

import sqlite3

import pytest

from visiontrain.datasets.probe_cache import Probe, ProbeCache

GOOD = Probe(10, 20, 3, 4, "RGB", b"x" * 32)
BAD = Probe(11, 21, reason="it is damaged")


@pytest.fixture
def path(tmp_path):
    with ProbeCache(tmp_path / "probes.sqlite", "1") as cache:
        cache.keep([(b"/good", GOOD), (b"/\xff", BAD), (b"/gone", Probe(reason="away", lasting=False))])
    return tmp_path / "probes.sqlite"


def find(path, *files, pillow="1"):
    with ProbeCache(path, pillow) as cache:
        return list(cache.find(files))


def test_what_was_kept_is_found(path):
    assert find(path, (b"/good", 10, 20), (b"/\xff", 11, 21), (b"/gone", -1, 0)) == [GOOD, BAD, None]


def test_a_file_that_changed_is_not_known(path):
    assert find(path, (b"/good", 10, 21), (b"/good", 11, 20)) == [None, None]


def test_another_pillow_tries_the_unreadable_again(path):
    assert find(path, (b"/good", 10, 20), (b"/\xff", 11, 21), pillow="2") == [GOOD, None]


def test_an_interrupted_look_up_leaves_the_cache_usable(path):
    with ProbeCache(path, "1") as cache:
        looking = cache.find([(b"/good", 10, 20), (b"/good", 10, 20)])
        assert next(looking) == GOOD
        looking.close()
        cache.keep([(b"/new", GOOD)])
    assert find(path, (b"/new", 10, 20)) == [GOOD]


def test_nothing_is_kept_of_a_batch_that_fails(path):
    def batch():
        yield b"/new", GOOD
        raise KeyboardInterrupt

    with ProbeCache(path, "1") as cache, pytest.raises(KeyboardInterrupt):
        cache.keep(batch())
    assert find(path, (b"/new", 10, 20)) == [None]


def test_a_damaged_file_is_an_error(tmp_path):
    (tmp_path / "probes.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        ProbeCache(tmp_path / "probes.sqlite", "1")
