"""What can be told about a run while it is prepared and goes on."""

from __future__ import annotations

from typing import Protocol

from visiontrain.datasets.progress import IndexProgress
from visiontrain.environment.progress import BuildProgress
from visiontrain.handles import Run
from visiontrain.protocol.events import Event
from visiontrain.runners.plan import Plan, PlanObserver
from visiontrain.runners.trained import TrainedModel
from visiontrain.runners.using import UsePlan

__all__ = ["Observer", "Silent"]


class Observer(PlanObserver, Protocol):
    """Is told everything: before the start through `PlanObserver`, then every event."""

    def event(self, event: Event) -> None:
        """Something happened in the run."""

    def stopping(self, run_id: str) -> None:
        """The run was asked to stop by Ctrl-C; it goes on to its next safe point."""

    def ended(self, run: Run) -> None:
        """The attempt is over, whatever its end: after its last event, before an error is raised."""


class Silent:
    """Tells nobody."""

    def indexing(self, progress: IndexProgress) -> None:
        """Nothing is shown."""

    def building(self, progress: BuildProgress) -> None:
        """Nothing is shown."""

    def planned(self, plan: Plan) -> None:
        """Nothing is shown."""

    def using(self, plan: UsePlan) -> None:
        """Nothing is shown."""

    def predicting(self, trained: TrainedModel) -> None:
        """Nothing is shown."""

    def event(self, event: Event) -> None:
        """Nothing is shown."""

    def stopping(self, run_id: str) -> None:
        """Nothing is shown."""

    def ended(self, run: Run) -> None:
        """Nothing is shown."""
