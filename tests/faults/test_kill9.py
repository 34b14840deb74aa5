"""kill -9 at any moment, restart: every acknowledged line is there exactly once.

But for those of which a deletion was acknowledged and not cancelled: they are never seen again.

A few rounds kill real processes of `narfi serve`; many kill servers that `forked.py` forks, which
start ten times cheaper, while upkeep never rests. `make kill9` asks for a thousand.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from benchmarks.server import Running, start, stop
from storage.block.layout import is_commit
from storage.catalog.sql import SqlCatalog
from tests.faults.forked import Nursery
from tests.faults.kill_load import LINES, PUSHERS, Pushed, Pusher, compare, counted, wrong_counts
from tests.faults.kill_rounds import CONFIG, QUIET, Rounds

ROUNDS = int(os.environ.get("NARFI_KILL9_ROUNDS", "8"))
"""Kills of forked servers."""
SEED = int(os.environ.get("NARFI_KILL9_SEED", "7"))
REAL_ROUNDS = 2
EVERY = 50
"""Rounds after which all that were before are counted again."""


def port_of(server: Running) -> int:
    """Its HTTP port."""
    port = urllib.parse.urlsplit(server.url).port
    assert port is not None
    return port


def wait_for_flushes(server: Running, pushers: list[Pusher], blocks: int) -> None:
    """Until each pusher got answers, and a block was made in each round."""
    until = time.monotonic() + 120
    while True:
        objects = (server.data_dir / "objects").rglob("*")
        found = [path for path in objects if is_commit(path.as_posix())]
        if all(pusher.pushed.acknowledged for pusher in pushers) and len(found) >= blocks:
            return
        assert time.monotonic() < until, "no flush took part"
        time.sleep(0.05)


@pytest.mark.slow
def test_real_processes(tmp_path: Path) -> None:
    config = tmp_path / "narfi.yaml"
    config.write_text(CONFIG + QUIET)
    chance = random.Random(7)
    pushed: list[Pushed] = []
    for number in range(REAL_ROUNDS):
        server = start(tmp_path / "data", config, tmp_path / "log")
        pushers = [Pusher(port_of(server), Pushed(number, k)) for k in range(PUSHERS)]
        for pusher in pushers:
            pusher.start()
        wait_for_flushes(server, pushers, number + 1)
        threading.Event().wait(chance.uniform(0.0, 1.0))  # somewhere in the midst of the next ones
        server.process.kill()
        server.process.wait()
        for pusher in pushers:
            pusher.join()
        pushed += [pusher.pushed for pusher in pushers]
    server = start(tmp_path / "data", config, tmp_path / "log")
    try:
        found = compare(port_of(server), pushed)
    finally:
        stop(server)
    assert all(one.acknowledged for one in pushed)
    assert len(pushed) == REAL_ROUNDS * PUSHERS
    assert (found.lost, found.twice, found.strange) == ([], [], [])


@pytest.mark.slow
def test_any_moment_while_upkeep_never_rests(tmp_path: Path) -> None:
    began = time.monotonic()
    with Nursery() as nursery:
        rounds = Rounds(tmp_path, nursery, random.Random(SEED))
        for number in range(ROUNDS):
            rounds.run(number)
            if number % EVERY == EVERY - 1:
                pid, port = rounds.start()
                rounds.ready(pid, port)
                assert wrong_counts(port, rounds.tally.pushed) == []
                rounds.stop(pid)
                print(f"{number + 1} rounds, {time.monotonic() - began:.0f} s", flush=True)
        rounds.last(ROUNDS, lambda: max(rows_by_level(tmp_path / "data"), default=0) > 0)
        rounds.settle()
        pid, port = rounds.start("quiet")
        rounds.ready(pid, port)
        tally = rounds.tally
        found = compare(port, tally.pushed)
        old = sum(counted(port, '{app="kill", kind="old"}').values())
        urllib.request.urlopen(f"http://127.0.0.1:{port}/flush", b"", timeout=120).close()
        rounds.stop(pid)
    print(tally.text())
    deleted = sum(len(one.gone) for one in tally.pushed) * LINES
    print(
        f"found {found.found}, lost {len(found.lost)}, twice {len(found.twice)}; "
        f"deleted {deleted}, back {len(found.back)}"
    )
    print(f"{ROUNDS} rounds, seed {SEED}: {time.monotonic() - began:.0f} s")
    assert (found.lost, found.twice, found.strange, found.back) == ([], [], [], [])
    rows = rows_by_level(tmp_path / "data")
    assert sum(rows.values()) == found.found + old, "entries are stored twice"
    assert max(rows) > 0
    assert problems_of(tmp_path / "data") == []
    assert deleted > 0
    assert tally.answers["cancelled"] > 0
    for step in ("flush", "publish", "replace", "deletes"):
        assert tally.done[step] >= ROUNDS / 4, f"{step} took no part"


def rows_by_level(data: Path) -> dict[int, int]:
    """Of all visible blocks, each row as often as it is stored; above level 0: of merged ones."""
    catalog = SqlCatalog(f"sqlite:///{data / 'catalog.db'}")
    try:
        return {total.level: total.rows for total in catalog.totals()}
    finally:
        catalog.close()


def problems_of(data: Path) -> list[str]:
    """What `narfi verify --deep` finds."""
    command = [sys.executable, "-m", "narfi.cli", "verify", "--deep", "--json"]
    done = subprocess.run([*command, "--data-dir", str(data)], capture_output=True, check=False)
    return [f"{one['kind']}: {one['what']}" for one in json.loads(done.stdout)["problems"]]
