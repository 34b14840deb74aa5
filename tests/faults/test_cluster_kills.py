"""A cluster torn apart under load: is every acknowledged line there once, and no answer short?

Three ingesters, two queriers and two compactors over a server that speaks S3 and a PostgreSQL, both
behind proxies. A few events here; `make kills` asks for hundreds, and prints what happened.
"""

import collections
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.cluster_events import Events
from tests.faults.cluster_ledger import LINES, Ledger
from tests.faults.cluster_load import Checker, Pusher, exchange, lines_wrong
from tests.faults.cluster_processes import START_S, Processes
from tests.faults.forked import Nursery
from tests.servers import database_proxy, fault_proxy, postgres
from tests.servers.cluster import stores
from tests.servers.s3 import S3

EVENTS = int(os.environ.get("NARFI_KILLS_EVENTS", "5"))
SEED = int(os.environ.get("NARFI_KILLS_SEED", "11"))
PUSHERS = 4
ROLES = {
    **{f"ingester-{k}": "ingester" for k in range(3)},
    **{f"querier-{k}": "querier" for k in range(2)},
    **{f"compactor-{k}": "compactor" for k in range(2)},
}
STEP = 1000
"""Batches of a question, in the last look."""


@pytest.mark.slow
def test_a_cluster_torn_apart(tmp_path: Path) -> None:
    with (
        stores(postgres.needed()) as (blocks, catalogs),
        fault_proxy.before(blocks.port) as objects,
        database_proxy.before(catalogs.port) as database,
        Nursery() as nursery,
    ):
        name = catalogs.fresh().rpartition("/")[2]
        processes = Processes(
            tmp_path,
            nursery,
            ROLES,
            S3(objects.port).reaching(blocks.fresh()),
            f"postgresql://{postgres.USER}@127.0.0.1:{database.port}/{name}",
        )
        Torn(processes, Events(processes, objects, database, random.Random(SEED))).run()


class Torn:
    """The load, the events, and the last look."""

    def __init__(self, processes: Processes, events: Events) -> None:
        self._processes, self._events = processes, events
        self._ledger = Ledger(time.time_ns() - 3600 * 10**9, PUSHERS)
        self._ingesters = processes.names("ingester")
        self._queriers = processes.names("querier")
        self._pushers = [
            Pusher(self._ledger, k, self._ingesters, processes.port, SEED + k)
            for k in range(PUSHERS)
        ]
        self._checkers = [
            Checker(self._ledger, PUSHERS, name, processes.port, SEED + 100 + k)
            for k, name in enumerate(self._queriers)
        ]
        self._threads: list[Pusher | Checker] = [*self._pushers, *self._checkers]
        self._chance = random.Random(SEED)

    def run(self) -> None:
        """All of it; raises `AssertionError` with what is wrong."""
        for name in ROLES:
            self._processes.start(name)
        self._until(lambda: all(map(self._processes.is_ready, ROLES)), "a process does not start")
        began = time.monotonic()
        for thread in self._threads:
            thread.start()
        try:
            self._until(lambda: self._ledger.acknowledged() > 100, "nothing is acknowledged")
            for number in range(EVENTS):
                self._events.happen()
                until = time.monotonic() + self._chance.uniform(0.1, 1.5)
                while time.monotonic() < until:
                    self._look()
                    time.sleep(0.05)
                if number % 25 == 24:
                    print(f"{number + 1} events, {time.monotonic() - began:.0f} s", flush=True)
            self._events.heal()
            self._until(self._is_well, "not all processes come back")
        finally:
            for thread in self._threads:
                thread.stopping.set()
            for thread in self._threads:
                thread.join()
        self._last_look()

    def _look(self) -> None:
        self._events.look()
        wrong = [w for thread in self._threads for w in thread.wrong]
        wrong += self._events.told.wrong
        assert not wrong, "\n".join(wrong)

    def _is_well(self) -> bool:
        """Each process runs, and what the dead ones left is in blocks."""
        self._look()
        return all(map(self._processes.is_ready, ROLES)) and len(self._journals()) == len(
            self._ingesters
        )

    def _journals(self) -> list[object]:
        port = self._processes.port(self._queriers[0])
        if port is None:
            return []
        status, body = exchange(port, "GET", "/status", timeout_s=10.0)
        found: list[object] = json.loads(body)["journals"] if status == 200 else []
        return found

    def _until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_S
        while not true():
            assert time.monotonic() < deadline, what
            time.sleep(0.1)

    def _last_look(self) -> None:
        answers: collections.Counter[str] = collections.Counter()
        print(self._text())
        wrong = self._all_wrong(answers)
        for name in self._ingesters:
            port = self._processes.port(name)
            assert port is not None
            assert exchange(port, "POST", "/flush", timeout_s=120.0)[0] == 204
        wrong += self._all_wrong(answers)
        print(f"last look, before and after a flush of everything: {dict(answers)}")
        print(
            f"seed {SEED}: {sum(self._events.told.events.values())} events, "
            f"{self._ledger.acknowledged()} lines acknowledged, {len(wrong)} faults"
        )
        assert set(answers) == {"whole"}
        assert not wrong, "\n".join(wrong)

    def _all_wrong(self, answers: collections.Counter[str]) -> list[str]:
        """Each querier against the whole ledger."""
        wrong: list[str] = []
        for name in self._queriers:
            port = self._processes.port(name)
            assert port is not None
            for pusher in range(PUSHERS):
                begun = self._ledger.begun(pusher)
                for first in range(0, begun, STEP):
                    wanted = self._ledger.wanted(pusher, range(first, min(first + STEP, begun)))
                    told = lines_wrong(self._ledger, port, wanted, answers)
                    wrong += [f"{name} {wanted.batches}: {one}" for one in told]
        return wrong

    def _text(self) -> str:
        told = self._events.told
        pushes: collections.Counter[str] = collections.Counter()
        asked: collections.Counter[str] = collections.Counter()
        for pusher in self._pushers:
            pushes.update({str(status): n for status, n in pusher.answers.items()})
            pushes["given up"] += pusher.given_up
        for checker in self._checkers:
            asked.update(checker.answers)
        begun = LINES * sum(self._ledger.begun(k) for k in range(PUSHERS))
        rows = [
            ("events", told.events),
            ("steps under way in who was killed", told.inside),
            ("ends", told.ended),
            ("answers to pushes", pushes),
            ("answers to questions", asked),
        ]
        return "\n".join(
            [
                *(
                    f"{name}: " + ", ".join(f"{key} {n}" for key, n in found.most_common())
                    for name, found in rows
                ),
                f"lines pushed {begun}, acknowledged {self._ledger.acknowledged()}",
            ]
        )
