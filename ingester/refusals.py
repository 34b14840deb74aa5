"""Which entries of a push were refused, and what is the client told? Loki's grouped texts.

One message that occurs once stands alone; otherwise `N errors like: <message>; M errors like: …`.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from ingester.errors import RefusedEntriesError
from narfi.core.clock import NS_PER_S
from narfi.core.columns import Mask
from narfi.core.wire.push import DecodedPush


@dataclass(slots=True, kw_only=True)
class Refusals:
    """Refused entries of one push, by message; and per reason for the metrics.

    `cut_lines` were taken without their ends, which have `cut_bytes`.
    """

    messages: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    cut_lines: int = 0
    cut_bytes: int = 0

    def add(self, reason: str, message: str | None, entries: int, size: int) -> None:
        """Count entries that were refused for one reason; None: without a message of their own."""
        if message is not None:
            self.messages[message] += 1
        self.entries[reason] += entries
        self.bytes[reason] += size

    def count(self, reason: str, push: DecodedPush, refused: Mask) -> None:
        """Count the marked entries, which are told in another way."""
        if refused.any():
            size = int(push.lines.length[refused].sum(dtype=np.int64))
            self.add(reason, None, int(refused.sum()), size)

    def error(self) -> RefusedEntriesError | None:
        """What the client is told; None when nothing was refused."""
        if not self.messages:
            return None
        if len(self.messages) == 1:
            ((message, count),) = self.messages.items()
            if count == 1:
                return RefusedEntriesError(message)
        parts = [f"{count} errors like: {message}" for message, count in self.messages.items()]
        return RefusedEntriesError("; ".join(parts))


def rfc3339_seconds(ts_ns: int) -> str:
    """UTC with whole seconds, as Go's `time.RFC3339`."""
    seconds = min(max(ts_ns // NS_PER_S, -62135596800), 253402300799)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
