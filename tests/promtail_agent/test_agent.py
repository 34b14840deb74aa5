"""From files to pushes: rotation both ways, restarts, refusals, at least once."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from promtail_agent.agent import Agent, RunOptions
from promtail_agent.config_file import load_agent_config
from promtail_agent.errors import PositionsError
from promtail_agent.run import AgentProcess

Start = Callable[[Path], Agent]
Yaml = Callable[..., Path]
Append = Callable[..., None]
Eventually = Callable[..., None]

PATH_STAGES = r"""
      - cri: {}
      - regex:
          source: filename
          expression: '/pods/(?P<namespace>[^_/]+)_(?P<pod>[^_/]+)_[^/]+/(?P<container>[^/]+)/'
      - labels: {namespace: , pod: , container: }
"""


def test_labels_times_and_lines(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path, eventually: Eventually
) -> None:
    container_log.write_text(
        "2025-10-09T08:00:00.123456789Z stdout F hello\n2025-10-09T10:00:01+02:00 stderr F wörld \n"
    )
    start_agent(agent_yaml(PATH_STAGES))
    eventually(lambda: len(server.entries) == 2)
    common = f'container="api", filename="{container_log}", job="pods", namespace="shop"'
    assert sorted(server.entries) == [
        (f'{{{common}, pod="api-7d4f", stream="stderr"}}', 1_759_996_801_000_000_000, "wörld "),
        (f'{{{common}, pod="api-7d4f", stream="stdout"}}', 1_759_996_800_123_456_789, "hello"),
    ]
    headers = server.headers[0]
    assert headers["Content-Type"] == "application/x-protobuf"
    assert headers["Content-Encoding"] == "snappy"


def test_new_file_and_new_lines_are_found(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    agent = start_agent(agent_yaml())
    append(container_log, "one")
    eventually(lambda: server.lines() == ["one"])
    append(container_log, "two", "three")
    eventually(lambda: server.lines() == ["one", "two", "three"])
    eventually(lambda: agent.metrics.sent_entries["127.0.0.1"] == 3)
    eventually(lambda: agent.metrics.files_active == 1)


def test_equal_lines_without_times_of_their_own_are_all_kept(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path, eventually: Eventually
) -> None:
    """A server takes an entry of the same time and text for one that was sent twice."""
    container_log.write_text("same\n" * 5000)
    start_agent(agent_yaml("[]"))
    eventually(lambda: len(server.entries) == 5000)
    times = [ts_ns for _, ts_ns, _ in server.entries]
    assert len(set(times)) == 5000
    assert times == sorted(times)


def test_unfinished_line_waits_for_its_newline(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    append(container_log, "whole")
    with container_log.open("a") as out:
        out.write("2025-10-09T08:00:00Z stdout F half")
    start_agent(agent_yaml())
    eventually(lambda: server.lines() == ["whole"])
    time.sleep(0.2)
    assert server.lines() == ["whole"]
    with container_log.open("a") as out:
        out.write(" and half\n")
    eventually(lambda: server.lines() == ["whole", "half and half"])


def test_rotation_by_rename(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("promtail_agent.targets.following.SUCCESSOR_AFTER_S", 3.0)
    append(container_log, "a")
    agent = start_agent(agent_yaml())
    eventually(lambda: server.lines() == ["a"])
    rotated = container_log.with_name("0.log.20250101-000000")
    append(container_log, "b")
    container_log.rename(rotated)
    append(rotated, "c")  # the writer has not reopened yet
    append(container_log, "d")
    append(rotated, "late")
    eventually(lambda: len(server.lines()) == 5)
    assert server.lines() == ["a", "b", "c", "late", "d"]
    eventually(lambda: agent.metrics.rotations["renamed"] == 1)


def test_two_rotations_between_two_looks(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    append(container_log, "a")
    start_agent(agent_yaml())
    eventually(lambda: server.lines() == ["a"])
    append(container_log, "b")
    time.sleep(0.02)
    container_log.rename(container_log.with_name("0.log.1"))
    container_log.with_name("0.log.2").write_text("2025-10-09T08:00:00Z stdout F between\n")
    time.sleep(0.02)
    append(container_log, "c")
    eventually(lambda: len(server.lines()) == 4)
    assert server.lines() == ["a", "b", "between", "c"]


def test_copy_truncate_reads_the_rest_from_the_copy(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    append(container_log, *(f"old {i}" for i in range(50)))
    agent = start_agent(agent_yaml())
    eventually(lambda: len(server.lines()) == 50)
    server.down = True  # reading stalls nothing: the copy keeps what is not read yet
    append(container_log, "unread")
    shutil.copyfile(container_log, container_log.with_name("0.log.1"))
    os.truncate(container_log, 0)
    # Longer than before at once: the size alone does not tell.
    append(container_log, *(f"new {i}" for i in range(80)))
    server.down = False
    eventually(lambda: len(server.lines()) == 131)
    expected = [f"old {i}" for i in range(50)] + ["unread"] + [f"new {i}" for i in range(80)]
    assert server.lines() == expected
    eventually(lambda: agent.metrics.rotations["truncated"] == 1)


def test_restart_goes_on_where_it_was(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    file = agent_yaml()
    append(container_log, "a", "b")
    agent = start_agent(file)
    eventually(lambda: server.lines() == ["a", "b"])
    agent.stop()
    saved = yaml.safe_load((tmp_path / "positions.yaml").read_text())
    assert saved["positions"] == {str(container_log): str(container_log.stat().st_size)}
    assert (tmp_path / "positions.yaml").stat().st_mode & 0o777 == 0o600
    append(container_log, "c")
    start_agent(file)
    eventually(lambda: server.lines() == ["a", "b", "c"])


@pytest.mark.parametrize("method", ["rename", "copy"])
def test_rotation_while_the_agent_is_away(
    method: str,
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    file = agent_yaml()
    append(container_log, "a")
    agent = start_agent(file)
    eventually(lambda: server.lines() == ["a"])
    agent.stop()
    append(container_log, "b")
    for number, text in ((1, "c"), (2, "d")):
        rotated = container_log.with_name(f"0.log.{number}")
        if method == "rename":
            container_log.rename(rotated)
        else:
            shutil.copyfile(container_log, rotated)
            os.truncate(container_log, 0)
        time.sleep(0.02)
        append(container_log, text)
    start_agent(file)
    eventually(lambda: len(server.lines()) == 4)
    assert server.lines() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("method", ["rename", "copy"])
@pytest.mark.parametrize("begins_empty", [False, True])
def test_nothing_is_acknowledged_yet_when_files_rotate_and_the_agent_is_killed(
    method: str, begins_empty: bool, server: Any, agent_yaml: Yaml, container_log: Path,
    append: Append, eventually: Eventually, tmp_path: Path,
) -> None:  # fmt: skip
    """The server is away from the first line on: what tells contents apart is saved at once.

    Found by the soak: a copied and cut file was taken for one that had not been begun.
    """
    server.down = True
    file = agent_yaml()
    file.write_text(file.read_text().replace("sync_period: 100ms", "sync_period: 1h", 1))
    if begins_empty:
        container_log.touch()
    else:
        append(container_log, "a", "b")
    process = _spawn(file)
    positions = tmp_path / "positions.yaml"
    eventually(lambda: positions.exists())
    if begins_empty:
        append(container_log, "a", "b")

    def head_is_saved() -> bool:
        known = yaml.safe_load(positions.read_text())["files"].get(str(container_log))
        return known is not None and known["head"] != ""

    eventually(head_is_saved)
    process.kill()
    process.wait()
    for number, text in ((1, "c"), (2, "d")):
        rotated = container_log.with_name(f"0.log.{number}")
        if method == "rename":
            container_log.rename(rotated)
        else:
            shutil.copyfile(container_log, rotated)
            os.truncate(container_log, 0)
        time.sleep(0.02)
        append(container_log, text)
    server.down = False
    process = _spawn(file)
    eventually(lambda: len(server.lines()) == 4)
    process.terminate()
    assert process.wait(90) == 0
    assert server.lines() == ["a", "b", "c", "d"]


@pytest.mark.slow
def test_positions_stay_before_what_is_held_and_what_is_refused(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    file = agent_yaml()
    append(container_log, "first")
    with container_log.open("a") as out:
        out.write("2025-10-09T08:00:00Z stdout P begin\n")
    agent = start_agent(file)
    eventually(lambda: server.lines() == ["first"])
    agent.stop()  # forgets the part in memory
    with container_log.open("a") as out:
        out.write("2025-10-09T08:00:01Z stdout F  end\n")
    agent = start_agent(file)
    eventually(lambda: server.lines() == ["first", "begin end"])
    server.down = True
    append(container_log, "later")
    eventually(lambda: agent.metrics.batch_retries["127.0.0.1", ""] > 2)
    agent.stop()
    server.down = False
    start_agent(file)
    eventually(lambda: server.lines() == ["first", "begin end", "later"])


def test_retries_429_and_5xx_in_order_and_drops_400(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    server.statuses = [500, 429, 503]
    append(container_log, "kept")
    agent = start_agent(agent_yaml())
    eventually(lambda: server.lines() == ["kept"])
    eventually(lambda: agent.metrics.batch_retries["127.0.0.1", ""] == 3)
    server.statuses = [400]
    append(container_log, "refused")
    eventually(lambda: agent.metrics.dropped("ingester_error") == 1)
    append(container_log, "next")
    eventually(lambda: server.lines() == ["kept", "next"])
    eventually(
        lambda: agent.metrics.dropped_bytes["127.0.0.1", "", "ingester_error"] == len("refused")
    )


def test_gives_up_after_max_retries(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    file = agent_yaml()
    file.write_text(
        file.read_text().replace("min_period: 20ms", "min_period: 20ms, max_retries: 2")
    )
    server.statuses = [500, 500]
    append(container_log, "lost")
    agent = start_agent(file)
    eventually(lambda: agent.metrics.dropped("ingester_error") == 1)
    append(container_log, "next")
    eventually(lambda: server.lines() == ["next"])


def test_tenants_and_external_labels(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    stages = "[{cri: {}}, {regex: {expression: '^t=(?P<t>[a-z]+)'}}, {tenant: {source: t}}]"
    client = "tenant_id: main\n    external_labels: {cluster: eu, job: outer}"
    append(container_log, "t=blue 1", "t=red 2", "none 3")
    start_agent(agent_yaml(stages, client=client))
    eventually(lambda: len(server.entries) == 3)
    assert server.tenants == {"blue": 1, "red": 1, "main": 1}
    labels = f'{{cluster="eu", filename="{container_log}", job="pods", stream="stdout"}}'
    assert {entry[0] for entry in server.entries} == {labels}


def test_small_batches_keep_order(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    lines = [f"line {i:04d}" for i in range(500)]
    append(container_log, *lines)
    file = agent_yaml(client="batchsize: 100")
    file.write_text(file.read_text().replace("batchwait: 50ms", "batchwait: 1h"))
    agent = start_agent(file)
    eventually(lambda: len(server.entries) == 495)
    agent.stop()
    assert server.lines() == lines
    assert len(server.headers) == 46  # eleven lines of nine bytes each


def test_line_size_limit(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
) -> None:
    append(container_log, "x" * 2000, "short")
    agent = start_agent(agent_yaml(top="limits_config: {max_line_size: 1kb}"))
    eventually(lambda: server.lines() == ["short"])
    eventually(lambda: agent.metrics.dropped("line_too_long") == 1)


def test_longest_lines_are_read_whole(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path, eventually: Eventually
) -> None:
    text = "y" * 1_500_000
    container_log.write_text(f"2025-10-09T08:00:00Z stdout F {text}\nplain\n")
    start_agent(agent_yaml())
    eventually(lambda: server.lines() == [text, "plain"])


def test_vanished_file_is_closed(
    server: Any,
    agent_yaml: Yaml,
    start_agent: Start,
    container_log: Path,
    append: Append,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("promtail_agent.targets.files.VANISHED_AFTER_S", 0.1)
    append(container_log, "a")
    with container_log.open("a") as out:
        out.write("2025-10-09T08:00:00Z stdout P part of a line\n")
    agent = start_agent(agent_yaml())
    eventually(lambda: server.lines() == ["a"])
    container_log.unlink()
    eventually(lambda: server.lines() == ["a", "part of a line"])
    eventually(lambda: agent.metrics.files_active == 0)
    append(container_log, "b")
    eventually(lambda: server.lines()[2:] == ["b"])


def test_two_clients_both_get_everything(
    server: Any, agent_yaml: Yaml, start_agent: Start, container_log: Path, append: Append,
    eventually: Eventually, tmp_path: Path,
) -> None:  # fmt: skip
    file = agent_yaml()
    second = (
        f"  - {{url: {server.url}, batchwait: 10ms, external_labels: {{copy: two}}}}\npositions:"
    )
    file.write_text(file.read_text().replace("positions:", second, 1))
    append(container_log, "a", "b")
    agent = start_agent(file)
    eventually(lambda: sorted(server.lines()) == ["a", "a", "b", "b"])
    agent.stop()
    saved = yaml.safe_load((tmp_path / "positions.yaml").read_text())
    assert saved["positions"] == {str(container_log): str(container_log.stat().st_size)}


def test_agent_process_ends_when_told(
    server: Any, agent_yaml: Yaml, container_log: Path, append: Append, eventually: Eventually
) -> None:
    append(container_log, "a")
    file = agent_yaml(client="timeout: 30s")
    process = AgentProcess(lambda: load_agent_config(file), RunOptions())
    thread = threading.Thread(target=process.run)
    thread.start()
    eventually(lambda: server.lines() == ["a"])
    process.end()
    thread.join(90)
    assert not thread.is_alive()


def test_positions_folder_must_exist(agent_yaml: Yaml, tmp_path: Path) -> None:
    file = agent_yaml()
    file.write_text(file.read_text().replace("positions.yaml", "absent/positions.yaml"))
    with pytest.raises(PositionsError, match=r"absent/positions\.yaml does not exist"):
        Agent(load_agent_config(file))


_PROGRAM = """
import sys
from promtail_agent.config_file import load_agent_config
from promtail_agent.run import run_agent
run_agent(lambda: load_agent_config(sys.argv[1]))
"""


def _spawn(file: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", _PROGRAM, str(file)])


def test_sigterm_flushes_and_saves(
    server: Any,
    agent_yaml: Yaml,
    container_log: Path,
    append: Append,
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    append(container_log, "a")
    process = _spawn(agent_yaml())
    eventually(lambda: server.lines() == ["a"])
    append(container_log, "b")
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 0
    saved = yaml.safe_load((tmp_path / "positions.yaml").read_text())["positions"]
    text = container_log.read_text()
    done = text[: int(saved[str(container_log)])]
    assert done.count("\n") == len(server.lines())


@pytest.mark.slow
def test_kill_9_loses_nothing(
    server: Any, agent_yaml: Yaml, container_log: Path, append: Append, eventually: Eventually
) -> None:
    """Killed again and again while lines come and files rotate: all are there at least once.

    For as long as it takes to kill it three times while it delivers, whatever the machine's speed.
    """
    file = agent_yaml(client="batchsize: 2000")
    written: list[str] = []
    done = threading.Event()

    killed = threading.Event()

    def write() -> None:
        number = 0
        while number < 2400 or not killed.is_set():
            written.append(f"line {number}")
            append(container_log, written[-1])
            if number % 600 == 599:
                container_log.rename(container_log.with_name(f"0.log.{number:05d}"))
            if number % 10 == 0:
                time.sleep(0.01)
            number += 1
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    kills = 0
    while not done.is_set():
        process = _spawn(file)
        seen = len(server.lines())
        eventually(lambda seen=seen: len(server.lines()) > seen or done.is_set())
        time.sleep(0.15)
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL
        kills += 1
        if kills == 3:
            killed.set()
    writer.join()
    process = _spawn(file)
    eventually(lambda: set(server.lines()) == set(written))
    append(container_log, "after")
    eventually(lambda: "after" in server.lines())  # it runs: its signal handlers are set
    process.terminate()
    assert process.wait(90) == 0


def test_import_is_light() -> None:
    """The agent starts without numba, numpy, pyarrow, storage or protobuf."""
    program = (
        "import sys, promtail_agent.run\n"
        "heavy = {'numba', 'numpy', 'pyarrow', 'storage', 'google.protobuf', 'fastapi', 'lark'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


def test_content_that_came_and_went_unread_is_read_from_its_copy(tmp_path: Path) -> None:
    """Copy-truncate twice while nobody looks: the second copy was never begun."""
    from promtail_agent.entry import LabelSet
    from promtail_agent.metrics import AgentMetrics
    from promtail_agent.targets.reader import FileReader

    path = tmp_path / "0.log"

    def rotate(name: str) -> None:
        shutil.copy2(path, tmp_path / name)
        path.write_bytes(b"")

    path.write_bytes(b"a1\na2\n")
    reader = FileReader(path=str(path), labels=LabelSet({}), start=None, metrics=AgentMetrics())
    read: list[bytes] = []

    def look() -> None:
        while (chunk := reader.read(time.monotonic())) is not None:
            read.extend(chunk.lines)

    look()
    rotate("0.log.1")
    look()  # the file is empty now, and known to be
    path.write_bytes(b"b1\nb2\n")
    rotate("0.log.2")
    path.write_bytes(b"c1\n")
    rotate("0.log.3")
    path.write_bytes(b"d1\n")
    look()
    path.write_bytes(b"d1\nd2\n")
    look()
    assert read == [b"a1", b"a2", b"b1", b"b2", b"c1", b"d1", b"d2"]
    reader.close()
