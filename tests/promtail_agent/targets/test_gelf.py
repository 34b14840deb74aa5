"""Do GELF messages arrive whole, chunked, compressed; are bad ones counted and nothing else?"""

import gzip
import json
import logging
import random
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import free_port
from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config
from promtail_agent.targets.gelf import (
    CHUNK_TIMEOUT_S,
    MAX_MESSAGE_BYTES,
    MAX_OPEN_MESSAGES,
    ChunkStore,
    GelfConfig,
    decode_message,
)

MESSAGE = {
    "version": "1.1",
    "host": "web",
    "short_message": "it works",
    "timestamp": 1759996800.123,
    "level": 3,
    "_user": "bob",
}
Send = Callable[[bytes], None]


@pytest.fixture
def agent(server: Any, tmp_path: Path) -> Iterator[tuple[Agent, Send]]:
    """An agent that listens, and how to send to it."""
    port = free_port()
    file = tmp_path / "agent.yaml"
    file.write_text(f"""
clients: [{{url: "{server.url}", batchwait: 20ms}}]
positions: {{filename: {tmp_path}/positions.yaml}}
scrape_configs:
  - job_name: g
    gelf: {{listen_address: "127.0.0.1:{port}", use_incoming_timestamp: true, labels: {{job: g}}}}
    relabel_configs:
      - {{source_labels: [__gelf_message_host], target_label: host}}
      - {{source_labels: [__gelf_message_level], target_label: level}}
""")
    found = Agent(load_agent_config(file))
    found.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        yield found, lambda data: (sender.sendto(data, ("127.0.0.1", port)), None)[1]
    found.stop()


def chunks(data: bytes, size: int, key: bytes = b"12345678") -> list[bytes]:
    """A message in chunks."""
    parts = [data[k : k + size] for k in range(0, len(data), size)]
    return [
        b"\x1e\x0f" + key + struct.pack("BB", number, len(parts)) + part
        for number, part in enumerate(parts)
    ]


def test_plain_gzip_zlib_and_chunks(
    agent: tuple[Agent, Send], server: Any, eventually: Callable[..., None]
) -> None:
    found, send = agent
    data = json.dumps(MESSAGE).encode()
    send(data)
    send(gzip.compress(data))
    send(zlib.compress(data))
    mixed = chunks(gzip.compress(data), 20)
    random.Random(1).shuffle(mixed)
    for chunk in mixed:
        send(chunk)
    eventually(lambda: len(server.entries) == 4)
    for labels, ts_ns, line in server.entries:
        assert labels == '{host="web", job="g", level="error"}'
        assert ts_ns == 1_759_996_800_123_000_000
        assert json.loads(line) == MESSAGE
    eventually(lambda: found.metrics.gelf_entries == 4)
    eventually(lambda: found.metrics.gelf_parsing_errors == 0)


def test_pythons_own_sender(
    agent: tuple[Agent, Send], server: Any, eventually: Callable[..., None]
) -> None:
    """Through the logging module, as a program would."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            level = {logging.WARNING: 4}.get(record.levelno, 6)
            text = {"version": "1.1", "host": "py", "short_message": record.getMessage()}
            agent[1](zlib.compress(json.dumps({**text, "level": level}).encode()))

    logger = logging.Logger("gelf")
    logger.addHandler(Handler())
    logger.warning("attention")
    eventually(lambda: len(server.entries) == 1)
    assert server.entries[0][0] == '{host="py", job="g", level="warning"}'


def test_bad_datagrams_are_counted(
    agent: tuple[Agent, Send], server: Any, eventually: Callable[..., None]
) -> None:
    found, send = agent
    bad = (b"no json", b"[1]", b"\x1f\x8bbroken", b"\x78\x9cbroken", b"\x1e\x0f123", b"{}")
    for data in bad[:5]:
        send(data)
    send(b"\x1e\x0f12345678\x05\x02x")  # the sixth of two
    send(json.dumps(MESSAGE).encode())
    eventually(lambda: len(server.entries) == 1)
    eventually(lambda: found.metrics.gelf_parsing_errors == 6)


def test_a_bomb_ends() -> None:
    bomb = zlib.compress(b'{"short_message":"' + b"x" * (MAX_MESSAGE_BYTES + 100) + b'"}')
    assert len(bomb) < 65536
    with pytest.raises(ValueError, match="more than"):
        decode_message(bomb)


def test_chunks_that_never_become_whole_are_forgotten() -> None:
    store = ChunkStore()
    first, second = chunks(b"a message", 5)
    assert store.add(first, 0.0) is None
    assert store.add(second, CHUNK_TIMEOUT_S + 1) is None
    assert store.add(first, CHUNK_TIMEOUT_S + 2) == b"a message"
    for number in range(MAX_OPEN_MESSAGES + 500):
        store.add(chunks(b"a message", 5, b"%08d" % number)[0], 100.0)
    assert len(store._open) == MAX_OPEN_MESSAGES


def test_an_address_without_a_port_number_is_refused() -> None:
    with pytest.raises(ValueError, match="no port number"):
        GelfConfig.model_validate({"listen_address": "host:gelf"})
