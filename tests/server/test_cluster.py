"""Do several processes over one bucket and one database lose nothing and show nothing twice?

Three ingesters, two queriers, a compactor; real ones, as in a cluster. Each test has its own.
"""

import contextlib
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from benchmarks.server import stop
from tests.servers import fault_proxy, postgres
from tests.servers.cluster import DEADLINE_S, Cluster, stores
from tests.servers.fault_proxy import Fault, Kind
from tests.servers.s3 import S3

INGESTERS = ("ingester-0", "ingester-1", "ingester-2")
QUERIERS = ("querier-0", "querier-1")
ROLES = {
    **dict.fromkeys(INGESTERS, "ingester"),
    **dict.fromkeys(QUERIERS, "querier"),
    "compactor": "compactor",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[S3, postgres.Postgres]]:
    """A server for objects and one for catalogs."""
    with stores(postgres.needed()) as found:
        yield found


@pytest.fixture
def cluster(tmp_path: Path, servers: tuple[S3, postgres.Postgres]) -> Iterator[Cluster]:
    """Empty; no process was started."""
    found = Cluster(tmp_path, *servers)
    yield found
    found.stop()


def test_a_cluster_whose_ingester_is_killed_under_load(cluster: Cluster) -> None:
    cluster.start(ROLES)
    stopping = threading.Event()

    def load(name: str) -> None:
        while not stopping.is_set():
            status = cluster.push(name, timeout_s=30.0)
            if status == 0:
                return  # it was killed

    threads = [threading.Thread(target=load, args=(name,)) for name in INGESTERS for _ in range(2)]
    for thread in threads:
        thread.start()
    cluster.until(lambda: len(cluster.acknowledged) > 600, "nothing is acknowledged")
    cluster.kill("ingester-0")
    cluster.until(lambda: len(cluster.acknowledged) > 1200, "the others stopped")
    stopping.set()
    for thread in threads:
        thread.join()
    cluster.check(*QUERIERS)
    cluster.until(lambda: len(cluster.journals("querier-0")) == 2, "nobody takes the journal over")
    cluster.check(*QUERIERS)
    for name in INGESTERS[1:]:
        assert cluster.ask(name, "/flush", b"")[0] == 204
    cluster.check(*QUERIERS)
    assert cluster.count("querier-0") == sum(cluster.query("querier-1").values())
    assert json.loads(cluster.ask("querier-0", "/loki/api/v1/label/app/values")[1])["data"] == ["a"]


def test_a_hung_ingester_is_not_waited_for_and_fenced_when_it_wakes_up(cluster: Cluster) -> None:
    """Its journal is read, then adopted; nothing that it acknowledged before is missing."""
    cluster.start({name: ROLES[name] for name in (*INGESTERS[:2], QUERIERS[0])})
    for _ in range(3):
        assert cluster.push("ingester-0") == 204
        assert cluster.push("ingester-1") == 204
    cluster.check("querier-0")
    assert read_from(cluster, "ingester") > 0
    before = read_from(cluster, "journal")
    cluster.signal("ingester-0", signal.SIGSTOP)
    cluster.check("querier-0")
    assert read_from(cluster, "journal") > before
    cluster.until(lambda: len(cluster.journals("querier-0")) == 1, "nobody takes it over")
    cluster.check("querier-0")
    cluster.signal("ingester-0", signal.SIGCONT)
    assert cluster.push("ingester-0") == 503
    cluster.until(lambda: cluster.ask("ingester-0", "/ready")[0] == 503, "it is ready all the same")
    assert "taken over" in cluster.ask("ingester-0", "/ready")[1]
    state = json.loads(cluster.ask("ingester-0", "/status")[1])
    assert state["journal"]["acknowledges"] is False
    assert "taken over" in state["journal"]["trouble"]
    assert cluster.ask("ingester-0", "/flush", b"")[0] == 503
    assert cluster.push("ingester-1") == 204
    cluster.check("querier-0")
    assert "taken over" in cluster.log("ingester-0")


def read_from(cluster: Cluster, source: str) -> float:
    """How many heads a querier read there."""
    name = f'narfi_other_heads_read_total{{source="{source}"}} '
    for line in cluster.ask("querier-0", "/metrics")[1].splitlines():
        if line.startswith(name):
            return float(line.removeprefix(name))
    return 0.0


