"""Is a group one ruler's at a time, whoever comes, sleeps, dies or leaves, and never nobody's?"""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from ruler.alerts import State
from ruler.claims import Shared, owner_of
from ruler.group import Rule
from storage.catalog import rule_claims
from storage.catalog.base import CatalogError
from storage.catalog.rule_claims import RuleClaims
from storage.catalog.rule_keys import GroupKey
from storage.catalog.sql import SqlCatalog
from tests.reference.budget import examples
from tests.ruler.world import S, T, World, ruler_beside

TTL_S = 15
KEYS = [GroupKey(TenantId("t"), "ns", name) for name in "abcdefgh"]


def test_groups_are_divided_and_one_that_goes_moves_only_its_own() -> None:
    keys = [GroupKey(T, "ns", str(k)) for k in range(600)]
    rulers = ["one", "two", "three"]
    owners = {key: owner_of(key, rulers) for key in keys}
    assert all(150 < list(owners.values()).count(one) < 250 for one in rulers)
    left = {key: owner_of(key, ["one", "three"]) for key in keys}
    assert all(left[key] == owner for key, owner in owners.items() if owner != "two")
    assert owner_of(keys[0], []) == ""


@dataclass
class Process:
    """A ruler of the machine below."""

    claims: Shared
    asleep: bool = False
    busy: set[GroupKey] = field(default_factory=set)


