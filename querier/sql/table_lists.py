"""Which views does a user have, of which columns and how many rows? Found out once for a state.

A state is what the catalog shows: visible blocks never change, and pending delete requests are
named. So a list is made anew only when blocks come or go, or the edge of the range lies in one.
Invariant: a list that is without a damaged block is not remembered.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from querier.sql.opening import StoredLogs
from querier.sql.session import Column, SqlSession
from storage.cache import ByteCache

KEPT_BYTES = 4 << 20
COLUMN_BYTES = 200
"""Of a column of a remembered table, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A view as it is told."""

    name: str
    columns: tuple[Column, ...]
    rows: int  # of the range, that nothing hides
    template: str


class TableLists:
    """Lists by state; thread-safe."""

    def __init__(self) -> None:
        self._found: ByteCache[tuple[Table, ...]] = ByteCache(KEPT_BYTES)

    def of(
        self, stored: StoredLogs, watched: Callable[[SqlSession], AbstractContextManager[None]]
    ) -> tuple[Table, ...]:
        """The tables of what is stored now; `watched`: while a session works."""
        state = stored.state()
        known = self._found.get(state)
        if known is not None:
            return known
        session = stored.session()
        with watched(session):
            found = tuple(
                Table(
                    name=view.name,
                    columns=tuple(session.columns(view)),
                    rows=session.count(view),
                    template=view.template,
                )
                for view in session.views
            )
        if not stored.warnings() and stored.state() == state:
            size = sum(len(one.template) + COLUMN_BYTES * len(one.columns) for one in found)
            self._found.put(state, found, size + COLUMN_BYTES)
        return found
