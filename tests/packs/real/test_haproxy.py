"""Does the haproxy pack tell what a real HAProxy does, and what is wrong behind it?"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.server import free_port
from tests.packs.real.upstream import Page, upstream
from tests.packs.real.watching import Program, Watched, eventually, status

CONFIG = """
global
    log stdout format raw local0 info
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 60s
    retries 0
frontend web
    bind 127.0.0.1:{port}
    use_backend reports if {{ path_beg /reports }}
    default_backend shop
backend shop
    server one 127.0.0.1:{behind} check inter 200ms fall 3
backend reports
    server one 127.0.0.1:{behind} maxconn 1
"""
SLOW = {"/reports/all": Page(b"all", seconds=1.5)}


def test_haproxy(
    program: Callable[[str], str], watch: Callable[[str], Watched], tmp_path: Path
) -> None:
    port, behind = free_port(), free_port()
    config, log = tmp_path / "haproxy.cfg", tmp_path / "haproxy.log"
    config.write_text(CONFIG.format(port=port, behind=behind))
    command = [program("haproxy"), "-db", "-f", str(config)]
    url, pack = f"http://127.0.0.1:{port}", watch("haproxy")

    def ends() -> dict[tuple[str, ...], float]:
        return pack.values("Answers by status and backend", "status", "backend")

    with ExitStack() as running, ExitStack() as behind_it:
        behind_it.enter_context(upstream(behind, SLOW))
        haproxy = running.enter_context(Program(command=command, log=log))
        running.enter_context(pack.following(tmp_path, {"haproxy": log}))
        haproxy.wait(f"{url}/items")
        assert [status(f"{url}/items?n={n}") for n in range(29)] == [200] * 29
        assert status(f"{url}/reports/one") == 200
        eventually(ends, {("200", "shop"): 30, ("200", "reports"): 1})
        slowest = pack.values("Slow answers by backend", "backend")
        assert slowest.keys() == {("shop",), ("reports",)}
        assert pack.answers()["Servers that went down"] == 0
        assert pack.answers()["Why sessions ended badly"] == 0
        assert pack.alerts() == set()

        with ThreadPoolExecutor(2) as both:
            assert list(both.map(status, [f"{url}/reports/all"] * 2)) == [200, 200]
        held = {"HaproxyQueues"}
        eventually(pack.alerts, held)
        assert 1000 < pack.values("Waiting in queues", "backend")[("reports",)] < 60_000

        behind_it.close()
        held |= {"HaproxyBackendDown"}
        eventually(pack.alerts, held)
        assert any("shop/one is DOWN" in line for line in pack.lines("Servers that went down"))

        assert [status(f"{url}/items") for _ in range(30)] == [503] * 30
        held |= {"HaproxyServerErrors"}
        eventually(pack.alerts, held)
        badly = pack.values("Why sessions ended badly", "termination", "backend")
        assert badly == {("SC--", "shop"): 30}
