"""How far behind may an entry be? Loki's out-of-order window, off by default (§5.1).

Per stream the newest accepted timestamp is kept in memory; entries of one push are judged in order,
each moving the mark. Vectorised by a running maximum per stream. A stream that nobody wrote to for
an hour begins anew, as one that Loki has flushed.
"""

from dataclasses import dataclass, field

import numpy as np

from ingester.accepted import Accepted
from ingester.errors import PushError
from ingester.failed_entries import MAX_REPORTED, failed_entries_text
from ingester.per_tenant import PerTenant
from ingester.refusals import rfc3339_seconds
from narfi.core.clock import NS_PER_S
from narfi.core.columns import I64, Mask
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId

IDLE_NS = 3600 * NS_PER_S
LOWEST = int(np.iinfo(np.int64).min // 2)


class TooFarBehindError(PushError):
    """Entries older than the window; the others of the push are stored."""


@dataclass(slots=True)
class _Newest:
    """By label text of a stream: its newest timestamp, and when it was written to."""

    streams: dict[str, tuple[int, int]] = field(default_factory=dict)


class OrderingWindow:
    """The newest timestamp of each stream; thread-safe."""

    def __init__(self) -> None:
        self._tenants: PerTenant[_Newest] = PerTenant(_Newest)

    def __len__(self) -> int:
        return len(self._tenants)

    def check(
        self, tenant: TenantId, accepted: Accepted, limits: Limits, now_ns: int
    ) -> tuple[Mask, TooFarBehindError | None]:
        """(entries that are too far behind, what to answer)."""
        push = accepted.push
        behind = np.zeros(len(push), np.bool_)
        if not limits.out_of_order_window_ns or not len(push):
            return behind, None
        texts, order, new = _by_stream(accepted)
        ts = push.ts[order]
        marks = np.empty_like(ts)
        with self._tenants.of(tenant) as mine:
            known = [mine.streams.get(text, (LOWEST, 0))[0] for text in texts]
            found = running_marks(ts, new, np.array(known, np.int64))
            last = np.append(np.flatnonzero(new)[1:], len(ts)) - 1
            newest = np.maximum(found[last], ts[last]).tolist()
            mine.streams.update(zip(texts, ((one, now_ns) for one in newest), strict=True))
        marks[order] = found
        oldest = marks - limits.out_of_order_window_ns
        behind = push.ts < oldest
        if not behind.any():
            return behind, None
        return behind, _error(tenant, accepted, behind, oldest)

    def sweep(self, now_ns: int) -> int:
        """Forget streams that are idle."""

        def is_idle(mine: _Newest) -> bool:
            edge = now_ns - IDLE_NS
            mine.streams = {k: found for k, found in mine.streams.items() if found[1] >= edge}
            return not mine.streams

        return self._tenants.sweep(is_idle)


def _by_stream(accepted: Accepted) -> tuple[list[str], I64, Mask]:
    """(label texts of the streams with entries, the entries stream by stream, where each begins).

    A push may name a stream more than once.
    """
    stream = accepted.push.stream
    numbers: dict[str, int] = {}
    place = np.full(len(accepted.streams), -1, np.int64)
    for number in np.flatnonzero(np.bincount(stream)).tolist():
        place[number] = numbers.setdefault(accepted.streams[number].text, len(numbers))
    mine = place[stream]
    order = np.argsort(mine, kind="stable")
    new = np.ones(len(stream), np.bool_)
    new[1:] = np.diff(mine[order]) != 0
    return list(numbers), order, new


def running_marks(ts: I64, new: Mask, known: I64) -> I64:
    """The newest timestamp of its stream before each entry.

    `new` marks the first entry of each stream, `known` is what each one begins with. Entries behind
    the mark never raise it, so refused ones need not be left out.
    """
    before = np.empty_like(ts)
    before[1:] = ts[:-1]
    before[new] = known
    values, rank = np.unique(before, return_inverse=True)
    # streams follow one another: ranks above all of the streams before make it one running maximum
    key = np.cumsum(new) * len(values) + rank.ravel()
    marks: I64 = values[np.maximum.accumulate(key) % len(values)]
    return marks


def _error(tenant: TenantId, accepted: Accepted, behind: Mask, oldest: I64) -> TooFarBehindError:
    """Of the last stream that has entries behind."""
    push = accepted.push
    number = push.stream[np.flatnonzero(behind)[-1]]
    mine = push.stream == number
    rows = np.flatnonzero(mine & behind)
    shown = rows[:MAX_REPORTED]
    reasons = [
        f"entry too far behind, entry timestamp is: {rfc3339_seconds(value)}, oldest acceptable "
        f"timestamp is: {rfc3339_seconds(limit)}"
        for value, limit in zip(push.ts[shown].tolist(), oldest[shown].tolist(), strict=True)
    ]
    text, total = accepted.streams[number].text, int(mine.sum())
    ts = push.ts[rows].tolist()
    return TooFarBehindError(failed_entries_text(tenant, text, ts, reasons, total))
