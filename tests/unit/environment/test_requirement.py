from __future__ import annotations

import gc
import sys
import threading

import pytest
from packaging.requirements import InvalidRequirement

from visiontrain.environment.requirement import parse_requirement


def test_the_same_text_is_read_once():
    assert parse_requirement("numpy>=2 ; python_version < '3.12'") is parse_requirement(
        "numpy>=2 ; python_version < '3.12'"
    )


def test_what_is_no_requirement_is_refused():
    with pytest.raises(InvalidRequirement):
        parse_requirement("numpy >= two of them")


class _Interrupting:
    """Lets other threads go on wherever the collector of cycles finds it: also within Python's own `ast`."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        sum(range(50))


@pytest.fixture
def restless():
    """Threads take turns, and cycles are collected, as often as can be."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(10)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("restless")
def test_threads_may_read_at_once():
    """Without the lock, Python 3.11.7 raises about one SystemError in a thousand."""
    errors = []

    def read(thread):
        for number in range(2000):
            _Interrupting()
            try:
                parse_requirement(f"numpy>={thread}.{number}; python_version >= '3.{number % 10}'")
            except SystemError as error:
                errors.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
