"""What does `narfi sql` read, and what does it leave out? Visible blocks that are whole.

A block whose manifest, streams or footers are not as they were written is left out from the start
and told; one of which another page is damaged when a read of it fails, or, where every byte is
looked at first, from the start too. An outage is an error, and is told as none of this.
"""

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from narfi.core.tenant import TenantId
from querier.reading.deletes import Deletion, deletion_of
from querier.reading.partial import LeftOutBlocks, Partial
from querier.sql.hidden import hidden_rows
from querier.sql.session import Confines, SqlAnswer, SqlError, SqlSession
from querier.sql.shapes import find_shapes
from querier.sql.views import Period
from storage.block.check import State, block_faults
from storage.block.format3.copies import check_copies
from storage.block.layout import block_id_of, block_prefix
from storage.block.opening import read_index
from storage.catalog.base import BlockRow
from storage.catalog.snapshot import check_catalog, pending_deletes, visible_blocks
from storage.objects.base import BadObjectError, ObjectError
from storage.objects.filesystem import LocalObjects
from storage.scan import LeftOut

MAX_TRIES = 10
"""How often the blocks are listed: each one that went meanwhile, or is met damaged, costs one."""

Rows = Iterator[Sequence[str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose entries of which time are read, and how carefully."""

    tenant: TenantId
    period: Period
    deep: bool = False  # every byte is looked at before anything is answered


class StoredLogs:
    """The stored logs of a tenant in a data folder, as SQL sees them; used by one thread."""

    def __init__(self, data: Path, asked: Asked) -> None:
        self._catalog, self._folder, self._asked = data / "catalog.db", data / "objects", asked
        check_catalog(self._catalog)  # before a folder is made, where there is none
        self._objects = LocalObjects(self._folder)
        self._left_out: dict[str, LeftOut] = {}

    def warnings(self) -> list[str]:
        """What the answers so far were computed without."""
        left_out = LeftOutBlocks(Partial.WARN)
        period = self._asked.period
        left_out.note(list(self._left_out.values()), (), (period.start_ns, period.end_ns))
        return left_out.warnings()

    def state(self) -> Hashable:
        """What is seen now, by name: the same state shows the same rows of the same columns."""
        deletes = tuple(one.request_id for one in pending_deletes(self._catalog, self._tenant))
        rows, period = self._listed(), self._asked.period
        on_edge = any(r.min_ts < period.start_ns or r.max_ts >= period.end_ns for r in rows)
        blocks = tuple(row.block_id for row in rows)
        return self._tenant, blocks, deletes, period if on_edge or deletes else None

    def session(self) -> SqlSession:
        """Views over what is there now."""
        for _ in range(MAX_TRIES):
            # requests first: of what is deleted meanwhile either the rows or the request is gone
            deletions = [deletion_of(one) for one in pending_deletes(self._catalog, self._tenant)]
            rows = [row for row in self._listed() if row.block_id not in self._left_out]
            try:
                if self._are_whole(rows):
                    return self._over(rows, deletions)
            except BadObjectError as error:
                self._leave_out_met(rows, error)
        raise ObjectError("blocks went, or were found damaged, again and again; try once more")

    def run(self, text: str, *, as_json: bool) -> tuple[list[str], Rows]:
        """As `SqlSession.run`, without blocks that prove damaged before the first row is there."""
        for _ in range(MAX_TRIES):
            try:
                names, rows = self.session().run(text, as_json=as_json)
                first = list(itertools.islice(rows, 1))
            except SqlError as error:
                if not error.of_data or not self._leave_out_damaged(self._remaining()):
                    raise
            else:
                return names, itertools.chain(first, rows)
        raise ObjectError("blocks were found damaged again and again; try --deep")

    def answer(
        self,
        text: str,
        confines: Confines,
        watched: Callable[[SqlSession], AbstractContextManager[None]],
    ) -> SqlAnswer:
        """As `SqlSession.answer`, without blocks that prove damaged; `watched`: while it works."""
        for _ in range(MAX_TRIES):
            session = self.session()
            try:
                with watched(session):
                    return session.answer(text, confines)
            except SqlError as error:
                if not error.of_data or not self._leave_out_damaged(self._remaining()):
                    raise
        raise ObjectError("blocks were found damaged again and again; try once more")

    @property
    def _tenant(self) -> TenantId:
        return self._asked.tenant

    def _listed(self) -> Sequence[BlockRow]:
        period = self._asked.period
        return visible_blocks(self._catalog, self._tenant, period.start_ns, period.end_ns)

    def _remaining(self) -> list[BlockRow]:
        return [row for row in self._listed() if row.block_id not in self._left_out]

    def _over(self, rows: Sequence[BlockRow], deletions: Sequence[Deletion]) -> SqlSession:
        found = hidden_rows(self._objects, self._tenant, rows, deletions) if deletions else []
        hidden = {self._folder / one.prefix: one for one in found}
        return SqlSession(find_shapes(self._folder, rows), self._asked.period, hidden)

    def _are_whole(self, rows: Sequence[BlockRow]) -> bool:
        """Open each block; false when the listing has to be done again."""
        if self._asked.deep:
            return not self._leave_out_damaged(rows)
        bad: list[BlockRow] = []
        absent = 0
        for row in rows:
            try:
                read_index(row, self._objects)
                if row.format_version > 2:
                    check_copies(self._objects, block_prefix(row.tenant, row.min_ts, row.block_id))
            except BadObjectError:
                bad.append(row)
                absent += self._is_absent(row)
        self._check_is_there(absent, len(rows))
        self._leave_out(bad)
        return not bad

    def _leave_out_met(self, rows: Sequence[BlockRow], error: BadObjectError) -> None:
        """A page could not be read: leave its block out, unless it is as it was written."""
        block_id = block_id_of(error.key)
        if not self._leave_out_damaged([row for row in rows if row.block_id == block_id]):
            raise error

    def _leave_out_damaged(self, rows: Sequence[BlockRow]) -> bool:
        """Look at every byte; whether anything is left out, or went, that was not before."""
        bad: list[BlockRow] = []
        absent = 0
        for row in rows:
            faults = block_faults(self._objects, row, deep=True)
            for fault in faults:
                if fault.state is State.UNREAD:
                    raise ObjectError(fault.what)
            if faults:
                bad.append(row)
                absent += self._is_absent(row)
        self._check_is_there(absent, len(rows))
        self._leave_out(bad)
        return bool(bad)

    def _is_absent(self, row: BlockRow) -> bool:
        faults = block_faults(self._objects, row, deep=False)
        return any(fault.state is State.ABSENT for fault in faults)

    def _check_is_there(self, absent: int, of: int) -> None:
        """Where most blocks are missing it is not they that are damaged."""
        there = (self._folder / "blocks").is_dir()
        if absent and (not there or (of > 1 and 2 * absent > of)):
            message = f"objects of {absent} of {of} blocks are missing"
            raise ObjectError(f"{message}: {self._folder} is empty, or not where it was")

    def _leave_out(self, rows: Sequence[BlockRow]) -> None:
        """Those that are still visible: others were replaced meanwhile, and are no damage."""
        visible = {row.block_id for row in self._listed()} if rows else set()
        for row in rows:
            if row.block_id in visible:
                self._left_out[row.block_id] = LeftOut(
                    block_id=row.block_id,
                    cut_id=row.cut_id,
                    min_ts=row.min_ts,
                    max_ts=row.max_ts,
                    rows=row.rows,
                    table=None,
                )
