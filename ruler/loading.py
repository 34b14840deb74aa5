"""Which groups should be evaluated? Those of the catalog, and what is left of those that are gone.

A group whose text did not change goes on untouched. One that cannot be read leaves its last good
version running. What is remembered of a group that is gone becomes a group without rules, which
lives until its alerts were told to be over.
"""

from collections.abc import Iterator, Mapping, Sequence

import structlog

from narfi.core.clock import Clock
from ruler.claims import ALONE, Claims
from ruler.group import Group, StoredGroupError, group_of_json
from ruler.live_group import LiveGroup, Outlets
from ruler.notices import Telling
from ruler.problems import Problem
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import GroupRow, RuleStore, StateRow

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
        claims: Claims = ALONE,
    ) -> None:
        self._store, self._clock, self._telling, self._outlets = store, clock, telling, outlets
        self._default_interval_ns, self._claims = default_interval_ns, claims
        self._bodies: dict[GroupKey, str] = {}
        self._restored = False
        self.problems: tuple[Problem, ...] = ()
        self.others: tuple[LiveGroup, ...] = ()  # that other rulers evaluate

    def refresh(
        self, there: Mapping[GroupKey, LiveGroup], busy: frozenset[GroupKey]
    ) -> Sequence[LiveGroup]:
        """The groups that there should be; raises `CatalogError`."""
        rows = {row.key: row for row in self._store.groups()}
        states = self._states()
        mine = self._claims.share(rows.keys() | states.keys() | there.keys(), busy)
        problems: list[Problem] = []
        own = {key: row for key, row in rows.items() if key in mine}
        wanted = self._wanted(own, there, busy, problems)
        self._keep_what_is_left(wanted, there, busy, mine)
        self._restore(wanted, {k: row for k, row in states.items() if k in mine - there.keys()})
        self._end_departed(wanted, busy)
        others = [row for key, row in rows.items() if key not in wanted]
        self.others = tuple(self._shown(others, states, problems))
        self.problems = tuple(problems)
        return list(wanted.values())

    def _states(self) -> Mapping[GroupKey, StateRow]:
        """What was remembered that may be news: of one ruler, at its start."""
        if self._restored and not self._claims.holder:
            return {}
        self._restored = True
        return {row.key: row for row in self._store.states()}

    def _wanted(
        self,
        rows: Mapping[GroupKey, GroupRow],
        there: Mapping[GroupKey, LiveGroup],
        busy: frozenset[GroupKey],
        problems: list[Problem],
    ) -> dict[GroupKey, LiveGroup]:
        """A live group for each row: the old one, or one that goes on as it."""
        wanted: dict[GroupKey, LiveGroup] = {}
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
            wanted[key] = made
            self._bodies[key] = row.body
        return wanted

    def _keep_what_is_left(
        self,
        wanted: dict[GroupKey, LiveGroup],
        there: Mapping[GroupKey, LiveGroup],
        busy: frozenset[GroupKey],
        mine: frozenset[GroupKey],
    ) -> None:
        """Groups that are gone have something to tell; those of other rulers by now have not."""
        for key, old in there.items():
            if key in wanted:
                continue
            self._bodies.pop(key, None)
            old.is_stale = key in busy
            if key in busy:
                wanted[key] = old
            elif key in mine:
                ghost = self._ghost(old)
                if ghost.has_departed or not ghost.is_over:
                    wanted[key] = ghost

    def _shown(
        self,
        rows: Sequence[GroupRow],
        states: Mapping[GroupKey, StateRow],
        problems: list[Problem],
    ) -> Iterator[LiveGroup]:
        """Groups of other rulers, as they were remembered last."""
        for row in rows:
            made = self._made(row, problems) if self._claims.holder else None
            if made is not None:
                if row.key in states:
                    made.show(states[row.key])
                yield made

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
        return LiveGroup(
            key,
            group,
            interval_ns=interval,
            store=self._store,
            telling=self._telling,
            claims=self._claims,
        )

    def _ghost(self, old: LiveGroup) -> LiveGroup:
        if not old.rules:
            return old
        ghost = self._live(old.key, Group(name=old.key.name, interval_ns=old.interval_ns))
        ghost.go_on_as(old)
        return ghost

    def _restore(
        self, wanted: dict[GroupKey, LiveGroup], states: Mapping[GroupKey, StateRow]
    ) -> None:
        """What was remembered, by this process before its start or by another ruler."""
        for row in states.values():
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
