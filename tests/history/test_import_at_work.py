"""Is an import between two running servers whole after kills at any moment, and within its rate?

Some thousand entries in the gate; `make import` asks for more than a million, with figures.
"""

import gzip
import json
import os
import random
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.server import Running, serving
from narfi.core.wire.push_encode import PushEntry, encode_push
from tests.served import hear_interrupts

pytestmark = pytest.mark.slow
ENTRIES = int(os.environ.get("NARFI_IMPORT_ENTRIES", "15000"))
RATE_BYTES = 2_000_000 if ENTRIES > 100_000 else 150_000
SLOWER = 1 if ENTRIES > 100_000 else 6
"""While it is killed: few entries, which take long enough for a kill in their midst."""
SMALL = () if ENTRIES > 100_000 else ("--batch", "1000", "--push-bytes", "100KB")
"""Pages and pushes, so that there are many of both."""
DAY_NS = 86_400 * 10**9
CONFIG = """
tenancy: header
limits:
  reject_old_samples: false
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
  per_stream_rate_limit: 1000MB
  per_stream_rate_limit_burst: 1000MB
"""


def fill(server: Running, begin_ns: int) -> int:
    """Push entries of forty days, many with a time of others; bytes of their lines."""
    chance = random.Random(11)
    names = [f'{{app="app-{k % 9}", job="job-{k % 3}", pod="pod-{k}"}}' for k in range(40)]
    names.append('{kind="without a service"}')
    step_ns = 40 * DAY_NS // ENTRIES
    size = 0
    for first in range(0, ENTRIES, 5000):
        streams: dict[str, list[PushEntry]] = {}
        for k in range(first, min(first + 5000, ENTRIES)):
            at = k - k % 300 if k % 5000 < 600 else k  # three hundred at once, now and then
            line = (
                f"level=info msg=done id={k} took={chance.random():.6f} path=/ü/{k % 97}".encode()
            )
            metadata = (("trace_id", f"{k:016x}"),) if k % 4 == 0 else ()
            entry = (begin_ns + at * step_ns, line, metadata)
            streams.setdefault(chance.choice(names), []).append(entry)
            size += len(line)
        push(server, "whole", streams)
    return size


def command(pair: tuple[Running, Running], tenant: str, state: Path, *more: str) -> list[str]:
    """`narfi import loki` of everything."""
    source, target = pair
    return [
        *(sys.executable, "-m", "narfi.cli", "import", "loki", "--from", source.url),
        *("--to", target.url, "--tenant", tenant, "--since", "45d", "--until", "1d"),
        *("--state", str(state), *SMALL, *more),
    ]


def noted(state: Path) -> int:
    """Entries that the state of an import that does not run tells as imported."""
    if not state.exists():
        return 0
    with closing(sqlite3.connect(state)) as found:
        has_begun = found.execute("SELECT name FROM sqlite_master WHERE name = 'tally'").fetchone()
        if has_begun is None:
            return 0
        return int(found.execute("SELECT coalesce(sum(entries), 0) FROM tally").fetchone()[0])


def kill_midway(arguments: list[str], state: Path) -> None:
    """Start it and kill it a moment later; again, and later, until it noted something before."""
    before, seconds = noted(state), 0.8
    while noted(state) == before:
        running = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        threading.Event().wait(seconds)
        assert running.poll() is None, "it ended before it was killed"
        running.send_signal(signal.SIGKILL)
        running.wait()
        seconds *= 1.4


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Running]]:
    """The source and the target."""
    folder = tmp_path_factory.mktemp("servers")
    config = folder / "narfi.yaml"
    config.write_text(CONFIG)
    with (
        serving(folder / "a", config, folder / "a.log") as source,
        serving(folder / "b", config, folder / "b.log") as target,
    ):
        yield source, target