class Rulers(RuleBasedStateMachine):
    """Rulers that share a catalog; its clock and theirs are one that the machine moves."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.database = SqlCatalog(f"sqlite:///{self.folder.name}/catalog.db").database
        self.now_s, self.count = 1000.0, 0
        self.processes: list[Process] = []
        self.clock = pytest.MonkeyPatch()
        self.clock.setattr(rule_claims, "now_ms", lambda _: int(self.now_s * 1000))

    def teardown(self) -> None:
        self.clock.undo()
        self.database.close()
        self.folder.cleanup()

    @rule()
    @precondition(lambda self: len(self.processes) < 4)
    def comes(self) -> None:
        self.count += 1
        claims = RuleClaims(self.database)
        made = Shared(claims, f"r{self.count}", TTL_S, lambda: self.now_s)
        self.processes.append(Process(made))

    @rule(number=st.integers(0, 3))
    def looks(self, number: int) -> None:
        for process in self.processes[number : number + 1]:
            self._look(process)

    def _look(self, process: Process) -> None:
        if not process.asleep:
            process.claims.beat()
            process.busy &= process.claims.share(KEYS, process.busy)

    @rule(number=st.integers(0, 3), key=st.sampled_from(KEYS))
    def begins_to_evaluate(self, number: int, key: GroupKey) -> None:
        for process in self.processes[number : number + 1]:
            if process.claims.is_held(key) and not process.asleep:
                process.busy.add(key)

    @rule(number=st.integers(0, 3), asleep=st.booleans())
    def sleeps_or_wakes(self, number: int, asleep: bool) -> None:
        for process in self.processes[number : number + 1]:
            process.asleep = asleep

    @rule(number=st.integers(0, 3), politely=st.booleans())
    def ends(self, number: int, politely: bool) -> None:
        for process in self.processes[number : number + 1]:
            if politely:
                process.claims.leave()
            self.processes.remove(process)

    @rule(seconds=st.floats(0, 1.5 * TTL_S))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    @precondition(lambda self: self.processes)
    def all_is_quiet_for_a_while(self) -> None:
        for process in self.processes:
            process.asleep = False
            process.busy.clear()
        for _ in range(3 * 3):
            self.now_s += TTL_S / 3
            for process in self.processes:
                self._look(process)
        names = [process.claims.holder for process in self.processes]
        for key in KEYS:
            holders = [p.claims.holder for p in self.processes if p.claims.is_held(key)]
            assert holders == [owner_of(key, names)]

    @invariant()
    def nobody_shares_a_group(self) -> None:
        for key in KEYS:
            assert sum(process.claims.is_held(key) for process in self.processes) <= 1


TestRulers = Rulers.TestCase
TestRulers.settings = settings(max_examples=examples(40), stateful_step_count=30)


def test_without_the_catalog_nothing_is_held_for_longer_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    claims = RuleClaims(SqlCatalog(f"sqlite:///{tmp_path}/catalog.db").database)
    one = Shared(claims, "one", TTL_S, lambda: now_s)
    one.beat()
    assert one.share(KEYS, ()) == frozenset(KEYS)

    def fails(*_: Any) -> Any:
        raise CatalogError("no")

    monkeypatch.setattr(claims, "beat", fails)
    now_s = TTL_S - 1
    with pytest.raises(CatalogError):
        one.beat()
    assert one.is_held(KEYS[0])
    now_s = TTL_S
    assert not one.is_held(KEYS[0])
    monkeypatch.setattr(claims, "leave", fails)
    one.leave()


class Pair:
    """Two rulers over one catalog and one clock."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock(1_700_000_000 * S)
        self.one = ruler_beside(folder, self.clock, "one")
        self.two = ruler_beside(folder, self.clock, "two")
        monkeypatch.setattr(rule_claims, "now_ms", lambda _: self.clock.now_ns() // 10**6)

    def evaluate(self, *alive: World) -> list[tuple[str, bool]]:
        """A minute later; what those who live have told meanwhile."""
        for world in alive:
            world.told.clear()
        for _ in range(12):
            self.clock.advance(5 * S)
            for world in alive:
                claims_of(world).beat()
                world.look()
        for world in alive:
            world.run()
        return sorted(told for world in alive for told in world.told)


def claims_of(world: World) -> Shared:
    """Of one of several rulers."""
    assert isinstance(world.claims, Shared)
    return world.claims


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(tmp_path, monkeypatch)


RULE = Rule(alert="A", expr="vector(1)")


def test_each_group_is_evaluated_once_and_those_of_a_dead_ruler_go_on(pair: Pair) -> None:
    one, two = pair.one, pair.two
    for name in "abcdefgh":
        one.put(RULE, name=name)
    told = pair.evaluate(one, two)
    assert told == [("A/a", False)] * 8
    assert 0 < len(one.groups) < 8
    assert len(one.groups) + len(two.groups) == 8
    pair.evaluate(one, two)
    one.look()
    shown = {g.key.name: g.rules[0].view for g in (*one.groups.values(), *one.loader.others)}
    assert {view.state for view in shown.values()} == {State.FIRING}
    assert {view.health for view in shown.values()} == {"ok"}
    begun = {view.alerts[0].fired_ns for view in shown.values()}

    told = pair.evaluate(one)  # the other one is dead
    assert len(one.groups) == 8
    assert told, "what fires is told again"
    assert not any(is_over for _, is_over in told)
    views = [g.rules[0].view for g in one.groups.values()]
    assert {view.alerts[0].fired_ns for view in views} == begun, "as it began"

    before = one.store.states()
    two.told.clear()
    two.run()
    assert two.told == [], "who was taken for dead tells nothing"
    assert one.store.states() == before


def test_a_paused_ruler_that_cannot_know_it_writes_no_state(pair: Pair) -> None:
    one, two = pair.one, pair.two
    one.put(RULE, name="a")
    pair.evaluate(one, two)
    owner, other = (one, two) if one.groups else (two, one)
    pair.evaluate(other)
    claims_of(owner)._until_s = float("inf")  # as if its own clock had stood still
    before = one.store.states()
    owner.told.clear()
    owner.answers.hosts = ("b",)
    owner.run()
    assert owner.told == []
    assert one.store.states() == before


def test_alerts_of_a_removed_group_are_over_whoever_had_it(pair: Pair) -> None:
    one, two = pair.one, pair.two
    one.put(RULE, name="a")
    pair.evaluate(one, two)
    other = two if one.groups else one
    one.store.remove(GroupKey(T, "ns", "a"))
    assert ("A/a", True) in pair.evaluate(other), "the owner died meanwhile"
