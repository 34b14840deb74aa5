"""How far behind may an entry be? Loki's out-of-order window, off by default (§5.1).

Per stream the newest accepted timestamp is kept in memory; entries of one push are judged in order,
each moving the mark. Vectorised by a running maximum per stream.
"""

import threading
from dataclasses import dataclass, field

import numpy as np

from ingester.errors import PushError
from ingester.failed_entries import MAX_REPORTED, failed_entries_text
from ingester.validate import Accepted, rfc3339_seconds
from narfi.core.columns import Mask
from narfi.core.labels import Labels
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId


class TooFarBehindError(PushError):
    """Entries older than the window; the others of the push are stored."""


@dataclass(slots=True)
class OrderingWindow:
    """The newest timestamp of each stream; thread-safe."""

    _newest: dict[tuple[TenantId, Labels], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(
        self, tenant: TenantId, accepted: Accepted, limits: Limits
    ) -> tuple[Mask, TooFarBehindError | None]:
        """(entries that are too far behind, what to answer)."""
        push = accepted.push
        behind = np.zeros(len(push), np.bool_)
        if not limits.out_of_order_window_ns:
            return behind, None
        error: TooFarBehindError | None = None
        with self._lock:
            for number in np.unique(push.stream).tolist():
                labels = accepted.streams[number].labels
                rows = np.flatnonzero(push.stream == number)
                marks = self._marks((tenant, labels), push.ts[rows])
                late = push.ts[rows] < marks - limits.out_of_order_window_ns
                if late.any():
                    behind[rows[late]] = True
                    oldest = marks[late] - limits.out_of_order_window_ns
                    text = accepted.streams[number].text
                    error = _error(tenant, text, push.ts[rows[late]], oldest, len(rows))
        return behind, error

    def _marks(self, key: tuple[TenantId, Labels], ts: np.ndarray) -> np.ndarray:
        """The newest timestamp before each entry; refused entries never raise it."""
        lowest = np.iinfo(np.int64).min // 2
        before = np.concatenate([[self._newest.get(key, lowest)], ts[:-1]])
        marks = np.maximum.accumulate(before)
        self._newest[key] = int(max(marks[-1], ts[-1]))
        return marks


def _error(
    tenant: TenantId, stream: str, ts: np.ndarray, oldest: np.ndarray, total: int
) -> TooFarBehindError:
    reasons = [
        f"entry too far behind, entry timestamp is: {rfc3339_seconds(value)}, oldest acceptable "
        f"timestamp is: {rfc3339_seconds(limit)}"
        for value, limit in zip(
            ts[:MAX_REPORTED].tolist(), oldest[:MAX_REPORTED].tolist(), strict=True
        )
    ]
    return TooFarBehindError(failed_entries_text(tenant, stream, ts.tolist(), reasons, total))
