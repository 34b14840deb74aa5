"""What happens to a cluster? Kills, pauses, and faults of bucket and database, drawn by a seed.

An event begins something and says when it is over; several are under way at once. After the last
one all is well again: every process runs, no proxy fails.
"""

import collections
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.cluster_processes import TTL_S, Processes, inside
from tests.servers.database_proxy import DatabaseProxy, Lost
from tests.servers.fault_proxy import Fault, FaultProxy, Kind

WRITING = ("commit of an object", "flush", "put", "publish", "adoption", "take lease", "retire")
MERGING = ("compaction", "rewrite", "replace", "erase")
STEP_S = 2.0
"""So long a step is waited for; then it is killed wherever it is."""
LOOK_S = 1.0
"""Between two looks for ingesters that lost their journals."""
MOST_BROKEN = 3
"""Processes that are gone or paused at once."""


@dataclass(slots=True, kw_only=True)
class Told:
    """How often what happened."""

    events: collections.Counter[str] = field(default_factory=collections.Counter)
    inside: collections.Counter[str] = field(default_factory=collections.Counter)
    ended: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)


class Events:
    """Makes them happen; used by one thread."""

    def __init__(
        self,
        processes: Processes,
        objects: FaultProxy,
        database: DatabaseProxy,
        chance: random.Random,
    ) -> None:
        self._processes, self._objects, self._database = processes, objects, database
        self._chance, self.told = chance, Told()
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._broken: set[str] = set()
        self._asked: set[str] = set()  # to end
        self._outage_until = 0.0  # a start may be refused
        self._asked_s = 0.0  # when ingesters were asked whether they lost their journals
        self._kinds: dict[str, tuple[int, Callable[[], bool]]] = {
            "ingester killed": (22, lambda: self._kill("ingester", ())),
            "ingester killed in a step": (22, lambda: self._kill("ingester", WRITING)),
            "adopter killed": (6, self._kill_adopter),
            "querier killed": (6, lambda: self._kill("querier", ())),
            "compactor killed": (4, lambda: self._kill("compactor", ())),
            "compactor killed in a step": (10, lambda: self._kill("compactor", MERGING)),
            "asked to end": (5, self._ask_to_end),
            "paused": (8, lambda: self._pause(0.1, 0.5 * TTL_S)),
            "paused beyond its lease": (8, lambda: self._pause(1.5 * TTL_S, 3 * TTL_S)),
            "objects: fault": (14, self._object_fault),
            "objects: away": (3, self._objects_away),
            "database: connections cut": (5, self._cut),
            "database: away": (4, self._database_away),
            "database: commits lost": (8, self._lose_commits),
        }

    def happen(self) -> None:
        """One more."""
        names = list(self._kinds)
        while True:
            (name,) = self._chance.choices(names, [self._kinds[n][0] for n in names])
            if self._kinds[name][1]():
                self.told.events[name] += 1
                return

    def look(self) -> None:
        """End what is due, and start again what ended."""
        now = time.monotonic()
        due = [do for at, do in self._due if at <= now]
        self._due = [(at, do) for at, do in self._due if at > now]
        for do in due:
            do()
        for name, status in self._processes.ended().items():
            asked = name in self._asked
            self._asked.discard(name)
            kind = name.split("-")[0]
            if asked:
                self.told.ended[f"{kind} asked to end: {status}"] += 1
            elif status == 1 and now < self._outage_until + 30.0:
                self.told.ended[f"{kind} refused to start in an outage"] += 1
            else:
                text = self._processes.log(name)
                self.told.wrong.append(f"{name} ended by itself with {status}: {text}")
            self._restart(name)
        if now < self._asked_s + LOOK_S:
            return
        self._asked_s = now
        for name in self._processes.names("ingester"):
            if name not in self._asked | self._broken and self._processes.is_taken_over(name):
                self.told.ended["ingester lost its journal, and was started again"] += 1
                self._asked.add(name)
                self._processes.ask_to_end(name)

    def heal(self) -> None:
        """All is well from now on."""
        for _, do in self._due:
            do()
        self._due.clear()
        self._objects.tell()
        self._database.lose()
        self._database.refuse(refusing=False)

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + seconds, do))

    def _well(self, role: str) -> list[str]:
        """Those that can be broken."""
        if len(self._broken) >= MOST_BROKEN:
            return []
        names = self._processes.names(role)
        return [
            n
            for n in names
            if n not in self._broken and n not in self._asked and self._processes.alive(n)
        ]

    def _kill(self, role: str, steps: tuple[str, ...]) -> bool:
        names = self._well(role)
        if not names:
            return False
        name = inside(self._processes, names, steps, STEP_S) if steps else None
        if name is not None:
            time.sleep(self._chance.choice((0.0, 0.001, 0.005, 0.02)) * self._chance.random())
        self._end(name or self._chance.choice(names))
        return True

    def _kill_adopter(self) -> bool:
        """One is killed, and who takes its journal over as well."""
        names = self._well("ingester")
        if len(names) < 2 or len(self._broken) + 2 > MOST_BROKEN:
            return False
        first = self._chance.choice(names)
        self._end(first)
        others = [name for name in names if name != first]
        adopter = inside(self._processes, others, ("adoption",), TTL_S + 4.0)
        if adopter is None:
            return True  # the first one died before it had a journal, or the others are slow
        time.sleep(self._chance.random() * 0.1)
        self._end(adopter)
        self.told.events["adopter killed: the second one"] += 1
        return True

    def _end(self, name: str) -> None:
        member = self._processes.alive(name)
        assert member is not None
        under_way = member.phases.under_way()
        if not self._processes.kill(name):
            self.told.ended[f"{name.split('-')[0]} had ended"] += 1
        self.told.inside.update(under_way or ["none"])
        self._broken.add(name)
        self._later(self._chance.choice((0.0, 0.3, 2.0)), lambda: self._restart(name))

    def _restart(self, name: str) -> None:
        self._broken.discard(name)
        self._asked.discard(name)
        if self._processes.alive(name) is None:
            self._processes.start(name)

    def _ask_to_end(self) -> bool:
        names = [n for role in ("ingester", "querier", "compactor") for n in self._well(role)]
        if not names:
            return False
        name = self._chance.choice(names)
        self._asked.add(name)
        self._processes.ask_to_end(name)
        return True

    def _pause(self, least_s: float, most_s: float) -> bool:
        names = [n for role in ("ingester", "ingester", "compactor") for n in self._well(role)]
        if not names:
            return False
        name = self._chance.choice(names)
        self._processes.pause(name)
        self._broken.add(name)

        def go_on() -> None:
            self._processes.go_on(name)
            self._broken.discard(name)

        self._later(self._chance.uniform(least_s, most_s), go_on)
        return True

    def _object_fault(self) -> bool:
        chance = self._chance
        kind = chance.choice(list(Kind))
        where = chance.choice(("/journal/", "/journal/", "/blocks/", ""))
        method = chance.choice(("PUT", "PUT", "GET", ""))
        seconds = chance.choice((0.2, 2.0))
        times = chance.randint(1, 4 if kind is Kind.SLOW else 30)
        self._objects.tell(Fault(kind, method, where, times, seconds=seconds))
        self.told.events[f"objects: {kind.value}"] += 1
        self._outage_until = max(self._outage_until, time.monotonic() + 5.0)
        return True

    def _objects_away(self) -> bool:
        seconds = self._chance.uniform(1.0, 8.0)
        self._outage_until = time.monotonic() + seconds
        self._objects.tell(Fault(Kind.DROP, times=10**9))
        self._later(seconds, self._objects.tell)
        return True

    def _cut(self) -> bool:
        self._outage_until = max(self._outage_until, time.monotonic())
        self._database.cut()
        return True

    def _database_away(self) -> bool:
        seconds = self._chance.uniform(0.5, 2 * TTL_S)
        self._outage_until = time.monotonic() + seconds
        self._database.refuse(refusing=True)
        self._later(seconds, lambda: self._database.refuse(refusing=False))
        return True

    def _lose_commits(self) -> bool:
        self._outage_until = max(self._outage_until, time.monotonic() + 5.0)
        lost = self._chance.choices(list(Lost), k=self._chance.randint(1, 4))
        self._database.lose(*lost)
        return True
