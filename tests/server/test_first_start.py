"""How long does the very first start from a checkout take, and who waits for kernels afterwards?

`make first-start`, on an idle machine, holds the clock to `READY_S` too; the gate counts CPU, and
need not compile once more those kernels that nobody waits for, but the largest.
"""

import json
import os
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from benchmarks import calibrate
from benchmarks.push import cpu_seconds
from benchmarks.server import Running, start, stop
from narfi.core.kernels.code_store import ENDING, SHIPPED, CodeStore
from narfi.core.kernels.jit import kernels
from narfi.core.kernels.modules import import_all
from tests.server.test_wheel import ROOT, children, copied

READY_S = 17.0
"""From nothing to `/ready`, on the reference machine."""
CPU_S = 2 * READY_S
"""Of two processors."""
STRICT = os.environ.get("NARFI_TEST_FIRST_START") == "strict"
BEHIND = "shape_match.match_lines"
"""What takes longest behind `/ready`: it is still compiled when the others are there."""


def ask(server: Running, path: str, body: bytes | None = None, **parameters: str) -> Any:
    """A request that succeeds, and its JSON."""
    url = f"{server.url}{path}?{urllib.parse.urlencode(parameters)}"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.loads(answer.read() or b"null")


def put_most(codes: Path) -> int:
    """Those that nobody waits for and that are soon compiled, but for logfmt's; how many."""
    left = ("logfmt", BEHIND)
    behind = [one for one in kernels() if not (one.is_early or one.name.startswith(left))]
    for one in behind:
        kept = one.kept()
        assert kept is not None
        assert CodeStore([codes]).put(*kept)
    return len(behind)


def lines_of(answer: Any) -> int:
    """Entries of a log query."""
    return sum(len(stream["values"]) for stream in answer["data"]["result"])


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources alone, of a user who has no cache."""
    folder = copied(tmp_path / "narfi", SHIPPED.name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return folder


def test_from_an_empty_cache(checkout: Path, tmp_path: Path) -> None:
    import_all()
    factor = calibrate.factor(calibrate.measure())
    codes = checkout / SHIPPED.relative_to(ROOT)
    there = 0 if STRICT else put_most(codes)
    began = time.monotonic()
    server = start(tmp_path / "data", log=tmp_path / "log")
    try:
        wall, pid = time.monotonic() - began, server.process.pid
        cpu = cpu_seconds(pid) + sum(cpu_seconds(child) for child in children(pid))
        early = len(list(codes.glob("*" + ENDING))) - there
        print(f"ready after {wall:.1f} s, {cpu:.1f} s of CPU; factor {factor:.2f}")
        assert children(pid), "the rest is compiled behind"
        values = [[str(time.time_ns() + k), f"level=info n={k}"] for k in range(100)]
        body = json.dumps({"streams": [{"stream": {"app": "a"}, "values": values}]}).encode()
        ask(server, "/loki/api/v1/push", body)
        path = "/loki/api/v1/query_range"
        assert lines_of(ask(server, path, query='{app="a"} |= "n="')) == 100
        count = ask(server, path, query='sum(count_over_time({app="a"}[1h]))')
        assert count["data"]["result"][0]["values"][-1][1] == "100"
        at_once = len(list(codes.glob("*" + ENDING))) - there
        # this one needs a kernel that is not there yet, and no other
        assert lines_of(ask(server, path, query='{app="a"} | logfmt | n > 89')) == 10
        assert children(pid), "it did not wait for all"
        while children(pid):
            time.sleep(0.1)
        assert len(kernels()) <= len(list(codes.glob("*" + ENDING)))
    finally:
        stop(server)
    print(f"{early} pieces of code when ready, {at_once} after simple requests")
    assert cpu < CPU_S * factor
    if STRICT:
        assert wall < READY_S * factor
    again = start(tmp_path / "data", log=tmp_path / "log")
    stop(again)
    assert (tmp_path / "log").read_text().count("compiled=0") == 1
