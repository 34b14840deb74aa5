"""What did leaf tasks of this kind find in this block before? Nothing is computed again.

A partial depends on nothing but its spec and the block, which never changes: it may be kept where
the block lies within the time range as a whole, so that another range asks the same of it. What a
page asks again and again (with `now` going on) is then read only of heads and of the newest block.
Invariant: whoever takes a kept partial pays for it as if it had been computed.
"""

from collections.abc import Hashable, Iterator
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from typing import Protocol, TypeVar, cast

from querier.budget import Budget
from querier.executors.leaf import Compute, Executor, planned_context
from querier.plan.nodes import Scan
from querier.plan.spec import LeafSpec, Rows
from querier.plan.tasks import Tasks
from storage.block.reader import BlockSource
from storage.cache import ByteCache

KEPT_BYTES = 32 << 20
"""Of all partials; of fields of a thousand blocks about a quarter."""
MOST_BYTES = 256 << 10
"""Of one: the values of a label that has few, and not those of ids."""
LARGE, LARGE_ONE = 4, 16
"""As many times more of partials that have some bytes for each row, and of one; they are kept apart
from the others. Of groups of lines, of five million rows 80 MB."""
ENTRY_BYTES = 1000
"""Of a key and a partial beside what it charged, about."""


class Charged(Protocol):
    """A partial that says what it charged to the budget of its leaf."""

    @property
    def charged(self) -> int:
        """Bytes; whoever takes the partial releases them."""
        ...


P = TypeVar("P", bound=Charged)


class KeptPartials:
    """Partials by what they are of; thread-safe, bounded in bytes."""

    def __init__(self, max_bytes: int = KEPT_BYTES, most_bytes: int = MOST_BYTES) -> None:
        """`most_bytes`: of one."""
        self._found: ByteCache[Charged] = ByteCache(max_bytes)
        self._max_bytes, self._most = max_bytes, most_bytes

    @cached_property
    def of_large(self) -> "KeptPartials":
        """Where large partials are kept, so that they do not displace the others."""
        return KeptPartials(self._max_bytes * LARGE, self._most * LARGE_ONE)

    def clear(self) -> None:
        """Forget all of them."""
        self._found.give_way(self._found.bytes)
        if "of_large" in vars(self):
            self.of_large.clear()

    def partials(
        self, tasks: Tasks[Compute[P]], scan: Scan, budget: Budget, executor: Executor
    ) -> Iterator[P]:
        """What the tasks find, in their order; only what nobody knows is computed."""
        keys = [_key(spec, tasks) for spec in tasks.specs]
        known = [None if key is None else cast(P | None, self._found.get(key)) for key in keys]
        missing = [spec for spec, one in zip(tasks.specs, known, strict=True) if one is None]
        fresh = executor.leaves(missing, planned_context(budget, scan, tasks))
        for key, one in zip(keys, known, strict=True):
            if one is not None:
                budget.check()
                budget.charge(one.charged)
                yield one
                continue
            found = next(fresh)
            if key is not None and found.charged <= self._most:
                self._found.put(key, found, found.charged + ENTRY_BYTES)
            yield found


def _key(spec: LeafSpec[Compute[P]], tasks: Tasks[Compute[P]]) -> Hashable | None:
    """What the partial depends on; None where it depends on the time range, too."""
    source = tasks.opened[spec.source.order].view.source
    start_ns, end_ns = spec.scan.time_range
    if not isinstance(source, BlockSource) or source.min_ts < start_ns or source.max_ts >= end_ns:
        return None
    return (
        spec.source.source_id,
        _digest(spec.source.excluded),
        _digest(spec.source.left_out),
        replace(spec.scan, time_range=(0, 0)),
        spec.row_groups,
        spec.compute,
    )


def _digest(rows: Rows) -> bytes:
    return blake2b(rows.numbers.tobytes(), digest_size=16).digest() if len(rows) else b""
