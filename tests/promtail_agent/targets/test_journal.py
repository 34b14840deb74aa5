"""Is systemd's journal read by the real journalctl, from a real journal, and by a recorded stream?

The journal is made by systemd-journal-remote (Debian: systemd-journal-remote).
"""

import io
import json
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config
from promtail_agent.errors import ListenError
from promtail_agent.metrics import AgentMetrics
from promtail_agent.targets.journal import JournalConfig, JournalSource, journal_labels
from promtail_agent.targets.journal_export import MAX_FIELD_BYTES, read_entries

REMOTE = Path(shutil.which("systemd-journal-remote") or "/lib/systemd/systemd-journal-remote")
REAL = pytest.mark.skipif(
    shutil.which("journalctl") is None or not REMOTE.exists(),
    reason="journalctl or systemd-journal-remote is missing (make programs unpacks the latter)",
)
BOOT = "0123456789abcdef0123456789abcdef"
NOW_US = int(time.time()) * 10**6
Start = Callable[..., Agent]


def export(number: int, ts_us: int, **fields: str | bytes) -> bytes:
    """An entry in journal export format."""
    cursor = f"s={BOOT};i={number:x};b={BOOT};m={number:x};t={ts_us:x};x={number:x}"
    lines = [f"__CURSOR={cursor}", f"__REALTIME_TIMESTAMP={ts_us}"]
    lines += [f"__MONOTONIC_TIMESTAMP={number}", f"_BOOT_ID={BOOT}"]
    out = "".join(f"{line}\n" for line in lines).encode()
    for name, value in fields.items():
        if isinstance(value, str) and "\n" in value:
            value = value.encode()
        if isinstance(value, str):
            out += f"{name}={value}\n".encode()
        else:
            out += name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return out + b"\n"


class Journal:
    """A folder of journal files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._files = folder, 0
        folder.mkdir()

    def add(self, *entries: bytes) -> None:
        """One more file with these entries."""
        self._files += 1
        target = self.folder / f"part{self._files}.journal"
        source = self.folder.with_name("in.export")
        source.write_bytes(b"".join(entries))
        subprocess.run([REMOTE, "-o", target, source], check=True, capture_output=True)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An empty one."""
    return Journal(tmp_path / "journal")


@pytest.fixture
def start(server: Any, tmp_path: Path) -> Iterator[Start]:
    """Starts agents that read it."""
    running: list[Agent] = []

    def begin(**settings: object) -> Agent:
        file = tmp_path / "agent.yaml"
        section = {"path": str(tmp_path / "journal"), "labels": {"job": "journal"}, **settings}
        file.write_text(f"""
clients: [{{url: "{server.url}", batchwait: 20ms}}]
positions: {{filename: {tmp_path}/positions.yaml}}
scrape_configs:
  - job_name: j
    journal: {json.dumps(section)}
    relabel_configs:
      - {{source_labels: [__journal__systemd_unit], target_label: unit}}
      - {{source_labels: [__journal_priority_keyword], target_label: level}}
""")
        agent = Agent(load_agent_config(file))
        agent.start()
        running.append(agent)
        return agent

    yield begin
    for agent in running:
        agent.stop()


def unit(number: int, text: str, name: str = "ssh.service", age_s: int = 60) -> bytes:
    """An entry of a unit, so many seconds old."""
    ts_us = NOW_US - age_s * 10**6 + number
    return export(number, ts_us, _SYSTEMD_UNIT=name, PRIORITY="4", MESSAGE=text)


@REAL
def test_entries_come_with_their_times_and_labels(
    journal: Journal, start: Start, server: Any, eventually: Callable[..., None]
) -> None:
    journal.add(unit(1, "old", age_s=8 * 3600), unit(2, "one"), unit(3, "two\nlines"))
    agent = start()
    eventually(lambda: len(server.entries) == 2, 20)
    labels = '{job="journal", level="warning", unit="ssh.service"}'
    ts_ns = (NOW_US - 60 * 10**6) * 1000
    assert sorted(server.entries) == [
        (labels, ts_ns + 2000, "one"),
        (labels, ts_ns + 3000, "two\nlines"),
    ]
    eventually(lambda: agent.metrics.journal_lines == 2)
    journal.add(unit(9, "while it follows", age_s=0))
    eventually(lambda: "while it follows" in server.lines(), 20)


