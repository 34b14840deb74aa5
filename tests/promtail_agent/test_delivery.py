"""Does every line arrive, through outages, kills and limits? Agents against a recording server,
and against the real one by HTTP and gRPC, counted by LogQL.
"""

import json
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.server import Running, start, stop
from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config

Yaml = Callable[..., Path]
Start = Callable[[Path], Agent]
Append = Callable[..., None]
Eventually = Callable[..., None]

NARFI = [sys.executable, "-m", "narfi.cli", "agent"]


def spooled(tmp_path: Path, max_size: str = "1GB") -> str:
    """The section of a spool."""
    return f"spool: {{directory: {tmp_path}/spool, max_size: {max_size}}}"


def test_batches_end_by_age_and_by_size(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path, append: Append,
    eventually: Eventually,
) -> None:  # fmt: skip
    file = agent_yaml(client="batchsize: 50")
    text = file.read_text()
    file.write_text(text.replace("batchwait: 50ms", "batchwait: 700ms"))
    append(container_log, "young")
    begin_s = time.monotonic()
    agent = start_agent(file)
    eventually(lambda: server.lines() == ["young"])
    assert time.monotonic() - begin_s > 0.6
    agent.stop()
    file.write_text(text.replace("batchwait: 50ms", "batchwait: 1h"))
    append(container_log, *(f"{k:020d}" for k in range(5)))
    agent = start_agent(file)
    eventually(lambda: len(server.entries) == 5)  # two full batches of two lines, however young
    assert len(server.headers) == 3
    agent.stop()
    assert len(server.entries) == 6
    assert len(server.headers) == 4


def test_nothing_is_acknowledged_that_was_not_answered(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path, append: Append,
    eventually: Eventually, tmp_path: Path,
) -> None:  # fmt: skip
    append(container_log, "one")
    agent = start_agent(agent_yaml())
    eventually(lambda: server.lines() == ["one"])
    end = container_log.stat().st_size

    def saved() -> int:
        text = (tmp_path / "positions.yaml").read_text()
        return int(yaml.safe_load(text)["positions"][str(container_log)])

    eventually(lambda: (tmp_path / "positions.yaml").exists() and saved() == end)
    server.down = True
    append(container_log, "two")
    eventually(lambda: agent.metrics.batch_retries["127.0.0.1", ""] > 3)
    time.sleep(0.3)
    assert saved() == end
    server.down = False
    eventually(lambda: saved() == container_log.stat().st_size)


def test_an_outage_is_spooled_while_files_rotate_away(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path, append: Append,
    eventually: Eventually, tmp_path: Path,
) -> None:  # fmt: skip
    server.down = True
    agent = start_agent(agent_yaml(client="batchsize: 2000", top=spooled(tmp_path)))
    read, path = agent.metrics.read_lines, str(container_log)
    expected: list[str] = []
    for part in range(5):
        lines = [f"part {part} line {k:04d}" for k in range(400)]
        append(container_log, *lines)
        expected += lines
        eventually(lambda count=part * 400 + 400: read[path] == count)
        container_log.unlink()  # the node has no room for more: what was read is in the spool
    eventually(lambda: agent.metrics.spool_bytes["127.0.0.1"] > 40_000)
    assert server.entries == []
    server.down = False
    eventually(lambda: len(server.entries) == 2000)
    assert server.lines() == expected
    eventually(lambda: agent.metrics.spool_bytes["127.0.0.1"] == 0)


