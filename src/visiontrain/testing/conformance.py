"""The conformance kit: everything that is asked of a plugin, as one class of tests."""

from __future__ import annotations

from visiontrain.testing.checks.borders import Borders
from visiontrain.testing.checks.declaration import Declaration
from visiontrain.testing.checks.failing import Failing
from visiontrain.testing.checks.stopping import Stopping
from visiontrain.testing.checks.using import Using

__all__ = ["PluginConformance"]


class PluginConformance(Declaration, Borders, Stopping, Using, Failing):
    """Tests that hold for every plugin. Subclass it, name the framework and a tiny model, and run pytest.

    ::

        class TestMine(PluginConformance):
            framework = "mine"
            model = "mine_tiny"

    Each test drives the installed plugin through a session, a supervisor, and a worker in the framework's environment,
    which is built if need be. The worker sees an empty home folder, and can reach nobody over the network. A dozen
    short trainings are run: choose a model that trains in seconds. Evaluation, prediction and export are tested where
    the trainer offers them.
    """