def test_killed_twice_and_whole(tmp_path: Path, pair: tuple[Running, Running]) -> None:
    source, _ = pair
    state = tmp_path / "state"
    begin_ns = time.time_ns() - 42 * DAY_NS
    size = fill(source, begin_ns)
    rated = command(pair, "whole", state, "--rate", str(RATE_BYTES))
    slow = command(pair, "whole", state, "--rate", str(RATE_BYTES // SLOWER))
    for _ in range(2):
        kill_midway(slow, state)
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(rated, capture_output=True, text=True, check=False)
    spent_s = time.monotonic() - began
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    told = re.fullmatch(
        r"imported ([\d,]+) entries, ([\d,]+) bytes of lines, "
        r"([\d,]+) of them in earlier runs\n",
        done.stdout,
    )
    assert told is not None, done.stdout
    entries, line_bytes, earlier = (int(one.replace(",", "")) for one in told.groups())
    assert (entries, line_bytes) == (ENTRIES, size)
    assert 0 < earlier < ENTRIES
    rest_bytes = size * (ENTRIES - earlier) / ENTRIES
    assert rest_bytes <= RATE_BYTES * (spent_s + 1) + 100_000, "faster than was promised"
    if ENTRIES > 100_000:  # a process of its own, not a fork: its CPU is told
        cpu_s = cpu.ru_utime + cpu.ru_stime - used.ru_utime - used.ru_stime
        print(
            f"\n{ENTRIES - earlier} entries, {rest_bytes / 1e6:.1f} MB of lines in {cpu_s:.1f} s "
            f"of CPU, the start included: {rest_bytes / 1e6 / cpu_s:.1f} MB a CPU-second; "
            f"{rest_bytes / 1e6 / spent_s:.2f} MB/s of {RATE_BYTES / 1e6} allowed"
        )
    compared = subprocess.run([*rated, "--verify"], capture_output=True, text=True, check=False)
    assert compared.returncode == 0, compared.stdout
    assert f"{ENTRIES:,} entries, {size:,} bytes: 0 differences" in compared.stdout
    again = subprocess.run(
        command(pair, "whole", tmp_path / "another"), capture_output=True, check=False
    )
    assert again.returncode == 0
    compared = subprocess.run([*rated, "--verify"], capture_output=True, text=True, check=False)
    assert compared.returncode == 0, "a second import of all changes nothing"


def test_a_folder_of_containers_killed_and_whole(
    tmp_path: Path, pair: tuple[Running, Running]
) -> None:
    """Rotated and compressed files, parts of lines, equal lines: as many as there are."""
    target, state = pair[1], tmp_path / "state"
    folder = tmp_path / "pods" / "shop_api-0_uid" / "web"
    folder.mkdir(parents=True)
    begin = datetime.fromtimestamp(time.time() - 20 * 86_400, UTC)
    lines: list[bytes] = []
    for k in range(12_000):
        at = (begin + timedelta(seconds=k // 9)).strftime("%Y-%m-%dT%H:%M:%S")
        text = f"line {k} of some text" if k % 9 else "the same"
        flag = "P" if k % 100 == 50 else "F"
        lines.append(f"{at}.{k % 9 // 4:09d}Z stdout {flag} {text}\n".encode())
    packed = gzip.compress(b"".join(lines[:5000]))
    (folder / "0.log.20260101-000000.gz").write_bytes(packed)
    (folder / "0.log").write_bytes(b"".join(lines[5000:]))
    arguments = [
        *(sys.executable, "-m", "narfi.cli", "import", "cri", str(tmp_path / "pods")),
        *("--to", target.url, "--to-tenant", "pods", "--state", str(state)),
    ]
    kill_midway([*arguments, "--rate", "10000"], state)
    rated = [*arguments, "--rate", "60000"]
    done = subprocess.run([*rated, "--verify"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    whole = len(lines) - sum(b" P " in line for line in lines)
    assert done.stdout.startswith(f"imported {whole:,} entries, ")
    assert " of them in earlier runs" in done.stdout
    assert f"{whole:,} entries" in done.stdout.splitlines()[-1]
    assert done.stdout.endswith(": 0 differences\n")


def test_a_lost_entry_is_found(tmp_path: Path, pair: tuple[Running, Running]) -> None:
    """What is in the source alone, and what the target alone has, is told and is status 3."""
    source, target = pair
    state = tmp_path / "state"
    at_ns = time.time_ns() - 3 * DAY_NS
    push(source, "lost", {'{app="a"}': [(at_ns, b"one", ())]})
    done = subprocess.run(command(pair, "lost", state), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    push(source, "lost", {'{app="a"}': [(at_ns + 1, b"late", ())]})
    push(target, "lost", {'{app="a"}': [(at_ns + 2, b"own", ())]})
    found = subprocess.run(
        [*command(pair, "lost", state), "--verify"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 3
    source_line, target_line, total = found.stdout.splitlines()[-3:]
    assert source_line.startswith('source: {app="a", service_name="a"} [')
    assert source_line.endswith("2 entries, 7 bytes; imported 1 entries, 3 bytes")
    assert target_line.startswith("target: ")
    assert target_line.endswith("2 entries, 6 bytes; imported 1 entries, 3 bytes")
    assert total.endswith("1 entries, 3 bytes: 2 differences")
    interrupted = subprocess.Popen(
        command(pair, "lost", tmp_path / "other", "--queries", "0.5"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )
    while not (tmp_path / "other").exists():
        threading.Event().wait(0.02)
    threading.Event().wait(1)
    interrupted.send_signal(signal.SIGINT)
    _, told = interrupted.communicate(timeout=30)
    assert interrupted.returncode == 130
    assert "interrupted; the same command goes on" in told


def test_what_stands_against_it_is_told_before(
    tmp_path: Path, pair: tuple[Running, Running]
) -> None:
    """A wrong tenant, an address that is none of a server, a target whose limits say no."""
    source, target = pair
    at_ns = time.time_ns() - 3 * DAY_NS
    push(source, "told", {'{app="a"}': [(at_ns, b"one", ())]})
    ended = subprocess.run(
        command(pair, "nobody", tmp_path / "a"), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "tenant 'nobody': is it the right tenant and time?" in ended.stderr
    wrong = replace(target, url=f"{target.url}/wrong")
    ended = subprocess.run(
        command((source, wrong), "told", tmp_path / "b"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "is this the address of a server that takes pushes?" in ended.stderr
    strict = tmp_path / "strict.yaml"
    strict.write_text("tenancy: header\n")
    with serving(tmp_path / "c", strict, tmp_path / "c.log") as refusing:
        arguments = command((source, refusing), "told", tmp_path / "d")
        for more in (["--check"], []):
            ended = subprocess.run([*arguments, *more], capture_output=True, text=True, check=False)
            assert ended.returncode == 1
            assert "set limits.reject_old_samples: false" in ended.stderr
        old: list[PushEntry] = [(at_ns - 20 * DAY_NS, b"old", ())]
        push(source, "told", {'{app="a"}': old})
        ended = subprocess.run([*arguments, "--force"], capture_output=True, text=True, check=False)
        assert ended.returncode == 3, ended.stderr
        assert ended.stdout.startswith("imported 1 entries, 3 bytes of lines")
        (refused,) = (tmp_path / "d.refused.jsonl").read_text().splitlines()
        assert json.loads(refused)["line"] == "old"
        assert "timestamp too old" in json.loads(refused)["reason"]


def test_times_of_files_are_looked_at_before(tmp_path: Path, pair: tuple[Running, Running]) -> None:
    """A file that was written just now may hold what is a year old."""
    strict, file = tmp_path / "strict.yaml", tmp_path / "log.gz"
    strict.write_text("tenancy: header\n")
    old = datetime.now(UTC) - timedelta(days=400)
    file.write_bytes(gzip.compress(f"{old.isoformat()} old\n".encode() * 50))
    command_ = [sys.executable, "-m", "narfi.cli", "import", "text", str(file), "--to-tenant"]
    with serving(tmp_path / "c", strict, tmp_path / "c.log") as refusing:
        arguments = [*command_, "t", "--to", refusing.url, "--state", str(tmp_path / "s")]
        for more in (["--check"], []):
            ended = subprocess.run([*arguments, *more], capture_output=True, text=True, check=False)
            assert ended.returncode == 1
            assert "may be 400 days old: set limits.reject_old_samples: false" in ended.stderr
    open_ = [*command_, "t", "--to", pair[1].url, "--state", str(tmp_path / "s")]
    ended = subprocess.run([*open_, "--check"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert "nothing keeps the import from beginning" in ended.stderr
    open_[open_.index("t")] = "no/tenant"
    ended = subprocess.run([*open_, "--check"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "tenant ID 'no/tenant' contains unsupported character '/'" in ended.stderr
    open_[open_.index(pair[1].url)] = "http://127.0.0.1:1"
    ended = subprocess.run([*open_, "--check"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1, "nobody is there"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--rate", "fast"], "--rate 'fast' is no size: write for instance 2MB"),
        (["--push-bytes", "1 potato"], "--push-bytes '1 potato' is no size"),
        (["--location", "Mars/Base"], "--location 'Mars/Base' is no time zone"),
        (["--since", "1d", "--until", "2d"], "--since is not before --until"),
        (["--give-up", "soon"], "--give-up 'soon' is no duration: write for instance 10m"),
    ],
)
def test_flags_that_are_wrong(tmp_path: Path, more: list[str], told: str) -> None:
    (tmp_path / "log").write_text("2024-05-06T07:08:09Z x\n")
    arguments = [sys.executable, "-m", "narfi.cli", "import", "text", str(tmp_path), *more]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.startswith(f"narfi: {told}")) == (1, True)


def test_out_as_otlp_and_in_again(tmp_path: Path, pair: tuple[Running, Running]) -> None:
    """From the source as OTLP to the target: the same entries, under OTLP's labels."""
    source, target = pair
    at_ns = time.time_ns() - 3 * DAY_NS
    entries: list[PushEntry] = [(at_ns + k, b"line %d" % k, (("k", str(k)),)) for k in range(50)]
    push(source, "otlp", {'{service_name="shop"}': entries})
    arguments = [
        *(sys.executable, "-m", "narfi.cli", "export-otlp", "--from", source.url),
        *("--tenant", "otlp", "--since", "9d", "--to", f"{target.url}/otlp/v1/logs"),
    ]
    done = subprocess.run(
        [*arguments, "--state", str(tmp_path / "e")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "exported 50 entries, 340 bytes of lines\n")
    compared = subprocess.run(
        [*command(pair, "otlp", tmp_path / "f"), "--verify"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert compared.stdout.splitlines()[-1].endswith("50 entries, 340 bytes: 0 differences")


def push(server: Running, tenant: str, streams: Mapping[str, list[PushEntry]]) -> None:
    """One push."""
    headers = {"Content-Type": "application/x-protobuf", "X-Scope-OrgID": tenant}
    body = encode_push(streams.items())
    request = urllib.request.Request(f"{server.url}/loki/api/v1/push", body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.status == 204
