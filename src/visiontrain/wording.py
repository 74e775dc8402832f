"""Numbers, times and foreign text as a person reads them."""

from __future__ import annotations

import math
import unicodedata

__all__ = ["clean", "duration", "metric", "plural"]

#: Characters that turn the direction of what follows: a file's name must not rearrange a line.
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_MINUTE, _HOUR = 60, 3600


def clean(text: str) -> str:
    """Text of unknown origin with its control characters as escapes; line ends and tabs stay.

    What a file's name, a class or a log holds must not move the cursor, and must always be printable.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _harmless(character) else _escape(character) for character in text)


def metric(value: float) -> str:
    """A metric, short: 4 digits after the point for what is near 1, fewer for larger numbers, none for a count."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1000 or (size >= 10 and value.is_integer()):  # noqa: PLR2004
        return f"{value:,.0f}"
    if size >= 10:  # noqa: PLR2004
        return f"{value:.2f}"
    return f"{value:.4f}" if size >= 1e-3 or size == 0 else f"{value:.2e}"  # noqa: PLR2004


def duration(seconds: float) -> str:
    """Seconds in words: "0.4 s", "12 s", "2 min 05 s", "3 h 20 min"."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:  # noqa: PLR2004 - what rounds to less than "10 s"
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def plural(count: int, noun: str, several: str | None = None) -> str:
    """A count with its noun: "1 class", "1,300 models"."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def _harmless(character: str) -> bool:
    if character in "\n\t":
        return True
    return unicodedata.category(character) not in ("Cc", "Cs") and character not in _DIRECTION


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
