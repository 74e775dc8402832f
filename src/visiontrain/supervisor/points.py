"""Points between two epochs, told by their spelling: nearly all that a worker says, and nothing that a run turns on."""

from __future__ import annotations

import re

from visiontrain.protocol.codec import EVENT_PREFIX, dumps

__all__ = ["PointReader"]

# JSON as `dumps` spells it. What it spells otherwise (a name that is not ASCII, a number that is not finite, or might
# not be: from 1e+100 on) is left to the parser.
_WHOLE = rb"(?:0|[1-9][0-9]{0,17})"
_NUMBER = rb"-?" + _WHOLE + rb"(?:\.[0-9]+)?(?:e[+-][0-9]{2})?"
_VALUE = rb'"[ !#-\[\]-~]*":' + _NUMBER  # a name of printable ASCII but quotes and backslashes

#: More values than this are left to the parser too: a pattern's memory grows with what it repeats.
_MOST_VALUES = 200


class PointReader:
    """Reads lines that are all points of one run, in the fields' order that our own worker gives them.

    A pattern takes a third of the time that parsing takes. It matches nothing but a whole `MetricsEvent`.
    """

    def __init__(self, run_id: str) -> None:
        head = re.escape(b'{"type":"metrics","run_id":' + dumps(run_id) + b',"seq":')
        values = rb"(?:%b(?:,%b){0,%d})?" % (_VALUE, _VALUE, _MOST_VALUES - 1)
        rest = (
            rb',"source":"worker","time":%b,"monotonic":%b,"step":%b,"epoch":%b,"scope":"step",'
            rb'"values":\{%b\},"non_finite":\{\}\}' % (_NUMBER, _NUMBER, _WHOLE, _WHOLE, values)
        )
        self._pattern = re.compile(rb"%b(%b(%b)%b)\}\n" % (re.escape(EVENT_PREFIX), head, _WHOLE, rest))

    def read(self, lines: bytes) -> tuple[bytes, list[int]] | None:
        """Their JSON objects, one a line without the last newline, and their `seq`; None if one line is no point."""
        found = self._pattern.findall(lines)
        objects = b"\n".join([event for event, _ in found])
        # A match may begin anywhere: they are the lines if they are as long together.
        if not found or len(objects) + 1 + len(found) * (len(EVENT_PREFIX) + 1) != len(lines):
            return None
        return objects, [int(seq) for _, seq in found]
