"""How far a run is tracked, in words."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from visiontrain.display.tracking import tracking_in_words
from visiontrain.tracking.told import Tracking

THERE = Tracking(
    tracker="mlflow",
    uri="http://host:5000",
    experiment="visiontrain",
    id="1",
    url="http://host:5000/#/1",
    complete=False,
    sending=False,
    error=None,
    instruction=None,
)
REFUSED = replace(THERE, error="it can't be reached", instruction="Check the address.")


@pytest.mark.parametrize(
    ("tracking", "words"),
    [
        (None, None),
        (replace(THERE, complete=True), "mlflow: http://host:5000/#/1"),
        (replace(THERE, complete=True, url=None, uri=None), "mlflow: visiontrain ui"),
        (replace(THERE, sending=True), "mlflow: still being sent, which goes on by itself: http://host:5000/#/1"),
        (THERE, "mlflow: not all is sent yet. Send it: visiontrain runs sync RUN"),
        (REFUSED, "mlflow: not all is sent yet: it can't be reached. Check the address."),
        (
            replace(REFUSED, instruction=None),
            "mlflow: not all is sent yet: it can't be reached. Send it later: visiontrain runs sync RUN",
        ),
        (
            replace(REFUSED, sending=True),
            "mlflow: not all is sent yet, and still tried by itself: it can't be reached. Check the address.",
        ),
        (
            replace(THERE, error="It is off. ", sending=True),
            (
                "mlflow: not all is sent yet, and still tried by itself: It is off. "
                "Send it later: visiontrain runs sync RUN"
            ),
        ),
    ],
)
def test_what_is_missing_and_what_to_do_is_told_in_a_line(tracking, words):
    assert tracking_in_words(SimpleNamespace(run_id="RUN", tracking=tracking)) == words
