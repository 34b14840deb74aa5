"""What was pushed to a cluster, what was acknowledged, and what must an answer hold?

Each line of a pusher, batch and place is known, so a batch is a number. A batch that is refused, or
whose answer is lost, goes to another ingester, as an agent's does, and is given up now and then:
then it may be there or not, but never twice.
"""

import collections
import threading
from dataclasses import dataclass, field

from narfi.core.wire.push_encode import encode_push

LINES = 5
"""Of a batch."""
STEP_NS = 10 * 10**6
"""Between two batches of a pusher."""

Found = collections.Counter[tuple[int, str]]
"""(timestamp, line) as often as it was found."""


@dataclass(slots=True)
class _Pushed:
    begun: int = 0  # batches from 0 on
    acknowledged: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Batches of a pusher, and those of them that were acknowledged before something was asked."""

    pusher: int
    batches: range
    certain: frozenset[int]


class Ledger:
    """All batches of all pushers; thread-safe."""

    def __init__(self, base_ns: int, pushers: int) -> None:
        self._base_ns = base_ns
        self._pushed = [_Pushed() for _ in range(pushers)]
        self._lock = threading.Lock()

    def begin(self, pusher: int) -> int:
        """The number of a batch that will be pushed now."""
        with self._lock:
            one = self._pushed[pusher]
            one.begun += 1
            return one.begun - 1

    def acknowledge(self, pusher: int, batch: int) -> None:
        """It must be there from now on."""
        with self._lock:
            self._pushed[pusher].acknowledged.add(batch)

    def acknowledged(self) -> int:
        """How many lines."""
        with self._lock:
            return LINES * sum(len(one.acknowledged) for one in self._pushed)

    def begun(self, pusher: int) -> int:
        """How many batches were begun."""
        with self._lock:
            return self._pushed[pusher].begun

    def wanted(self, pusher: int, batches: range) -> Wanted:
        """What an answer that is asked for from now on must hold."""
        with self._lock:
            certain = self._pushed[pusher].acknowledged
            return Wanted(pusher, batches, frozenset(certain.intersection(batches)))

    def span(self, batches: range) -> tuple[int, int]:
        """`[start, end)` ns of these batches."""
        return (
            self._base_ns + batches.start * STEP_NS,
            self._base_ns + batches.stop * STEP_NS,
        )

    def entries(self, pusher: int, batch: int) -> list[tuple[int, str]]:
        """(timestamp, line) of a batch."""
        first = self._base_ns + batch * STEP_NS
        name = f"pusher={pusher} batch={batch}"
        return [(first + k, f"{name} line={k} {'x' * (batch % 90)}") for k in range(LINES)]

    def body(self, pusher: int, batch: int) -> bytes:
        """A push of one batch."""
        entries = [(ts, line.encode(), ()) for ts, line in self.entries(pusher, batch)]
        return encode_push([(f'{{app="kill", pusher="{pusher}"}}', entries)])

    def faults(self, wanted: Wanted, found: Found) -> list[str]:
        """What is wrong with an answer; nothing when all is well."""
        must = {e for batch in wanted.certain for e in self.entries(wanted.pusher, batch)}
        may = {
            entry
            for batch in wanted.batches
            if batch < self.begun(wanted.pusher)
            for entry in self.entries(wanted.pusher, batch)
        }
        lost = sorted(line for _, line in must - found.keys())
        twice = sorted(line for (_, line), times in found.items() if times > 1)
        strange = sorted(line for _, line in found.keys() - may)
        return [
            f"{what}: {len(lines)}, as {lines[0]!r}"
            for what, lines in (("lost", lost), ("twice", twice), ("nobody pushed", strange))
            if lines
        ]
