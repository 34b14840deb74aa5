"""Is anything lost, or there twice, when the agent is killed with -9 while files rotate?

Processes that start slowly: a machine at a quarter of its speed needs seconds to load the modules.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Yaml = Callable[..., Path]
Append = Callable[..., None]
Eventually = Callable[..., None]
LONG_S = 120

_SLOW_PROGRAM = """
import sys, time
time.sleep(float(sys.argv[2]))
from promtail_agent.config_file import load_agent_config
from promtail_agent.run import run_agent
run_agent(lambda: load_agent_config(sys.argv[1]))
"""


class Agents:
    """Agent processes, one after the other; killed in the end."""

    def __init__(self, file: Path, delay_s: float = 0.0) -> None:
        self._command = [sys.executable, "-c", _SLOW_PROGRAM, str(file), str(delay_s)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Another life."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            assert self._process.wait() == -signal.SIGKILL
            self._process = None


@contextmanager
def agents_of(file: Path, delay_s: float = 0.0) -> Iterator[Agents]:
    """Agents that are not left running."""
    agents = Agents(file, delay_s)
    try:
        yield agents
    finally:
        agents.kill()


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.0, 1.5])
def test_files_rotate_much_faster_than_the_agent_starts(
    server: Any, agent_yaml: Yaml, container_log: Path, append: Append, eventually: Eventually,
    delay_s: float,
) -> None:  # fmt: skip
    """A file lives for a fifth of a second; the agent is killed as soon as it has sent anything."""
    written: list[str] = []
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            for _ in range(50):
                written.append(f"line {len(written)}")
                append(container_log, written[-1])
                time.sleep(0.004)
            container_log.rename(container_log.with_name(f"0.log.{len(written):06d}"))

    writer = threading.Thread(target=write)
    with agents_of(agent_yaml(client="batchsize: 2000"), delay_s) as agents:
        agents.start()
        writer.start()
        try:
            for _ in range(3):
                seen = len(server.lines())
                eventually(lambda seen=seen: len(server.lines()) > seen, LONG_S)
                agents.kill()
                agents.start()
        finally:
            done.set()
            writer.join()
        eventually(lambda: set(server.lines()) == set(written), LONG_S)


@pytest.mark.slow
def test_nothing_was_saved_before_the_kill(
    server: Any, agent_yaml: Yaml, container_log: Path, append: Append, eventually: Eventually,
    tmp_path: Path,
) -> None:  # fmt: skip
    """The file is noted before a line of it is sent, and found by that however it rotates."""
    file = agent_yaml()
    file.write_text(file.read_text().replace("sync_period: 100ms", "sync_period: 1h", 1))
    append(container_log, "first")
    with agents_of(file) as agents:
        agents.start()
        eventually(lambda: bool(server.headers), LONG_S)
        assert str(container_log) in (tmp_path / "positions.yaml").read_text()
        agents.kill()
        for number in range(5):
            append(container_log, f"unread {number}")
            container_log.rename(container_log.with_name(f"0.log.2026010{number + 1}"))
        append(container_log, "last")
        agents.start()
        expected = {"first", *(f"unread {number}" for number in range(5)), "last"}
        eventually(lambda: set(server.lines()) == expected, LONG_S)
    assert server.lines()[-7:] == ["first", *(f"unread {number}" for number in range(5)), "last"]


@pytest.mark.slow
def test_a_part_without_an_end_survives(
    server: Any, agent_yaml: Yaml, container_log: Path, append: Append, eventually: Eventually,
) -> None:  # fmt: skip
    """Killed while it waits, and again while the server does not take it: then it is sent."""
    append(container_log, "whole")
    part = "2025-10-09T08:00:00Z stdout P part of a line\n"
    with container_log.open("a") as out:
        out.write(part)
    with agents_of(agent_yaml()) as agents:
        agents.start()
        eventually(lambda: "whole" in server.lines(), LONG_S)
        server.down = True
        agents.kill()
        tries = len(server.headers)
        agents.start()
        eventually(lambda: len(server.headers) > tries + 5, LONG_S)
        time.sleep(4)  # the part has waited long enough, and cannot be delivered
        agents.kill()
        server.down = False
        agents.start()
        eventually(lambda: "part of a line" in server.lines(), LONG_S)
        append(container_log, "next")
        eventually(lambda: "next" in server.lines(), LONG_S)
    assert server.lines().count("part of a line") == 1


@pytest.mark.slow
def test_an_end_that_came_while_the_agent_was_dead_is_joined(
    server: Any, agent_yaml: Yaml, container_log: Path, append: Append, eventually: Eventually,
) -> None:  # fmt: skip
    append(container_log, "whole")
    with container_log.open("a") as out:
        out.write("2025-10-09T08:00:00Z stdout P begin\n")
    with agents_of(agent_yaml()) as agents:
        agents.start()
        eventually(lambda: "whole" in server.lines(), LONG_S)
        agents.kill()
        container_log.rename(container_log.with_name("0.log.20260101-000000"))
        with container_log.open("a") as out:
            out.write("2025-10-09T08:00:01Z stdout F  end\n")
        begun = "begin" in server.lines()  # on a very slow machine it had waited long enough
        agents.start()
        end = " end" if begun else "begin end"
        eventually(lambda: end in server.lines(), LONG_S)


@pytest.mark.slow
def test_equal_lines_of_one_second_are_all_there_once(
    server: Any, agent_yaml: Yaml, container_log: Path, eventually: Eventually,
) -> None:  # fmt: skip
    """With `fraction_from_place`: what is sent again has the same time, so a server knows it."""
    stages = """
      - regex: {expression: '^(?P<t>\\S+ \\S+) '}
      - timestamp: {source: t, format: "2006-01-02 15:04:05", fraction_from_place: true}
"""
    line = "2025-10-09 08:00:00 the same line"
    count = 0

    def entries() -> Counter[tuple[str, int, str]]:
        return Counter(server.entries)

    with agents_of(agent_yaml(stages, client="batchsize: 3000")) as agents:
        for turn in range(4):
            with container_log.open("a") as out:
                out.write(f"{line}\n" * 500)
            count += 500
            seen = len(server.entries)
            agents.start()
            eventually(lambda seen=seen: len(server.entries) > seen + 100, LONG_S)
            agents.kill()
            if turn == 1:
                container_log.rename(container_log.with_name("0.log.1"))
            elif turn == 2:
                os.link(container_log, container_log.with_name("0.log.2"))
                container_log.unlink()
        agents.start()
        eventually(lambda: len(entries()) >= count, LONG_S)
        time.sleep(1)
    assert len(entries()) == count
    second_ns = 1_759_996_800 * 10**9
    assert {ts_ns // 10**9 * 10**9 for _, ts_ns, _ in server.entries} == {second_ns}
