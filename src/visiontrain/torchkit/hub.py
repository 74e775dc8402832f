"""The one door to the network: closed, unless pretrained weights were asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from visiontrain.torchkit.published import no_weights

# Read by huggingface_hub when it is first imported: this module comes before timm.
_OFFLINE_BEFORE = os.environ.get("HF_HUB_OFFLINE", "")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache  # noqa: E402

__all__ = ["describe_weights", "network"]

_FILES = ("model.safetensors", "pytorch_model.bin")

#: What lists the files of weights that lie in several.
_LISTS = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


@contextmanager
def network() -> Iterator[None]:
    """Let huggingface_hub reach out, unless the person switched it off with HF_HUB_OFFLINE."""
    constants.HF_HUB_OFFLINE = _OFFLINE_BEFORE.upper() in ("1", "ON", "YES", "TRUE")
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = True


def describe_weights(repository: str, filename: str | None, licence: str | None) -> str:
    """Where published weights will come from, and how large they are, in a sentence for the person.

    Args:
        repository: On the Hugging Face hub.
        filename: Of the weights, where it is not one of the usual ones.
        licence: As the framework states it; None where it does not.

    Raises:
        WeightsError: they are neither in the cache nor can the hub be reached.
    """
    under = f"licence {licence}" if licence else f"for the licence see https://huggingface.co/{repository}"
    names = (filename,) if filename else (*_FILES, *_LISTS)
    for name in names:
        if isinstance(try_to_load_from_cache(repository, name), str):
            return f"Pretrained weights: {repository} from the local cache ({under})."
    with network():
        failure: Exception | None = None
        for name in names:
            try:
                size = get_hf_file_metadata(hf_hub_url(repository, name)).size
            except Exception as e:  # noqa: BLE001 - the hub's client raises its own, httpx's and OSError
                failure = e
                continue
            if name in _LISTS:
                return (
                    f"Pretrained weights: downloading {repository} from the Hugging Face hub, several files, {under}."
                )
            megabytes = f"{size / 1e6:.0f} MB" if size else "size unknown"
            return (
                f"Pretrained weights: downloading {repository}/{name} from the Hugging Face hub, {megabytes}, {under}."
            )
    raise no_weights(f"the pretrained weights {repository} can't be fetched: {failure}") from failure
