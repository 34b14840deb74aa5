"""Are compressed files read once, from the right line on, and what of them is broken told?"""

import bz2
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from promtail_agent.agent import Agent
from promtail_agent.entry import LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Position
from promtail_agent.targets.compressed import (
    CHUNK_LINES,
    MAX_LINE_BYTES,
    CompressedReader,
    DecompressionConfig,
)

LINES = [f"line {k} ü".encode() for k in range(2500)]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "z": zlib.compress,
}


def read_all(
    path: Path, kind: str, start: int = 0, codec: str = ""
) -> tuple[list[bytes], CompressedReader]:
    """All lines from one on."""
    config = DecompressionConfig.model_validate({"enabled": True, "format": kind})
    place = Position(path=str(path), offset=start) if start else None
    reader = CompressedReader(
        path=str(path),
        labels=LabelSet({}),
        start=place,
        metrics=AgentMetrics(),
        config=config,
        codec=codec,
    )
    found: list[bytes] = []
    while (chunk := reader.read(1e12)) is not None:
        assert len(chunk.lines) <= CHUNK_LINES
        assert chunk.end - chunk.offset == len(chunk.lines)
        found += chunk.lines
    return found, reader


@pytest.mark.parametrize("kind", sorted(PACK))
@pytest.mark.parametrize("start", [0, 1, 999, 2500])
def test_lines_from_a_position_on(tmp_path: Path, kind: str, start: int) -> None:
    path = tmp_path / f"f.{kind}"
    path.write_bytes(PACK[kind](b"\n".join(LINES) + b"\r\n"))
    found, reader = read_all(path, kind, start)
    assert found == LINES[start:]
    position = reader.current_position()
    assert position is not None
    assert position.offset == 2500
    assert not reader.is_turning


def test_the_last_line_needs_no_newline(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(b"a\nb"))
    assert read_all(path, "gz")[0] == [b"a", b"b"]


def test_several_members_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert read_all(path, "gz")[0] == [b"a", b"b"]


@pytest.mark.parametrize("kind", sorted(PACK))
def test_what_is_broken_gives_the_lines_before(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "f"
    data = PACK[kind](b"\n".join(b"%d %s" % (k, b"%x" % hash((k, 1))) for k in range(100_000)))
    path.write_bytes(data[: len(data) * 2 // 3])
    found, _ = read_all(path, kind)
    assert 1000 < len(found) < 100_000
    assert found[0].startswith(b"0 ")
    assert "compressed file cannot be read" in caplog.text
    path.write_bytes(b"not compressed at all")
    assert read_all(path, kind)[0] == []


def test_too_long_a_line_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\nb\n"))
    assert read_all(path, "gz")[0] == [b"a"]


def test_an_encoding_within(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress("grüße\n".encode("latin-1")))
    assert read_all(path, "gz", codec="iso8859-1")[0] == ["grüße".encode()]


def test_a_job_reads_them_once_and_not_again_after_a_restart(
    server: Any, agent_yaml: Callable[..., Path], start_agent: Callable[[Path], Agent],
    container_log: Path, tmp_path: Path, eventually: Callable[..., None],
) -> None:  # fmt: skip
    path = container_log.with_name("0.log.gz")
    path.write_bytes(gzip.compress(b"\n".join(LINES)))
    text = "decompression: {enabled: true, format: gz, initial_delay: 100ms}"
    file = agent_yaml("[]", job=text)
    file.write_text(file.read_text().replace("*.log", "*.log.gz"))
    agent = start_agent(file)
    eventually(lambda: len(server.entries) == 2500)
    assert server.lines() == [line.decode() for line in LINES]
    agent.stop()
    saved = yaml.safe_load((tmp_path / "positions.yaml").read_text())
    assert saved["positions"] == {str(path): "2500"}
    start_agent(file)
    other = path.with_name("1.log.gz")
    other.write_bytes(gzip.compress(b"other\n"))
    eventually(lambda: server.lines()[2500:] == ["other"])
