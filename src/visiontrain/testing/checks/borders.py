"""A plugin keeps to its place: the run's folder, and no network."""

from __future__ import annotations

from visiontrain.testing.checks.case import expect
from visiontrain.testing.checks.training import Finished, Training
from visiontrain.testing.laboratory import Laboratory

__all__ = ["Borders"]


class Borders(Training):
    """What the undisturbed training did beside training."""

    def test_nothing_is_written_outside_of_the_run_s_folder(self, finished: Finished) -> None:
        """Not into the data, the person's folders, the environment or the plugin; temporary files are removed."""
        before, after = finished.before, finished.after
        made = sorted(set(after) - set(before))
        gone = sorted(set(before) - set(after))
        changed = sorted(path for path in set(before) & set(after) if before[path] != after[path])
        kinds = {"made": made, "removed": gone, "changed": changed}
        listed = [f"{kind} {path}" for kind, paths in kinds.items() for path in paths]
        listed += map(str, finished.trial.findings("write"))
        expect(
            not listed,
            f"training wrote outside of the run's folder, context.run_dir ({len(listed)} times):\n"
            + "\n".join(listed[:20]),
        )

    def test_nobody_is_reached_over_the_network(self, finished: Finished, laboratory: Laboratory) -> None:
        """Neither by training nor by `describe` and `models`: sockets to other processes are refused and told."""
        found = [*laboratory.findings("network"), *finished.trial.findings("network")]
        expect(
            not found,
            f"the trainer tried to reach the network ({len(found)} times):\n" + "\n".join(map(str, found[:10])),
        )
