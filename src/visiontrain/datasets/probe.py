"""Decode every image, in processes of their own, and remember what was found."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from visiontrain.datasets.decoder_pool import Kind, decode_all
from visiontrain.datasets.pillow import Pillow, host_version
from visiontrain.datasets.probe_cache import Probe, ProbeCache
from visiontrain.datasets.progress import IndexProgress
from visiontrain.datasets.staging import Staging

__all__ = ["probe_images", "probe_masks"]

#: Probes are put on disk this often, in images and in seconds: what a killed process has to do again.
_BATCH = 1000
_SECONDS = 1.0
_PROGRESS_SECONDS = 0.05


def probe_images(
    staging: Staging,
    root: str,
    cache: Path,
    progress: Callable[[IndexProgress], None],
    *,
    other: Pillow | None = None,
    processes: int | None = None,
) -> None:
    """Find out about all images of `staging`: from the cache, or by decoding them.

    Args:
        staging: Gets the probes.
        root: The folder that its paths are relative to.
        cache: The cache's file, one for each Pillow; made where it is missing.
        progress: Called about twenty times a second.
        other: Look again, with this Pillow, at the images that it may refuse though ours has read them.
        processes: How many decoders run side by side; None: as many as pay off.

    Raises:
        VisiontrainError: no decoder could be started.
    """
    if other is None:
        total, chunks, take = staging.listed, staging.unprobed, staging.set_probes
    else:
        refusal = f"the Pillow {other.version} that {other.owner} trains with refuses it"
        total, chunks, take = staging.look_again(), staging.unchecked, partial(staging.set_checks, refusal=refusal)
    _probe(_Files("images", total, chunks, take), root, cache, progress, pillow=other, processes=processes)


def probe_masks(
    staging: Staging, root: str, cache: Path, progress: Callable[[IndexProgress], None], *, processes: int | None = None
) -> None:
    """Find out about all masks of `staging`, as `probe_images` does; their cache is another one.

    Raises:
        VisiontrainError: no decoder could be started.
    """
    masks = staging.masks
    files = _Files("masks", masks.listed, masks.unprobed, masks.set_probes)
    _probe(files, root, cache, progress, pillow=None, processes=processes)


@dataclass(frozen=True)
class _Files:
    """What to find out about: `chunks` gives what nothing is known about yet, `take` is told what was found."""

    kind: Kind
    total: int
    chunks: Callable[[], Iterator[list[tuple[int, bytes, int, int]]]]
    take: Callable[[Sequence[tuple[int, Probe]]], None]


def _probe(
    files: _Files,
    root: str,
    cache: Path,
    progress: Callable[[IndexProgress], None],
    *,
    pillow: Pillow | None,
    processes: int | None,
) -> None:
    total, chunks, take = files.total, files.chunks, files.take
    folder = os.fsencode(root)
    done = 0
    with ProbeCache(cache, pillow.version if pillow else host_version()) as known:
        for chunk in chunks():
            found = known.find((os.path.join(folder, path), size, mtime_ns) for _, path, size, mtime_ns in chunk)
            hits = [(row[0], probe) for row, probe in zip(chunk, found, strict=True) if probe is not None]
            take(hits)
            done += len(hits)
            progress(IndexProgress("probe", done, total))
        todo = ((number, os.path.join(folder, path)) for chunk in chunks() for number, path, _, _ in chunk)
        batch: list[tuple[int, bytes, Probe]] = []
        last_kept = last_told = time.monotonic()

        def keep() -> None:
            known.keep((path, probe) for _, path, probe in batch)
            take([(number, probe) for number, _, probe in batch])
            batch.clear()

        with closing(decode_all(todo, total - done, pillow=pillow, kind=files.kind, processes=processes)) as decoded:
            try:
                for number, path, probe in decoded:
                    batch.append((number, path, probe))
                    done += 1
                    now = time.monotonic()
                    if len(batch) >= _BATCH or now - last_kept > _SECONDS:
                        keep()
                        last_kept = now
                    if now - last_told > _PROGRESS_SECONDS:
                        progress(IndexProgress("probe", done, total))
                        last_told = now
            except sqlite3.Error:
                raise  # of the cache: what it does not take now it would not take below either
            except BaseException:
                keep()  # an interrupted reading goes on from here
                raise
        keep()
        progress(IndexProgress("probe", done, total))
