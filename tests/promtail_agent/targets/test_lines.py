"""Where do lines end, and what of them is given on? CRLF, encodings, long ones."""

import os
from pathlib import Path

import pytest

from promtail_agent.entry import LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.reading import entries_of
from promtail_agent.targets import lines as lines_module
from promtail_agent.targets.reader import FileReader


def read(path: Path, codec: str = "") -> list[tuple[int, str]]:
    """Where each line starts, and its text."""
    reader = FileReader(
        path=str(path), labels=LabelSet({}), start=None, metrics=AgentMetrics(), codec=codec
    )
    out: list[tuple[int, str]] = []
    now_s = 0.0
    while now_s < 20:
        chunk = reader.read(now_s)
        now_s += 0.5 if chunk is None else 0.0
        out += [(e.offset, e.line.decode()) for e in entries_of(reader, chunk)] if chunk else []
    reader.close()
    return out


@pytest.mark.parametrize("codec", ["", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_the_return_of_a_crlf_goes_and_no_more(codec: str, tmp_path: Path) -> None:
    """One return before the newline; those within a line, and one more at its end, stay."""
    text = "one\r\ntwo\nin\rside\r\nmore\r\r\n\r\n\nlast\r"
    path = tmp_path / "a.log"
    path.write_bytes(text.encode(codec or "utf-8"))
    width = len("\n".encode(codec)) if codec not in ("", "utf-16", "utf-32") else 0
    width = width or {"utf-16": 2, "utf-32": 4}.get(codec, 1)
    begin = {"utf-16": 2, "utf-32": 4}.get(codec, 0)  # these write a mark first
    expected = ["one", "two", "in\rside", "more\r", "", ""]
    starts = [0, 5, 9, 18, 25, 27]
    found = read(path, codec)
    assert [line for _, line in found] == expected
    assert [start for start, _ in found][1:] == [begin + at * width for at in starts[1:]]
    path.rename(tmp_path / "a.log.1")  # its writer is gone: the end comes as it is


def test_the_end_of_a_rotated_file_keeps_its_return(tmp_path: Path) -> None:
    """Without a newline it is no CRLF."""
    path = tmp_path / "a.log"
    path.write_bytes(b"one\r\n")
    metrics = AgentMetrics()
    reader = FileReader(path=str(path), labels=LabelSet({}), start=None, metrics=metrics)
    chunk = reader.read(0.0)
    assert chunk is not None
    assert chunk.lines == [b"one"]
    start = reader.position_after(chunk)
    reader.close()
    with path.open("ab") as out:
        out.write(b"two\r")
    path.rename(tmp_path / "a.log.1")
    os.utime(tmp_path / "a.log.1", (1, 1))
    reader = FileReader(path=str(path), labels=LabelSet({}), start=start, metrics=metrics)
    chunk = reader.read(0.0)
    assert chunk is not None
    assert chunk.lines == [b"two\r"]
    reader.close()


def test_a_crlf_at_the_cut_of_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 8)
    path = tmp_path / "a.log"
    path.write_bytes(b"sixsix\r\nseven 7\r\neight888\r\nx\r\n")
    expected = [(0, "sixsix"), (8, "seven 7"), (17, "eight888"), (27, "x")]
    assert read(path) == expected