def test_who_has_not_a_role_says_so(cluster: Cluster) -> None:
    cluster.start({"ingester-0": "ingester", "querier-0": "querier", "compactor": "compactor"})
    for name, path, body, sentence in (
        (
            "querier-0",
            "/loki/api/v1/push",
            b"{}",
            "takes no pushes: ingester is not among its roles",
        ),
        ("querier-0", "/otlp/v1/logs", b"{}", "takes no pushes"),
        ("querier-0", "/flush", b"", "takes no pushes"),
        ("ingester-0", "/loki/api/v1/query_range", None, "answers no queries"),
        ("ingester-0", "/loki/api/v1/labels", None, "answers no queries"),
        ("ingester-0", "/prometheus/api/v1/rules", None, "evaluates no rules"),
        ("compactor", "/loki/api/v1/query", None, "querier is not among its roles (compactor)"),
    ):
        status, text = cluster.ask(name, path, body)
        assert (status, sentence in text) == (503, True), (name, path, status, text)
    for name in cluster.processes:
        assert cluster.ask(name, "/ready") == (200, "ready\n")
        assert json.loads(cluster.ask(name, "/status")[1])["roles"] == [name.split("-")[0]]
    assert cluster.push("ingester-0") == 204
    cluster.check("querier-0")


def test_one_process_with_all_roles_is_killed_and_started_again(cluster: Cluster) -> None:
    """What it left is read from its journal until the new process has put it into blocks."""
    cluster.start({"all": "ingester,querier,compactor,ruler"})
    assert cluster.push("all") == 204
    assert cluster.ask("all", "/flush", b"")[0] == 204
    assert cluster.push("all") == 204
    cluster.check("all")
    cluster.kill("all")
    cluster.start({"all": "ingester,querier,compactor,ruler"})
    cluster.check("all")
    assert cluster.push("all") == 204
    cluster.check("all")
    cluster.until(lambda: len(cluster.journals("all")) == 1, "it is not taken over")
    cluster.check("all")
    assert stop(cluster.processes["all"]) == 0
    cluster.start({"all": "ingester,querier,compactor,ruler"})
    cluster.check("all")
    assert json.loads(cluster.ask("all", "/status")[1])["losses"]["count"] == 0


def test_a_file_journal_and_a_cluster_exclude_each_other(cluster: Cluster, tmp_path: Path) -> None:
    cluster.start({"ingester-0": "ingester"})
    with pytest.raises(RuntimeError, match="another server uses this catalog"):
        cluster.start({"file": "ingester,querier,compactor,ruler"}, {"INGESTER__JOURNAL": "file"})