def test_a_spool_outlives_kill_9(
    server: Any, agent_yaml: Yaml, container_log: Path, append: Append, eventually: Eventually,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Killed in an outage, the rest of the file written meanwhile: each line once, in order."""
    server.down = True
    file = agent_yaml(client="batchsize: 1000", top=spooled(tmp_path))
    lines = [f"line {k:04d}" for k in range(900)]
    for part in range(3):
        append(container_log, *lines[part * 300 : part * 300 + 300])
        process = subprocess.Popen([*NARFI, "--config", str(file)], stderr=subprocess.DEVNULL)
        asked = len(server.headers)
        eventually(lambda asked=asked: len(server.headers) > asked + 2)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
    server.down = False
    process = subprocess.Popen([*NARFI, "--config", str(file)], stderr=subprocess.DEVNULL)
    eventually(lambda: len(server.entries) >= 900)
    time.sleep(0.3)
    process.terminate()
    assert process.wait(90) == 0
    assert server.lines() == lines


def test_a_full_spool_drops_the_oldest_and_tells(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path, append: Append,
    eventually: Eventually, tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    server.down = True
    top = spooled(tmp_path, "600kb")
    agent = start_agent(agent_yaml(client="batchsize: 10kb", top=top))
    lines = [f"{k:06d}".ljust(400, ".") for k in range(4000)]
    append(container_log, *lines)
    eventually(lambda: agent.metrics.read_lines[str(container_log)] == 4000)
    eventually(lambda: agent.metrics.dropped("spool_full") > 2000)

    def on_disk() -> int:
        return sum(f.stat().st_size for f in (tmp_path / "spool").rglob("*.spool"))

    assert on_disk() <= 700 << 10
    eventually(lambda: agent.metrics.spool_bytes["127.0.0.1"] <= on_disk())  # batches still come
    assert "spool is full, oldest entries dropped" in caplog.text
    server.down = False
    eventually(lambda: "003999" in {line[:6] for line in server.lines()})
    got = [int(line[:6]) for line in server.lines()]
    newest = got[-(len(got) // 2) :]
    assert newest == list(range(4000 - len(newest), 4000))
    assert got == sorted(got)
    dropped = agent.metrics.dropped("spool_full")
    assert len(got) + dropped == 4000, "each line is delivered, or counted, once"
    assert agent.metrics.dropped_bytes["127.0.0.1", "", "spool_full"] == dropped * 400


def test_a_stuck_client_with_a_spool_holds_up_nobody(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path, append: Append,
    eventually: Eventually, tmp_path: Path,
) -> None:  # fmt: skip
    top = f"{spooled(tmp_path)}\nserver: {{disable: true, graceful_shutdown_timeout: 1s}}"
    file = agent_yaml(client="batchsize: 100", top=top)
    stuck = "  - {url: 'http://127.0.0.1:9/', batchsize: 100, timeout: 1s}\npositions:"
    file.write_text(file.read_text().replace("positions:", stuck, 1))
    lines = [f"line {k:04d}" for k in range(1000)]
    append(container_log, *lines)
    agent = start_agent(file)
    eventually(lambda: server.lines() == lines)
    assert len({p.parent.name for p in (tmp_path / "spool").rglob("*.spool")}) == 2
    agent.stop()
    saved = yaml.safe_load((tmp_path / "positions.yaml").read_text())["positions"]
    assert saved[str(container_log)] == "0"  # the other has acknowledged nothing


@pytest.mark.slow
@pytest.mark.parametrize("spool", [True, False])
def test_memory_stays_bounded_in_a_long_outage(
    server: Any, agent_yaml: Yaml, container_log: Path, eventually: Eventually, tmp_path: Path,
    spool: bool,
) -> None:  # fmt: skip
    """300 MB of lines while nobody takes them: with a spool of 50 MB, or the files wait."""
    line = f"2025-10-09T08:00:00.000000001Z stdout F {'x' * 300}\n"
    with container_log.open("w") as out:
        for _ in range(100):
            out.write(line * 9000)
    server.down = True
    file = agent_yaml(top=spooled(tmp_path, "50MB") if spool else "")
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen([*NARFI, "--config", str(file)], stderr=log)
    log.close()
    try:
        eventually(lambda: len(server.headers) > 3)
        if spool:
            eventually(lambda: b"spool is full" in (tmp_path / "log").read_bytes())
        until_s, cpu = time.monotonic() + 300, -1
        while time.monotonic() < until_s:  # until it has read everything, or waits
            time.sleep(2)
            fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            before, cpu = cpu, int(fields[11]) + int(fields[12])
            if cpu - before < 20:
                break
        status = Path(f"/proc/{process.pid}/status").read_text()
        (peak_kb,) = (int(row.split()[1]) for row in status.splitlines() if "VmHWM" in row)
    finally:
        process.kill()
        process.wait()
    assert peak_kb < 150 << 10
    on_disk = sum(f.stat().st_size for f in (tmp_path / "spool").rglob("*.spool"))
    assert (30 << 20 if spool else -1) < on_disk <= 52 << 20


# The real server


@pytest.fixture(scope="module")
def narfi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A real server with tenants."""
    folder = tmp_path_factory.mktemp("narfi")
    (folder / "narfi.yaml").write_text("tenancy: header\nlimits: {reject_old_samples: false}\n")
    running = start(folder / "data", folder / "narfi.yaml")
    yield running
    stop(running)


def ask(server: Running, tenant: str, query: str) -> list[str]:
    """Lines of a query, in order."""
    now_ns = time.time_ns()
    given = {"query": query, "limit": "5000", "direction": "forward"}
    given |= {"start": str(now_ns - 3600 * 10**9), "end": str(now_ns + 10**9)}
    address = f"{server.url}/loki/api/v1/query_range?{urllib.parse.urlencode(given)}"
    request = urllib.request.Request(address, headers={"X-Scope-OrgID": tenant})
    with urllib.request.urlopen(request, timeout=90) as answer:
        streams = json.load(answer)["data"]["result"]
    values = [(int(ts), line) for stream in streams for ts, line in stream["values"]]
    return [line for _, line in sorted(values)]


@pytest.mark.slow
def test_http_and_grpc_to_the_real_server(
    narfi: Running, tmp_path: Path, eventually: Eventually
) -> None:
    """Any bytes arrive; metadata can be queried; a tenant of a stage is one."""
    log = tmp_path / "app.log"
    file = tmp_path / "agent.yaml"
    file.write_text(f"""
clients:
  - {{url: "{narfi.url}/loki/api/v1/push", tenant_id: by-http, batchwait: 50ms}}
  - {{url: "grpc://{narfi.grpc}", tenant_id: by-grpc, batchwait: 50ms}}
positions: {{filename: {tmp_path}/positions.yaml}}
scrape_configs:
  - job_name: app
    static_configs: [{{labels: {{job: app, __path__: {log}}}}}]
    pipeline_stages:
      - logfmt: {{mapping: {{trace: , team: }}}}
      - structured_metadata: {{trace: }}
      - tenant: {{source: team}}
""")
    log.write_bytes(b"trace=4f plain\nbytes \xff\xfe here\nteam=blue of blue\nlast \xc3\xa4\n")
    agent = Agent(load_agent_config(file))
    agent.start()
    try:
        for tenant in ("by-http", "by-grpc"):
            lines = ["trace=4f plain", "bytes \ufffd\ufffd here", "last ä"]
            eventually(lambda t=tenant, e=lines: ask(narfi, t, '{job="app"}') == e)
            assert ask(narfi, tenant, '{job="app"} | trace="4f"') == lines[:1]
        assert ask(narfi, "blue", '{job="app"}') == ["team=blue of blue"]  # of both, kept once
    finally:
        agent.stop()
    assert not agent.metrics.dropped_entries


@pytest.mark.slow
def test_kill_9_of_the_agent_is_exactly_once_in_the_server(
    narfi: Running, tmp_path: Path, eventually: Eventually
) -> None:
    """Lines with times of their own (CRI): what is sent twice is kept once."""
    log = tmp_path / "0.log"
    file = tmp_path / "agent.yaml"
    file.write_text(f"""
clients: [{{url: "{narfi.url}/loki/api/v1/push", tenant_id: once, batchwait: 20ms, batchsize: 4kb}}]
positions: {{filename: {tmp_path}/positions.yaml, sync_period: 300ms}}
scrape_configs:
  - job_name: app
    static_configs: [{{labels: {{job: app, __path__: {tmp_path}/*.log}}}}]
    pipeline_stages: [{{cri: {{}}}}]
""")
    expected: list[str] = []
    for _ in range(6):
        process = subprocess.Popen([*NARFI, "--config", str(file)], stderr=subprocess.DEVNULL)
        arrived = len(ask(narfi, "once", '{job="app"}'))
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s and len(expected) < 4000:  # killed as soon as it delivers
            moment, part = time.time_ns(), ""
            for _ in range(20):
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment // 10**9))
                expected.append(f"line {len(expected):06d}")
                part += f"{stamp}.{moment % 10**9:09d}Z stdout F {expected[-1]}\n"
                moment += 1
            with log.open("a") as out:
                out.write(part)
            if len(ask(narfi, "once", '{job="app"}')) > arrived:
                break
        process.kill()
        process.wait()
    process = subprocess.Popen([*NARFI, "--config", str(file)], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: len(ask(narfi, "once", '{job="app"}')) >= len(expected))
    finally:
        process.kill()
        process.wait()
    assert ask(narfi, "once", '{job="app"}') == expected
