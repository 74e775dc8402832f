"""The catalogue of a framework's model names: read once from an environment and kept with it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import dumps, loads
from visiontrain.protocol.messages import InitializeResult, ModelInfo
from visiontrain.protocol.structure import structure, unstructure
from visiontrain.runners.connection import WorkerConnection
from visiontrain.storage import explained
from visiontrain.supervisor.launch import WorkerCommand
from visiontrain.supervisor.record import write_atomically

__all__ = ["Catalog", "load_catalog", "read_catalog"]


@dataclass(frozen=True)
class Catalog:
    """What an environment offers. `edition` is that of the plugin's code that read it: another one reads it anew."""

    edition: str
    worker: InitializeResult
    models: tuple[ModelInfo, ...]

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that is accepted: the models', and each with a tag of its published weights."""
        tagged = {f"{model.name}.{tag}" for model in self.models for tag in model.pretrained}
        return frozenset({model.name for model in self.models} | tagged)

    def find(self, name: str) -> ModelInfo | None:
        """The model of that name, with or without a tag."""
        by_name = {f"{model.name}.{tag}": model for model in self.models for tag in model.pretrained}
        by_name.update({model.name: model for model in self.models})
        return by_name.get(name)


@lru_cache(maxsize=16)
def _parse(data: bytes) -> Catalog:
    """Once for each content: a second prediction is not to wait for a thousand names."""
    return structure(Catalog, loads(data))


def load_catalog(path: Path, edition: str) -> Catalog | None:
    """The catalogue that is kept at `path`; None where there is none that fits.

    Raises:
        StorageError: the disk does not give it.
    """
    readable = explained("the catalogue of the environment's models can't be read")
    with readable, contextlib.suppress(FileNotFoundError, ProtocolError):
        catalog = _parse(path.read_bytes())
        if catalog.edition == edition:
            return catalog
    return None


def read_catalog(command: WorkerCommand, path: Path, edition: str) -> Catalog:
    """Ask a worker for the catalogue and keep it at `path`.

    Raises:
        WorkerCrashedError, RunFailedError: the worker could not say.
        StorageError: the disk does not take it.
    """
    with WorkerConnection(command) as worker:
        described = worker.initialize()
        answer = worker.request("models")
    if not isinstance(answer, list):
        raise ProtocolError("the worker's catalogue is not a list")
    catalog = Catalog(edition, described, tuple(structure(ModelInfo, model) for model in answer))
    with explained("the catalogue of the environment's models can't be kept"):
        write_atomically(path, dumps(unstructure(catalog)) + b"\n")
    return catalog
