"""Without a word from the person, runs are tracked in a SQLite store in the home."""

from __future__ import annotations


def test_a_run_its_parameters_and_its_metrics_are_in_the_store(tracked):
    run = tracked.train(epochs=3, seed=7, name="mine")
    tracked.until_sent(run)
    found = tracked.read()[run.run_id]
    import pprint
    pprint.pprint(found)
    print(tracked.log(run))
    assert 0
