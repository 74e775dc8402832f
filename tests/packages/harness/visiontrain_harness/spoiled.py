"""Lines of the protocol with bytes changed, put in and left out: what a broken side may say."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

__all__ = ["spoiled_lines"]

Edit = tuple[str, int, int]


def spoiled_lines(lines: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Arbitrary bytes, or a few of `lines` (each with its newline) with up to four bytes that are not theirs."""
    edits = st.tuples(st.sampled_from(["put", "change", "drop", "swap"]), st.integers(0, 2**16), st.integers(0, 255))
    chosen = st.lists(st.sampled_from(lines), min_size=1, max_size=5).map(b"".join)
    return st.binary(max_size=200) | st.builds(_spoil, chosen, st.lists(edits, max_size=4))


def _spoil(data: bytes, edits: list[Edit]) -> bytes:
    spoiled = bytearray(data)
    for what, where, byte in edits:
        at = where % max(1, len(spoiled))
        if what == "put":
            spoiled.insert(at, byte)
        elif what == "swap":  # one that JSON has a meaning for
            spoiled[at : at + 1] = b'{}[]",:-0eE.\\\n tfn'[byte % 18 : byte % 18 + 1]
        else:
            spoiled[at : at + 1] = bytes([byte]) if what == "change" else b""
    return bytes(spoiled)
