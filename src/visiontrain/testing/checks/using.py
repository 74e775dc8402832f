"""A trained model in use: what the trainer offers of evaluation, prediction and export."""

from __future__ import annotations

import math

from visiontrain.checkpoint_specs import TOLERANCE
from visiontrain.exports import DIFFERENCE, KIND
from visiontrain.protocol.events import ArtifactEvent, Event
from visiontrain.protocol.tasks import PRIMARY_METRIC
from visiontrain.testing.checks.case import expect, to_the_end, until
from visiontrain.testing.checks.predicting import Predicting
from visiontrain.testing.checks.training import Finished, finish
from visiontrain.testing.laboratory import Laboratory, Trial

__all__ = ["Using"]

#: How far a number may be off that was computed a second time: batches may be cut elsewhere.
_RELATIVE, _ABSOLUTE = 1e-4, 1e-6


class Using(Predicting):
    """What the undisturbed training's model is good for. What a trainer does not offer is not asked for."""

    def test_evaluating_gives_the_training_s_numbers(self, finished: Finished, laboratory: Laboratory) -> None:
        """The best checkpoint on val: what the best epoch's row says."""
        finish(finished.run)
        if "evaluate" not in finished.trial.offers:
            return
        trial = laboratory.evaluate(finished.run, split="val", device=self.device)
        to_the_end(trial, within=self.patience)
        run = trial.handle.run
        finish(run)
        primary = PRIMARY_METRIC[self.the_task()]
        best = max(finished.run.history, key=lambda row: (row.get(primary, math.nan), -row["epoch"]))
        found = run.metrics
        expect(primary in found, f"evaluate() gave no {primary}; it gave: {', '.join(sorted(found)) or 'nothing'}")
        differ = [
            f"{name} {best[name]:g} -> {value:g}"
            for name, value in sorted(found.items())
            if name in best and not self.varies(name) and not _same(value, best[name])
        ]
        expect(
            not differ,
            f"the evaluation of the best checkpoint on val differs from epoch {best['epoch']:g} of the training: "
            f"{', '.join(differ)}. The same images go through the same preprocessing, with the weights of that epoch.",
        )
        listed = [str(finding) for finding in trial.findings("write")]
        expect(not listed, "evaluate() wrote outside of the run's folder:\n" + "\n".join(listed[:10]))

    def test_an_evaluation_stops(self, finished: Finished, laboratory: Laboratory) -> None:
        """Asked to, it returns early and says so."""
        finish(finished.run)
        if "evaluate" not in finished.trial.offers:
            return
        trial = laboratory.evaluate(finished.run, split="val", device=self.device, hold="start")
        expect(until(lambda: trial.is_held, trial, within=self.patience), "the evaluation did not begin")
        trial.handle.stop()
        to_the_end(trial, within=self.patience)
        record = trial.handle.run.record
        expect(
            record.status == "stopped" and record.reason == "asked to stop",
            f"asked to stop, the evaluation ended as {record.status} ({record.reason}). Look at context.stop_requested "
            "before every batch, and return EvaluateResult('stopped').",
        )

    def test_exports_are_files_and_their_difference(self, finished: Finished, laboratory: Laboratory) -> None:
        """For each format that the manifest offers."""
        finish(finished.run)
        formats = self.the_manifest().export_formats
        offered = "export" in finished.trial.offers
        expect(
            offered or not formats, f"the manifest offers to export {', '.join(formats)}; the trainer has no export()"
        )
        for name in formats:
            trial = laboratory.export(finished.run, name)
            self._exported(trial, to_the_end(trial, within=self.patience), name)

    def _exported(self, trial: Trial, events: tuple[Event, ...], name: str) -> None:
        run = trial.handle.run
        finish(run)
        files = [event for event in events if isinstance(event, ArtifactEvent) and event.kind == KIND]
        expect(files != [], f"exporting to {name} told of no file: context.artifact(path, kind={KIND!r})")
        for file in files:
            path = run.run_dir / file.path
            there = path.is_file() and path.stat().st_size > 0
            expect(there, f"the exported file {file.path} is not there, or empty")
        difference = run.metrics.get(DIFFERENCE, math.nan)
        expect(
            0 <= difference <= TOLERANCE,
            f"exporting to {name} gave the {DIFFERENCE} {difference:g}, which goes from 0 to the tolerance "
            f"{TOLERANCE:g}: run what was written on images of the data, and compare it with the model",
        )
        listed = [str(finding) for finding in trial.findings("write")]
        expect(not listed, f"exporting to {name} wrote outside of the run's folder:\n" + "\n".join(listed[:10]))


def _same(value: float, other: float) -> bool:
    if math.isnan(value) or math.isnan(other):
        return math.isnan(value) and math.isnan(other)
    return math.isclose(value, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
