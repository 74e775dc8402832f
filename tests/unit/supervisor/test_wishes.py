from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from visiontrain.supervisor.wishes import STOP_FILE, ask, take


@pytest.mark.parametrize("wish", ["stop", "kill"])
def test_a_wish_is_taken_once(tmp_path, wish):
    ask(tmp_path, wish)
    assert take(tmp_path) == wish
    assert take(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_threads_may_ask_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(tmp_path, "stop"), range(2000)))
    assert take(tmp_path) == "stop"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["empty", "unreadable"])
def test_whatever_goes_by_that_name_is_a_wish_to_stop(tmp_path, what):
    """Somebody may make it by hand; the run must not fail of it."""
    if what == "empty":
        (tmp_path / STOP_FILE).touch()
    else:
        (tmp_path / STOP_FILE).symlink_to("nowhere")
    assert take(tmp_path) == "stop"
    assert take(tmp_path) is None
