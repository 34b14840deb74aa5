"""`gelf`: messages of Graylog's format over UDP: whole, chunked, gzip, zlib (agent.md §10)."""

import contextlib
import logging
import socket
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import Field, field_validator

from narfi.core.log import Seldom
from narfi.core.relabel import RelabelRule
from promtail_agent.config_base import Labels, Section
from promtail_agent.metrics import AgentMetrics
from promtail_agent.targets.received import Queued, entry_of, listen_address, public_labels

_log = logging.getLogger(__name__)

DEFAULT_PORT = 12201
MAX_MESSAGE_BYTES = 8 << 20
"""After decompression; a bomb ends here."""
MAX_CHUNKS = 128
MAX_OPEN_MESSAGES = 1024
CHUNK_TIMEOUT_S = 5.0
_CHUNKED, _GZIP, _ZLIB = b"\x1e\x0f", b"\x1f\x8b", 0x78
_LEVELS = (
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "informational",
    "debug",
)
_DEFAULT_LEVEL = 1  # as GELF has it


class GelfConfig(Section):
    """The `gelf` section of a job."""

    listen_address: str = f":{DEFAULT_PORT}"
    use_incoming_timestamp: bool = False
    labels: Labels = Field(default_factory=dict)

    @field_validator("listen_address")
    @classmethod
    def _address(cls, value: str) -> str:
        listen_address(value, DEFAULT_PORT)
        return value


class ChunkStore:
    """Chunks of messages that are not whole yet; old ones are forgotten."""

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[float, dict[int, bytes]]] = {}

    def add(self, datagram: bytes, now_s: float) -> bytes | None:
        """The whole message once its last chunk came; raises `ValueError` for a bad chunk."""
        if len(datagram) < 12:
            raise ValueError("a chunk without its header")
        key, number, count = datagram[2:10], datagram[10], datagram[11]
        if not 0 < count <= MAX_CHUNKS or number >= count:
            raise ValueError(f"chunk {number} of {count}")
        for old in [k for k, (since, _) in self._open.items() if now_s - since > CHUNK_TIMEOUT_S]:
            del self._open[old]
        if key not in self._open and len(self._open) >= MAX_OPEN_MESSAGES:
            del self._open[next(iter(self._open))]
        _, parts = self._open.setdefault(key, (now_s, {}))
        parts[number] = datagram[12:]
        if len(parts) < count:
            return None
        del self._open[key]
        return b"".join(parts[k] for k in sorted(parts))


def decode_message(data: bytes) -> dict[str, Any]:
    """The fields of a message; raises `ValueError`."""
    if data[:2] == _GZIP:
        data = _inflate(data, 31)
    elif data[:1] and data[0] == _ZLIB:
        data = _inflate(data, 15)
    document = orjson.loads(data)
    if not isinstance(document, dict):
        raise ValueError("a message is an object")
    return document


def _inflate(data: bytes, window_bits: int) -> bytes:
    try:
        found = zlib.decompressobj(window_bits).decompress(data, MAX_MESSAGE_BYTES + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(found) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of more than {MAX_MESSAGE_BYTES} bytes")
    return found


class GelfSource(Queued):
    """A UDP listener."""

    def __init__(
        self, config: GelfConfig, rules: Sequence[RelabelRule], metrics: AgentMetrics
    ) -> None:
        super().__init__()
        self._config, self._rules, self._metrics = config, tuple(rules), metrics
        self._socket: socket.socket | None = None
        self._chunks = ChunkStore()
        self._unread = Seldom(_log)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Listen."""
        host, port = listen_address(self._config.listen_address, DEFAULT_PORT)
        found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        found.bind((host, port))
        self._socket = found
        threading.Thread(target=self._run, name="gelf", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._queue.close()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _run(self) -> None:
        assert self._socket is not None
        while True:
            try:
                datagram = self._socket.recv(65536)
            except OSError:
                return
            if not datagram:
                return
            try:
                self._receive(datagram)
            except ValueError as error:
                self._metrics.gelf_parsing_errors += 1
                self._unread.warning("gelf message cannot be read, it is dropped error=%s", error)

    def _receive(self, datagram: bytes) -> None:
        data: bytes | None = datagram
        if datagram[:2] == _CHUNKED:
            data = self._chunks.add(datagram, time.monotonic())
        if data is None:
            return
        message = decode_message(data)
        labels = public_labels({**message_labels(message), **self._config.labels}, self._rules)
        if labels is None:
            return
        ts_ns = time.time_ns()
        stamp = message.get("timestamp")
        if self._config.use_incoming_timestamp and isinstance(stamp, int | float):
            ts_ns = round(stamp * 1000) * 1_000_000  # GELF's seconds have milliseconds
        self._metrics.gelf_entries += 1
        self._queue.put(entry_of(labels, ts_ns, orjson.dumps(message)))


def message_labels(message: Mapping[str, Any]) -> dict[str, str]:
    """Internal labels for relabelling."""
    level = message.get("level", _DEFAULT_LEVEL)
    known = isinstance(level, int) and 0 <= level < len(_LEVELS)
    return {
        "__gelf_message_level": _LEVELS[level] if known else str(level),
        "__gelf_message_host": str(message.get("host", "")),
        "__gelf_message_version": str(message.get("version", "")),
        "__gelf_message_facility": str(message.get("facility", message.get("_facility", ""))),
    }
