"""What is pushed to the agent? Loki's push API and raw text, on a listener of the job (§10)."""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from pydantic import Field

from narfi.core.relabel import RelabelRule
from promtail_agent.config_base import Labels, Section
from promtail_agent.durations import ByteSize
from promtail_agent.entry import as_bytes, valid_text
from promtail_agent.server_config import PushServerConfig
from promtail_agent.targets.http_source import HttpSource
from promtail_agent.targets.received import entry_of, public_labels
from promtail_agent.targets.request_body import TooLargeError, read_body

_log = logging.getLogger(__name__)

Metadata = list[tuple[str, str]]
Pushed = tuple[dict[str, str], int, bytes, Metadata]
"""Labels, time in ns, line, structured metadata."""


class PushApiConfig(Section):
    """The `loki_push_api` section of a job."""

    server: PushServerConfig = PushServerConfig()
    labels: Labels = Field(default_factory=dict)
    use_incoming_timestamp: bool = False
    max_send_msg_size: ByteSize = 100 << 20


class PushApiSource(HttpSource):
    """An HTTP server that takes pushes."""

    def __init__(self, config: PushApiConfig, rules: Sequence[RelabelRule]) -> None:
        self._config, self._rules = config, tuple(rules)
        super().__init__(config.server, _Handler, _log)

    def receive(self, path: str, content_type: str, body: bytes) -> int:
        """Queue what a request holds; its status."""
        try:
            if path == "/promtail/api/v1/raw":
                pushed: Iterable[Pushed] = self._raw(body)
            elif content_type.split(";")[0].strip() == "application/json":
                pushed = _json(body)
            else:
                pushed = _protobuf(body)
            for labels, ts_ns, line, metadata in pushed:
                found = public_labels({**labels, **self._config.labels}, self._rules)
                if found is not None:
                    incoming = self._config.use_incoming_timestamp
                    entry = entry_of(found, ts_ns if incoming else time.time_ns(), line)
                    entry.metadata = metadata
                    self._queue.put(entry)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            self._refused.warning("push refused, answered 400 error=%s", error)
            return 400
        return 204

    @property
    def max_bytes(self) -> int:
        """The largest body."""
        return self._config.max_send_msg_size

    def _raw(self, body: bytes) -> Iterator[Pushed]:
        for line in body.split(b"\n"):
            if line:
                yield {}, time.time_ns(), line.rstrip(b"\r"), []


def _json(body: bytes) -> list[Pushed]:
    found: list[Pushed] = []
    for stream in json.loads(body)["streams"]:
        labels = {str(n): str(v) for n, v in stream["stream"].items()}
        for ts, line, *more in stream["values"] or ():
            metadata = [(str(n), valid_text(str(v))) for n, v in more[0].items()] if more else []
            found.append((labels, int(ts), as_bytes(line), metadata))
    return found


def _protobuf(body: bytes) -> list[Pushed]:
    import snappy
    from google.protobuf.message import DecodeError

    from logql.parser import parse_selector
    from narfi.core.errors import AppError
    from narfi.core.wire.gen import push_pb2

    try:
        request = push_pb2.PushRequest.FromString(snappy.decompress(body))
    except (DecodeError, Exception) as error:
        raise ValueError(f"cannot read the body: {error}") from error
    found: list[Pushed] = []
    for stream in request.streams:
        try:
            matchers = parse_selector(stream.labels).matchers
        except AppError as error:
            raise ValueError(error.message) from error
        labels = {m.name: m.value for m in matchers}
        for entry in stream.entries:
            ts_ns = entry.timestamp.seconds * 10**9 + entry.timestamp.nanos
            metadata = [(pair.name, pair.value) for pair in entry.structuredMetadata]
            found.append((labels, ts_ns, entry.line.encode(), metadata))
    return found


class _Handler(BaseHTTPRequestHandler):
    source: ClassVar[PushApiSource]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, b"ready") if self._path() == "/ready" else self._answer(404, b"")

    def do_POST(self) -> None:
        path = self._path()
        if path not in ("/loki/api/v1/push", "/promtail/api/v1/raw"):
            self.close_connection = True  # nobody reads its body
            self._answer(404, b"")
            return
        try:
            body = read_body(self.rfile, self.headers, self.source.max_bytes)
        except ValueError as error:
            self.close_connection = True
            self._answer(413 if isinstance(error, TooLargeError) else 400, f"{error}\n".encode())
            return
        content_type = self.headers.get("Content-Type", "")
        self._answer(self.source.receive(path, content_type, body), b"")

    def _path(self) -> str:
        path, prefix = self.path.split("?")[0], self.source.prefix
        return path.removeprefix(prefix) if path.startswith(prefix) else ""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""
