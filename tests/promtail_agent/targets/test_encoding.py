"""Are files of other encodings read line by line, with the right places, across chunks?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promtail_agent.agent import Agent
from promtail_agent.entry import LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.targets.encoding import check_encoding, encoding_of
from promtail_agent.targets.reader import FileReader

TEXT = "grüße\nἄλφα ਊ\n\nendeĀ\n"  # U+0A0A and U+0100 hold the bytes of a newline in UTF-16


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("utf-16", TEXT),
        ("utf-16le", TEXT),
        ("utf-16be", TEXT),
        ("utf-32", TEXT),
        ("utf-8-sig", TEXT),
        ("windows-1252", "grüße\n€ 5\n\nende\n"),
        ("iso-8859-15", "grüße\n€ 5\n\nende\n"),
        ("shift_jis", "ログ\n日本語ソ\n\n終\n"),
        ("gb18030", "日志\n中文\n\n完\n"),
        ("koi8-r", "журнал\nстрока\n\nконец\n"),
    ],
)
@pytest.mark.parametrize("restart_at", [0, 1, 2])
def test_lines_and_places(tmp_path: Path, name: str, text: str, restart_at: int) -> None:
    file = tmp_path / "f.log"
    file.write_bytes(text.encode(name))
    codec = check_encoding(name)
    reader = FileReader(
        path=str(file), labels=LabelSet({}), start=None, metrics=AgentMetrics(), codec=codec
    )
    chunk = reader.read(0.0)
    assert chunk is not None
    lines = text.split("\n")[:-1]
    assert [line.decode() for line in chunk.lines] == lines
    assert chunk.end == file.stat().st_size
    assert chunk.starts is not None
    # from the place of each line, the rest is read again
    start = reader.position(chunk.generation, chunk.starts[restart_at])
    again = FileReader(
        path=str(file), labels=LabelSet({}), start=start, metrics=AgentMetrics(), codec=codec
    ).read(0.0)
    assert again is not None
    assert [line.decode() for line in again.lines] == lines[restart_at:]
    reader.close()


def test_an_unfinished_line_waits_also_in_the_middle_of_a_character(tmp_path: Path) -> None:
    file = tmp_path / "f.log"
    data = "eins\nzwei\n".encode("utf-16-le")
    file.write_bytes(data[:11])
    reader = FileReader(
        path=str(file),
        labels=LabelSet({}),
        start=None,
        metrics=AgentMetrics(),
        codec=check_encoding("utf-16le"),
    )
    chunk = reader.read(0.0)
    assert chunk is not None
    assert chunk.lines == [b"eins"]
    assert reader.read(0.0) is None
    file.write_bytes(data)
    chunk = reader.read(0.0)
    assert chunk is not None
    assert chunk.lines == [b"zwei"]
    reader.close()


def test_bytes_that_are_no_characters() -> None:
    found = encoding_of("shift_jis", b"")
    assert found.split(b"ok \x81", 0) == (["ok \ufffd".encode()], [0])


def test_a_job_with_an_encoding(
    server: Any, agent_yaml: Callable[..., Path], start_agent: Callable[[Path], Agent],
    container_log: Path, eventually: Callable[..., None],
) -> None:  # fmt: skip
    container_log.write_bytes("größe 1\ngröße 2\n".encode("utf-16"))
    start_agent(agent_yaml("[]", job="encoding: utf-16"))
    eventually(lambda: server.lines() == ["größe 1", "größe 2"])
    with container_log.open("ab") as out:
        out.write("größe 3\n".encode("utf-16-le"))
    eventually(lambda: server.lines()[2:] == ["größe 3"])


@pytest.mark.parametrize("name", ["nope", "base64", "rot13"])
def test_names_that_are_no_encoding(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown encoding {name}"):
        check_encoding(name)
