"""Which visible blocks are damaged? Reads go on without them until they are whole again.

A read that meets something wrong with one object has it judged: every byte of the block is read
again, and only what proves to be damage puts the block into quarantine. What the storage does not
give is an outage, and so is the absence of everything: neither is damage of a block. From time to
time the blocks in quarantine are read again; one that is whole, or not visible any more, goes.
Who meets the block pays for the look with its own time and memory; when these are over the block is
a suspect, and the next look, which has all the time, judges it.
Invariant: a block is in quarantine only while it is visible and its bytes were seen to be wrong, or
could not be decoded twice.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from narfi.core.clock import Clock
from narfi.core.errors import AppError
from storage.batch import StreamTable
from storage.block.check import Fault, State, block_faults
from storage.block.format3.index_object import decode_index
from storage.block.layout import STREAMS, block_id_of, block_prefix, commit_of
from storage.block.metrics import DAMAGED_READS
from storage.block.streams import decode_streams
from storage.catalog.base import BlockRow, Catalog
from storage.objects.base import Allow, BadObjectError, ObjectError, ObjectStore, freely

log = structlog.get_logger(__name__)

LOOK_BYTES = 256 * 1024 * 1024
"""Read at one look, about: the others are looked at next time."""
TABLE_BYTES = 32 * 1024 * 1024
"""Of the stream tables that are kept; a block without one is taken to have every stream."""
OTHERS = 8
"""Blocks that are asked for when an object is missing: is it this block, or everything?"""
WAIT_S = 0.05
"""Between looks at the deadline while another one judges."""
ALWAYS = (-(2**63), 2**63 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A damaged block."""

    row: BlockRow
    key: str  # the first object that is wrong
    what: str
    since_ns: int
    unreadable: bool  # its bytes are as written: only another version of the program helps
    table: StreamTable | None  # its streams, where they can be trusted