@REAL
def test_after_a_restart_reading_goes_on_behind_the_cursor(
    journal: Journal, start: Start, server: Any, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    journal.add(unit(1, "one"), unit(2, "two"))
    agent = start()
    eventually(lambda: server.lines() == ["one", "two"], 20)
    agent.stop()
    saved = yaml.safe_load((tmp_path / "positions.yaml").read_text())["positions"]
    assert ";i=2;" in saved["cursor-j"]
    journal.add(unit(3, "three"))
    start()
    eventually(lambda: "three" in server.lines(), 20)
    assert server.lines() == ["one", "two", "three"]


@REAL
def test_matches_and_json(
    journal: Journal, start: Start, server: Any, eventually: Callable[..., None]
) -> None:
    journal.add(unit(1, "no", name="cron.service"), unit(2, "yes"))
    start(matches="_SYSTEMD_UNIT=ssh.service PRIORITY=4", json=True)
    eventually(lambda: len(server.entries) == 1, 20)
    fields = json.loads(server.lines()[0])
    assert fields["MESSAGE"] == "yes"
    assert fields["_SYSTEMD_UNIT"] == "ssh.service"
    assert not [name for name in fields if name.startswith("__")]


RECORDED = Path(__file__).parent / "journal.export"
JOURNALCTL = """#!/bin/sh
echo "$@" >> "$RECORD"
case "$*" in *--after-cursor=*) exec sleep 600;; esac
cat "$EXPORT"
exit 1
"""


def test_a_recorded_stream_and_a_journalctl_that_ends(
    start: Start, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[..., None],
) -> None:  # fmt: skip
    """The stream is of journalctl 252; the command that prints it here ends, as by a kill."""
    monkeypatch.setattr("promtail_agent.targets.journal.AGAIN_AFTER_S", 0.05)
    folder, record = tmp_path / "bin", tmp_path / "record"
    folder.mkdir()
    (tmp_path / "journal").mkdir()
    (folder / "journalctl").write_text(JOURNALCTL)
    (folder / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("EXPORT", str(RECORDED))
    monkeypatch.setenv("RECORD", str(record))
    agent = start(max_age="876000h")
    eventually(lambda: len(server.entries) == 3)
    assert server.lines() == ["plain", "two\nlines", "bytes \x01 here"]
    eventually(lambda: agent.metrics.journal_parsing_errors == {"no_message": 1})
    eventually(lambda: record.read_text().count("\n") == 2)
    first, second = record.read_text().splitlines()
    assert "--output=export --follow" in first
    assert "--since=@" in first
    assert "--after-cursor=s=" in second
    assert ";i=4;" in second


def test_an_old_cursor_is_not_used() -> None:
    def command(age_s: int) -> str:
        cursor = f"s={BOOT};i=1;b={BOOT};m=1;t={NOW_US - age_s * 10**6:x};x=1"
        config = JournalConfig.model_validate({"max_age": "1h"})
        source = JournalSource(
            config=config, job="j", rules=(), metrics=AgentMetrics(), cursor=cursor
        )
        return " ".join(source.command(NOW_US / 1e6))

    assert "--after-cursor=" in command(1800)
    assert f"--since=@{NOW_US // 10**6 - 3600}" in command(7200)


def test_entries_without_labels_are_counted(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = AgentMetrics()
    source = JournalSource(
        config=JournalConfig.model_validate({}), job="j", rules=(), metrics=metrics, cursor=""
    )
    assert source._take({"MESSAGE": b"x"})
    assert metrics.journal_parsing_errors == {"empty_labels": 1}


def test_labels_of_fields() -> None:
    assert journal_labels({"_SYSTEMD_UNIT": "a", "PRIORITY": "6"}) == {
        "__journal__systemd_unit": "a",
        "__journal_priority": "6",
        "__journal_priority_keyword": "info",
    }
    assert "__journal_priority_keyword" not in journal_labels({"PRIORITY": "9"})


def test_binary_fields_and_what_is_too_large() -> None:
    large = b"x" * (MAX_FIELD_BYTES + 1)
    data = export(1, 5, A=b"line\nline", B=large, C="after") + export(2, 6, D="next")
    first, second = read_entries(io.BytesIO(data))
    assert first["A"] == b"line\nline"
    assert "B" not in first
    assert first["C"] == b"after"
    assert second["D"] == b"next"


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_an_entry_that_is_cut_is_not_given(cut: int) -> None:
    data = export(1, 5, A="x") + export(2, 6, B="y")
    assert len(list(read_entries(io.BytesIO(data[:-cut])))) == 1


def test_a_stream_that_is_none() -> None:
    with pytest.raises(ValueError, match="ends within a field"):
        list(read_entries(io.BytesIO(b"NAME\n\x05\0\0\0\0\0\0\0abc")))
    with pytest.raises(ValueError, match="does not end with a newline"):
        list(read_entries(io.BytesIO(b"NAME\n\x01\0\0\0\0\0\0\0abc")))


def test_without_journalctl_or_its_folder_the_start_fails(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ListenError, match="does not exist"):
        start()
    (tmp_path / "journal").mkdir()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ListenError, match="journalctl is not installed"):
        start()


def test_matches_that_are_none() -> None:
    with pytest.raises(ValueError, match="error parsing journal reader's match"):
        JournalConfig.model_validate({"matches": "ssh.service"})
