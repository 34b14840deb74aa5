"""Which groups should be evaluated? Those of the catalog, and what is left of those that are gone.

A group whose text did not change goes on untouched. One that cannot be read leaves its last good
version running. What is remembered of a group that is gone becomes a group without rules, which
lives until its alerts were told to be over.
"""

from collections.abc import Mapping, Sequence

import structlog

from narfi.core.clock import Clock
from ruler.group import Group, StoredGroupError, group_of_json
from ruler.live_group import LiveGroup, Outlets
from ruler.notices import Telling
from ruler.problems import Problem
from storage.catalog.rules import GroupKey, GroupRow, RuleStore

log = structlog.get_logger(__name__)


class GroupLoader:
    """Makes live groups of stored ones; used by one thread."""

    def __init__(
        self,
        *,
        store: RuleStore,
        clock: Clock,
        telling: Telling,
        outlets: Outlets,
        default_interval_ns: int,
    ) -> None:
        self._store, self._clock, self._telling, self._outlets = store, clock, telling, outlets
        self._default_interval_ns = default_interval_ns
        self._bodies: dict[GroupKey, str] = {}
        self._restored = False
        self.problems: tuple[Problem, ...] = ()

    def refresh(
        self, there: Mapping[GroupKey, LiveGroup], busy: frozenset[GroupKey]
    ) -> Sequence[LiveGroup]:
        """The groups that there should be; raises `CatalogError`."""
        rows = {row.key: row for row in self._store.groups()}
        problems: list[Problem] = []
        wanted: dict[GroupKey, LiveGroup] = {}
        new: list[GroupKey] = []
        for key, row in rows.items():
            old = there.get(key)
            same = self._bodies.get(key) == row.body
            if old is not None and (same or key in busy):
                old.is_stale = not same
                wanted[key] = old
                continue
            made = self._made(row, problems)
            if made is None:
                if old is not None:
                    wanted[key] = old
                continue
            if old is not None:
                made.go_on_as(old)
            else:
                new.append(key)
            wanted[key] = made
            self._bodies[key] = row.body
        for key, old in there.items():
            if key not in wanted:
                old.is_stale = key in busy
                ghost = old if key in busy else self._ghost(old)
                if ghost.has_departed or not ghost.is_over:
                    wanted[key] = ghost
                self._bodies.pop(key, None)
        if not self._restored:
            self._restore(wanted)
            self._restored = True
        self._end_departed(wanted, busy)
        self.problems = tuple(problems)
        return list(wanted.values())

    def _made(self, row: GroupRow, problems: list[Problem]) -> LiveGroup | None:
        try:
            return self._live(row.key, group_of_json(row.body))
        except StoredGroupError as error:
            problems.append(
                Problem(
                    tenant=row.key.tenant,
                    namespace=row.key.namespace,
                    group=row.key.name,
                    reason=error.message,
                )
            )
            return None

    def _live(self, key: GroupKey, group: Group) -> LiveGroup:
        interval = group.interval_ns or self._default_interval_ns
        return LiveGroup(key, group, interval_ns=interval, store=self._store, telling=self._telling)

    def _ghost(self, old: LiveGroup) -> LiveGroup:
        if not old.rules:
            return old
        ghost = self._live(old.key, Group(name=old.key.name, interval_ns=old.interval_ns))
        ghost.go_on_as(old)
        return ghost

    def _restore(self, wanted: dict[GroupKey, LiveGroup]) -> None:
        """Once, at the start: what was remembered."""
        for row in self._store.states():
            found = wanted.get(row.key)
            if found is None:
                found = self._live(row.key, Group(name=row.key.name))
                wanted[row.key] = found
            found.restore(row)

    def _end_departed(
        self, wanted: Mapping[GroupKey, LiveGroup], busy: frozenset[GroupKey]
    ) -> None:
        """Alerts and series of rules that went just now."""
        for key, group in wanted.items():
            if key not in busy and group.has_departed:
                group.end_departed(self._clock.now_ns(), self._outlets)