class Quarantine:
    """The damaged blocks of a store, as this process knows them; thread-safe."""

    def __init__(self, catalog: Catalog, objects: ObjectStore, clock: Clock) -> None:
        self._catalog, self._objects, self._clock = catalog, objects, clock
        self._judging = threading.Lock()  # a block that many meet at once is read once
        self._suspects: dict[str, BadObjectError] = {}  # who met them had no time left
        self._held: dict[str, Quarantined] = {}  # replaced whole, so reading needs no lock
        self.on_bad: Callable[[str], None] = lambda _key: None
        """Is told of each object that was found bad, before it is looked at."""

    def __contains__(self, block_id: str) -> bool:
        return block_id in self._held

    def __len__(self) -> int:
        return len(self._held)

    def get(self, block_id: str) -> Quarantined | None:
        """The block, when it is in quarantine."""
        return self._held.get(block_id)

    def blocks(self) -> Sequence[Quarantined]:
        """All of them, by id."""
        return [found for _, found in sorted(self._held.items())]

    def judge(self, error: BadObjectError, *, again: bool = False, allow: Allow = freely) -> None:
        """Look at a block of which an object was found bad; it may be in quarantine then.

        When it is not, reading again may help: it was removed meanwhile, or was whole at the second
        look. `again`: that was tried. Raises the error when it is of no block, and an `AppError`
        that is no `BadObjectError` when storage or catalog do not answer, and what `allow` raises.
        """
        block_id = block_id_of(error.key)
        if block_id is None:
            raise error
        DAMAGED_READS.inc()
        self.on_bad(error.key)
        with self._alone(allow):
            if block_id in self._held:
                return
            self._suspects[block_id] = error
            for row in self._catalog.visible([block_id]):
                faults = self._faults(row, deep=True, allow=allow)
                if not self._catalog.visible([block_id]):
                    break  # removed, and then its objects were deleted
                if faults:
                    self._add(row, faults)
                elif again:
                    what = f"its bytes are as they were written, but cannot be read: {error.reason}"
                    self._add(row, [Fault(error.key, what)], unreadable=True)
            self._suspects.pop(block_id, None)

    @contextmanager
    def _alone(self, allow: Allow) -> Iterator[None]:
        """One judges at a time; who waits looks at its own time."""
        while not self._judging.acquire(timeout=WAIT_S):
            with allow(0):
                continue
        try:
            yield
        finally:
            self._judging.release()

    def look_again(self) -> int:
        """Judge suspects, and read blocks in quarantine again; how many left it.

        Those first that were not read for longest.
        """
        for error in list(self._suspects.values()):
            self.judge(error)
        left, read = 0, 0
        for block_id, found in list(self._held.items()):
            if read >= LOOK_BYTES:
                break
            why = None
            if not self._catalog.visible([block_id]):
                why = "it is not visible any more"
            elif not found.unreadable and not self._faults(found.row, deep=False):
                read += found.row.stored_bytes
                why = None if self._faults(found.row, deep=True) else "it is whole again"
            with self._judging:
                others = {name: held for name, held in self._held.items() if name != block_id}
                self._held = others if why else {**others, block_id: found}
            if why:
                left += 1
                log.info("a block left the quarantine", block=block_id, why=why)
        return left

    def _add(self, row: BlockRow, faults: Sequence[Fault], *, unreadable: bool = False) -> None:
        first = faults[0]
        found = Quarantined(
            row=row,
            key=first.key,
            what=first.what,
            since_ns=self._clock.now_ns(),
            unreadable=unreadable,
            table=self._table(row, faults),
        )
        self._held = {**self._held, row.block_id: found}
        log.error(
            "a block is damaged: queries go on without it and warn",
            block=row.block_id,
            tenant=row.tenant,
            from_ns=row.min_ts,
            to_ns=row.max_ts,
            rows=row.rows,
            object=first.key,
            what=first.what,
            advice=f"narfi restore --block {row.block_id}, or narfi repair --give-up",
        )

    def _faults(self, row: BlockRow, *, deep: bool, allow: Allow = freely) -> list[Fault]:
        """What is wrong with the block itself; raises `ObjectError` for an outage."""
        faults = block_faults(self._objects, row, deep=deep, allow=allow)
        for fault in faults:
            if fault.state is State.UNREAD:
                raise ObjectError(fault.what)
        absent = any(fault.state is State.ABSENT for fault in faults)
        if absent and not self._store_is_there(row):
            raise ObjectError(
                f"object {faults[0].key} {faults[0].what}, and so are those of other blocks: the "
                "object store is empty, or not where it was"
            )
        return faults

    def _store_is_there(self, row: BlockRow) -> bool:
        """Whether something of the block is there, or at least half of a few other blocks."""
        path = block_prefix(row.tenant, row.min_ts, row.block_id)
        if any(self._objects.list(f"{path}/")):
            return True
        others = self._others(row)
        there = sum(self._has_manifest(other) for other in others)
        return bool(others) and 2 * there >= len(others)

    def _others(self, row: BlockRow) -> list[BlockRow]:
        """Blocks of the tenant, and the oldest of all, that are not known to be damaged."""
        own = self._catalog.blocks(row.tenant, *ALWAYS)
        found = {other.block_id: other for other in (*own, *self._catalog.oldest(OTHERS))}
        others = [b for b in found.values() if b != row and b.block_id not in self._held]
        return others[:: max(len(others) // OTHERS, 1)]

    def _has_manifest(self, row: BlockRow) -> bool:
        path = block_prefix(row.tenant, row.min_ts, row.block_id)
        try:
            self._objects.size(f"{path}/{commit_of(row.format_version)}")
        except BadObjectError:
            return False
        return True

    def _table(self, row: BlockRow, faults: Sequence[Fault]) -> StreamTable | None:
        """The block's streams, unless the table, or what vouches for it, is damaged too."""
        path = block_prefix(row.tenant, row.min_ts, row.block_id)
        wrong = {fault.key for fault in faults}
        commit = f"{path}/{commit_of(row.format_version)}"
        told_by = commit if row.format_version > 2 else f"{path}/{STREAMS}"
        if row.format_version < 2 or wrong & {commit, told_by}:
            return None
        held = sum(found.table.nbytes for found in self._held.values() if found.table is not None)
        try:
            if row.format_version > 2:
                streams = decode_index(commit, self._objects.get(commit))[1][STREAMS]
            else:
                streams = self._objects.get(f"{path}/{STREAMS}")
            table = decode_streams(streams)
        except AppError:
            return None
        return table if held + table.nbytes <= TABLE_BYTES else None
