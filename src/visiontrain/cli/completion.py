"""What the shell offers when Tab is pressed: read from disk, without starting a framework."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

__all__ = ["complete_environment", "complete_framework", "complete_model", "complete_run", "complete_sample"]

#: A shell's menu of more names than this helps nobody.
_MOST_RUNS = 50


def complete_run(incomplete: str) -> Iterator[tuple[str, str]]:
    """Ids and names of runs, newest first, and ``last``."""
    from visiontrain.errors import ProtocolError
    from visiontrain.home import Home
    from visiontrain.rundir.directory import RunDirectories
    from visiontrain.supervisor.record import RECORD, read_record

    if "last".startswith(incomplete):
        yield "last", "the newest run"
    offered = 0
    for path in RunDirectories(Home.locate().runs).paths():
        if offered == _MOST_RUNS:
            return
        with suppress(OSError, ProtocolError):
            record = read_record(path / RECORD)
            for word in (record.run_id, record.name):
                if word and word.startswith(incomplete):
                    offered += 1
                    yield word, f"{record.model}, {record.status}"


def complete_model(incomplete: str) -> Iterator[str]:
    """Names of models, from the catalogues that are kept with the environments."""
    from visiontrain.environment.store import EnvironmentStore
    from visiontrain.errors import ProtocolError, VisiontrainError
    from visiontrain.home import Home
    from visiontrain.protocol.codec import loads
    from visiontrain.protocol.structure import structure
    from visiontrain.runners.catalog import Catalog

    with suppress(VisiontrainError):
        for generation in EnvironmentStore(Home.locate().environments).generations():
            if generation.current:
                with suppress(OSError, ProtocolError):
                    catalog = structure(Catalog, loads(generation.catalog_path.read_bytes()))
                    names = (model.name for model in catalog.models if model.name.startswith(incomplete))
                    yield from (name for name in names if name.isprintable())


def complete_framework(incomplete: str) -> Iterator[tuple[str, str]]:
    """Frameworks of the installed plugins."""
    from visiontrain.plugin.discovery import discover
    from visiontrain.wording import clean

    for plugin in discover():
        for manifest in plugin.frameworks:
            if manifest.name.startswith(incomplete):
                yield manifest.name, clean(manifest.summary)


def complete_buildable(incomplete: str) -> Iterator[tuple[str, str]]:
    """Environments of the installed plugins: their frameworks' and their trackers'."""
    from visiontrain.plugin.discovery import discover
    from visiontrain.wording import clean

    for plugin in discover():
        named = [(manifest.name, manifest.summary) for manifest in plugin.frameworks]
        named += [(manifest.name, manifest.summary) for manifest in plugin.trackers]
        yield from ((name, clean(summary)) for name, summary in named if name.startswith(incomplete))


def complete_environment(incomplete: str) -> Iterator[tuple[str, str]]:
    """Environments that are built, each with and without its generations."""
    from visiontrain.environment.store import EnvironmentStore
    from visiontrain.errors import VisiontrainError
    from visiontrain.home import Home

    with suppress(VisiontrainError):
        for generation in EnvironmentStore(Home.locate().environments).generations():
            state = "current" if generation.current else "kept"
            for word in (generation.name, f"{generation.name}@{generation.id}"):
                if word.startswith(incomplete):
                    yield word, f"{state}, Python {generation.python_version}"


def complete_sample(incomplete: str) -> Iterator[tuple[str, str]]:
    """Sample datasets."""
    from visiontrain.datasets.samples import SAMPLES

    for sample in SAMPLES.values():
        if sample.name.startswith(incomplete):
            yield sample.name, sample.summary
