"""Do several rulers divide the groups, and do alerts go on when one dies or sleeps?"""

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

import pytest

from narfi.core.tenant import TenantId
from ruler.claims import owner_of
from storage.catalog.rule_keys import GroupKey
from tests.ruler.receiver import FakeAlertmanager, fake_alertmanager
from tests.servers import postgres
from tests.servers.cluster import Cluster, stores

RULERS = ("ruler-0", "ruler-1", "ruler-2")
GROUPS = 9
SETTINGS = {"RULER__LEASE_TTL": "4s", "RULER__RESEND_DELAY": "1s"}
GROUP = """
name: g{number}
interval: 1s
rules:
- {{alert: Seen{number}, expr: 'sum(count_over_time({{app="a"}}[1h])) > 0'}}
- {{record: 'a:lines', expr: 'sum(count_over_time({{app="a"}}[1h]))'}}
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def alertmanager() -> Iterator[FakeAlertmanager]:
    with fake_alertmanager() as found:
        yield found


@pytest.fixture
def cluster(tmp_path: Path, alertmanager: FakeAlertmanager) -> Iterator[Cluster]:
    """An ingester and three rulers."""
    with stores(postgres.needed()) as servers:
        settings = SETTINGS | {"RULER__ALERTMANAGER_URL": alertmanager.url}
        found = Cluster(tmp_path, *servers, settings)
        found.start({"ingester": "ingester", **dict.fromkeys(RULERS, "ruler")})
        yield found
        found.stop()


def groups(cluster: Cluster, name: str) -> int:
    """How many a ruler evaluates."""
    status, text = cluster.ask(name, "/ruler/status")
    return int(json.loads(text)["groups"]) if status == 200 else 0


def are_divided(cluster: Cluster, *names: str) -> bool:
    counts = [groups(cluster, name) for name in names]
    return all(counts) and sum(counts) == GROUPS


def shown(cluster: Cluster, name: str) -> dict[str, tuple[str, str]]:
    """State and beginning of every alert, as a ruler tells of all."""
    found = json.loads(cluster.ask(name, "/prometheus/api/v1/alerts")[1])["data"]["alerts"]
    return {one["labels"]["alertname"]: (one["state"], one["activeAt"]) for one in found}


def shows_all(cluster: Cluster, name: str) -> bool:
    return len(shown(cluster, name)) == GROUPS


def told(alertmanager: FakeAlertmanager) -> dict[str, list[dict[str, Any]]]:
    """Notices by alert, in the order in which they came."""
    found: dict[str, list[dict[str, Any]]] = {}
    with alertmanager.changed:
        for one in alertmanager.alerts:
            found.setdefault(one["labels"]["alertname"], []).append(one)
    return found


def fires(notice: dict[str, Any]) -> bool:
    return datetime.fromisoformat(notice["endsAt"]) > datetime.now(UTC)


def rulers(cluster: Cluster) -> list[str]:
    """Who takes part, under the names that they gave themselves."""
    status, text = cluster.ask(RULERS[0], "/ruler/status")
    return list(json.loads(text)["rulers"]) if status == 200 else []


def numbers_for_all(names: list[str]) -> list[int]:
    """Numbers of groups, of which each ruler gets as many: else one might get none of nine."""
    found: dict[str, list[int]] = {name: [] for name in names}
    for number in count():
        key = GroupKey(TenantId("fake"), "ns", f"g{number}")
        mine = found[owner_of(key, names)]
        if len(mine) < GROUPS // len(names):
            mine.append(number)
        if sum(map(len, found.values())) == GROUPS:
            break
    return sorted(chain.from_iterable(found.values()))


def test_groups_move_and_alerts_go_on(cluster: Cluster, alertmanager: FakeAlertmanager) -> None:
    assert cluster.push("ingester") == 204
    cluster.until(lambda: len(rulers(cluster)) == len(RULERS), "a ruler does not take part")
    for number in numbers_for_all(rulers(cluster)):
        body = GROUP.format(number=number).encode()
        status, _ = cluster.ask(RULERS[number % 3], "/loki/api/v1/rules/ns", body)
        assert status == 202
    cluster.until(lambda: are_divided(cluster, *RULERS), "the groups are not divided")
    for name in RULERS:
        cluster.until(partial(shows_all, cluster, name), f"{name} hides some")
    cluster.until(lambda: len(told(alertmanager)) == GROUPS, "an alert is not told")
    begun = shown(cluster, "ruler-1")
    assert {state for state, _ in begun.values()} == {"firing"}

    killed = time.monotonic()
    cluster.kill("ruler-0")
    cluster.until(lambda: are_divided(cluster, *RULERS[1:]), "the groups of the dead are nobody's")
    moved_s = time.monotonic() - killed
    cluster.until(lambda: shown(cluster, "ruler-1") == begun, "alerts began anew")

    cluster.signal("ruler-1", signal.SIGSTOP)
    cluster.until(lambda: groups(cluster, "ruler-2") == GROUPS, "a sleeper keeps its groups")
    cluster.signal("ruler-1", signal.SIGCONT)
    cluster.until(lambda: are_divided(cluster, *RULERS[1:]), "who woke up gets nothing")
    cluster.until(lambda: shown(cluster, "ruler-2") == begun, "alerts began anew")

    cluster.until(
        lambda: all(fires(notices[-1]) for notices in told(alertmanager).values()),
        "an alert is told to be over",
    )
    starts = {name: {one["startsAt"] for one in all_} for name, all_ in told(alertmanager).items()}
    assert {len(found) for found in starts.values()} == {1}, "it ended and began again"
    assert alertmanager.wrong == []
    print(f"groups of a killed ruler moved in {moved_s:.1f} s with leases of 4 s")