def test_a_request_deletes_what_other_ingesters_hold(cluster: Cluster) -> None:
    cluster.start(
        {"ingester-0": "ingester", "rest": "querier,compactor"},
        {"COMPACTOR__DELETE_REQUEST_CANCEL_PERIOD": "1s"},
    )
    assert cluster.push("ingester-0") == 204
    status, text = cluster.ask(
        "rest",
        "/loki/api/v1/delete",
        b"",
        query='{app="a"} |= "n=7 "',
        start=str(cluster.begun_ns // 10**9 - 10),
    )
    assert status == 204, text
    gone = "level=info n=7 took=7ms by=ingester-0"
    del cluster.acknowledged[gone]
    cluster.check("rest")
    cluster.until(
        lambda: '"processed"' in cluster.ask("rest", "/loki/api/v1/delete")[1], "it is not done"
    )
    cluster.check("rest")
    assert gone not in cluster.query("rest")


def test_a_follow_shows_what_every_ingester_takes(cluster: Cluster) -> None:
    """Those that are there when it begins, and one that comes later; and says who is lost."""
    cluster.start(
        {name: ROLES[name] for name in ("ingester-0", "ingester-1", "querier-0")},
        {"SERVER__HTTP_SERVER_READ_TIMEOUT": "3s"},  # a follow lives longer than a request
    )
    assert cluster.push("ingester-0") == 204
    url = cluster.processes["querier-0"].url.replace("http:", "ws:")
    found: Counter[str] = Counter()
    told: list[str] = []

    def read(socket: ClientConnection, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            assert time.monotonic() < deadline, (found, told)
            with contextlib.suppress(TimeoutError):
                message = json.loads(socket.recv(timeout=1.0))
                told.extend(message.get("warnings") or ())
                for stream in message.get("streams") or ():
                    found.update(line for _, line in stream["values"])

    with connect(f"{url}/loki/api/v1/tail?query=%7Bapp%3D%22a%22%7D") as socket:
        read(socket, lambda: found == cluster.acknowledged)
        assert cluster.push("ingester-0") == 204
        assert cluster.push("ingester-1") == 204
        read(socket, lambda: found == cluster.acknowledged)
        cluster.start({"ingester-2": "ingester"})
        time.sleep(3.0)
        assert cluster.push("ingester-2") == 204
        read(socket, lambda: found == cluster.acknowledged)
        assert told == []
        cluster.kill("ingester-1")
        read(socket, lambda: bool(told))
        assert "cannot be followed" in told[0]
        assert cluster.push("ingester-0") == 204
        read(socket, lambda: found == cluster.acknowledged)


def test_pushes_while_the_store_is_away_and_while_the_catalog_is(
    tmp_path: Path, servers: tuple[S3, postgres.Postgres]
) -> None:
    """503 after the deadline, or after the lease's time; everything goes on by itself."""
    blocks, catalogs = servers
    with fault_proxy.before(blocks.port) as proxy:
        cluster = Cluster(tmp_path, blocks, catalogs)
        cluster.settings["STORAGE__URL"] = S3(proxy.port).reaching(cluster.settings["STORAGE__URL"])
        try:
            cluster.start({"all": "ingester,querier,compactor,ruler"})
            assert cluster.push("all") == 204
            proxy.tell(Fault(Kind.LOSE, "PUT", "/journal/"), Fault(Kind.DROP, "PUT", "/journal/"))
            assert cluster.push("all") == 204
            proxy.tell(Fault(Kind.REFUSE, "PUT", "/journal/", times=3))
            assert cluster.push("all") == 204
            cluster.check("all")
            proxy.tell(Fault(Kind.DROP, times=10**9))
            assert cluster.push("all") == 503
            proxy.tell(Fault(Kind.REFUSE, status=403, times=10**9))  # credentials are over
            assert cluster.push("all") == 503
            cluster.until(
                lambda: "cannot be" in cluster.ask("all", "/ready")[1], "nothing tells of it"
            )
            proxy.tell()
            assert cluster.push("all") == 204
            cluster.check("all")
            cluster.connections(allowed=False)
            cluster.until(lambda: cluster.push("all") == 503, "it acknowledges without a lease")
            text = cluster.ask("all", "/ready")[1]
            assert "the lease of the journal could not be renewed" in text
            cluster.connections(allowed=True)
            cluster.until(lambda: cluster.push("all") == 204, "it does not go on")
            cluster.check("all")
            assert cluster.ask("all", "/flush", b"")[0] == 204
            cluster.check("all")
            cluster.until(
                lambda: cluster.ask("all", "/ready") == (200, "ready\n"), "it is not well again"
            )
        finally:
            proxy.tell()
            cluster.stop()


def test_a_store_that_is_slow_or_refuses_some_requests(
    tmp_path: Path, servers: tuple[S3, postgres.Postgres]
) -> None:
    """Late answers, and right ones; who has no time to wait is told so."""
    blocks, catalogs = servers
    with fault_proxy.before(blocks.port) as proxy:
        cluster = Cluster(tmp_path, blocks, catalogs)
        cluster.settings["STORAGE__URL"] = S3(proxy.port).reaching(cluster.settings["STORAGE__URL"])
        try:
            cluster.start({"all": "ingester,querier,compactor,ruler", "patient": "querier"})
            cluster.start({"hasty": "querier"}, {"LIMITS__QUERY_TIMEOUT": "1s"})
            proxy.tell(Fault(Kind.REFUSE, every=3, times=10**9))
            for _ in range(10):
                assert cluster.push("all") == 204
            assert cluster.ask("all", "/flush", b"")[0] == 204
            cluster.check("all")
            proxy.tell(Fault(Kind.SLOW, seconds=2.0, times=10**9))
            began_s = time.monotonic()
            assert cluster.push("all") == 204
            assert time.monotonic() - began_s >= 2.0
            began_s = time.monotonic()
            status, text = cluster.ask(
                "hasty",
                "/loki/api/v1/query_range",
                query='{app="a"}',
                start=str(cluster.begun_ns),
                end=str(cluster.begun_ns + 4000),
            )
            assert status == 504, text
            assert "timeout" in text
            cluster.check("patient")
            proxy.tell()
            cluster.check("hasty")
        finally:
            proxy.tell()
            cluster.stop()
