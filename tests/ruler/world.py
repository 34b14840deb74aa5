"""Groups over a catalog in which tests move the clock and give the answers of queries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from narfi.core.clock import ManualClock
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.executors.fair import FairPool
from querier.query import QueryOptions
from querier.result import Answer, QueryStats, Sample, VectorResult
from querier.running import Running
from ruler.asking import Asker
from ruler.claims import ALONE, Claims, Shared
from ruler.group import Group, Rule
from ruler.live_group import LiveGroup, Outlets
from ruler.live_rule import Means
from ruler.loading import GroupLoader
from ruler.notices import Notice, Telling
from ruler.series import WrittenSample
from ruler.template_functions import TemplateWorld
from storage.catalog.rule_claims import RuleClaims
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import GroupRow, RuleStore
from storage.catalog.sql import SqlCatalog

S = 10**9
T = TenantId("t")
TELLING = Telling(resend_delay_ns=60 * S)


@dataclass
class Answers:
    """Stands for the queries: `hosts` are the series of every vector."""

    hosts: tuple[str, ...] = ("a",)
    warnings: tuple[str, ...] = ()
    asked: list[tuple[str, int]] = field(default_factory=list)

    def query(self, text: str, options: QueryOptions) -> Answer:
        """As `QueryService.query`."""
        self.asked.append((text, options.start_ns // S))
        samples = tuple(Sample((("host", host),), 1.0) for host in self.hosts)
        return Answer(VectorResult(0, samples), QueryStats(), self.warnings)


class World:
    """Groups in a catalog, and what is told of them."""

    def __init__(self, folder: Path, claims: Claims = ALONE) -> None:
        self.clock = ManualClock(1_700_000_000 * S)
        self.store = RuleStore(SqlCatalog(f"sqlite:///{folder}/catalog.db").database)
        self.claims = claims
        self.answers = Answers()
        self.told: list[tuple[str, bool]] = []
        self.links: dict[str, str] = {}  # the newest of each alert
        self.written: list[tuple[str, float | None]] = []
        self.pool = FairPool(4, 100)
        self.begin()

    def begin(self) -> None:
        """A new process."""
        asker = Asker(self.answers, Running(), lambda _: Limits())  # type: ignore[arg-type]
        self.means = Means(
            asker=asker, clock=self.clock, world=TemplateWorld(), tolerance_ns=3600 * S
        )
        self.loader = GroupLoader(
            store=self.store,
            clock=self.clock,
            telling=TELLING,
            outlets=self.outlets,
            default_interval_ns=60 * S,
            claims=self.claims,
        )
        self.groups: dict[GroupKey, LiveGroup] = {}

    @property
    def outlets(self) -> Outlets:
        """What remembers."""
        return Outlets(self.tell, self.write)

    def tell(self, _: TenantId, notices: Sequence[Notice]) -> None:
        """Remember what is told."""
        for notice in notices:
            labels = dict(notice.labels)
            shown = "/".join(labels[name] for name in sorted(labels))
            self.told.append((shown, notice.is_over))
            self.links[shown] = notice.url

    def write(self, _: TenantId, samples: Sequence[WrittenSample], ts_ns: int) -> None:
        """Remember what is written."""
        self.written_at = ts_ns
        for sample in samples:
            shown = "/".join(f"{n}={v}" for n, v in sample.labels if n != "alertname")
            self.written.append((shown.replace("__name__=", ""), sample.value))

    def put(self, *rules: Rule, name: str = "g", **more: Any) -> None:
        """Store a group."""
        group = Group(name=name, rules=rules, **more)
        key = GroupKey(T, "ns", name)
        self.store.put(GroupRow(key=key, body=group.to_json(), changed_ns=0))

    def look(self) -> None:
        """As the planner does."""
        found = self.loader.refresh(self.groups, frozenset())
        self.groups = {group.key: group for group in found}

    def evaluate(self, pause_s: int = 60) -> list[tuple[str, bool]]:
        """All groups; what was told of them."""
        self.told.clear()
        self.written.clear()
        self.clock.advance(pause_s * S)
        self.look()
        self.run()
        return sorted(self.told)

    def run(self) -> None:
        """Evaluate all groups at this moment."""
        for group in self.groups.values():
            group.evaluate(self.means, self.clock.now_ns(), self.outlets, lambda: False)


def ruler_beside(folder: Path, clock: ManualClock, name: str) -> World:
    """One of several rulers over a catalog; they have one clock."""
    claims = RuleClaims(SqlCatalog(f"sqlite:///{folder}/catalog.db").database)
    shared = Shared(claims, name, 15.0, lambda: clock.now_ns() / 1e9)
    world = World(folder, shared)
    world.clock = clock
    world.begin()
    return world
