"""`webhook`: who tells of events by HTTP? Kubernetes' audit, GitHub, Alertmanager, CloudEvents.

A delivery is taken whole or refused: 401 for one that is not signed or has not the token, 400 for a
body that is none of its kind. The answer comes when its entries are queued, so a full queue makes
senders wait.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from pydantic import Field

from narfi.core.relabel import RelabelRule
from promtail_agent.config_base import Labels, Section
from promtail_agent.durations import ByteSize
from promtail_agent.errors import ConfigError
from promtail_agent.http_settings import secret
from promtail_agent.server_config import PushServerConfig
from promtail_agent.targets.http_source import HttpSource
from promtail_agent.targets.received import entry_of, public_labels
from promtail_agent.targets.webhook_bodies import (
    Delivered,
    Headers,
    alertmanager_alerts,
    audit_records,
    cloud_events,
    github_event,
)

_log = logging.getLogger(__name__)

KINDS: Mapping[str, Callable[[bytes, Headers], list[Delivered]]] = {
    "/audit": audit_records,
    "/github": github_event,
    "/alertmanager": alertmanager_alerts,
    "/cloudevents": cloud_events,
}
"""By path."""
_SIGNED = "/github"
_SIGNATURE = "x-hub-signature-256"


class WebhookConfig(Section):
    """The `webhook` section of a job."""

    server: PushServerConfig = PushServerConfig()
    labels: Labels = Field(default_factory=dict)
    """Of all entries; they go before those that a kind of delivery has of itself."""
    github_secret: str = ""
    github_secret_file: str = ""
    """With one of both, deliveries to `/github` must be signed by it; without, none is taken."""
    token: str = ""
    token_file: str = ""
    """With one of both, all other deliveries must have it as bearer token."""
    max_body_size: ByteSize = 32 << 20


class WebhookSource(HttpSource):
    """An HTTP server that takes deliveries."""

    def __init__(self, config: WebhookConfig, rules: Sequence[RelabelRule]) -> None:
        super().__init__(config.server, _Handler, _log)
        self._config, self._rules = config, tuple(rules)

    @property
    def max_bytes(self) -> int:
        """The largest body."""
        return self._config.max_body_size

    def receive(self, path: str, headers: Headers, body: bytes) -> int:
        """Queue what a delivery holds; the status of the answer."""
        try:
            if not self._is_allowed(path, headers, body):
                told = "delivery refused, not signed or without the token path=%s"
                self._refused.warning(told, path)
                return 401
            found = KINDS[path](body, headers)
        except ConfigError as error:
            self._refused.warning("delivery refused path=%s error=%s", path, error)
            return 500
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._refused.warning("delivery refused, answered 400 path=%s error=%s", path, error)
            return 400
        return 204 if self._queued(path, found) else 503

    def _queued(self, path: str, delivered: Sequence[Delivered]) -> bool:
        """Whether all could be taken; False while the agent stops."""
        kind = {"__webhook_kind": path[1:]}
        for one in delivered:
            labels = public_labels({**one.labels, **kind, **self._config.labels}, self._rules)
            if labels is None:
                continue
            ts_ns = time.time_ns() if one.ts_ns is None else one.ts_ns
            if not self._queue.put(entry_of(labels, ts_ns, one.line)):
                return False
        return True

    def _is_allowed(self, path: str, headers: Headers, body: bytes) -> bool:
        config = self._config
        if path == _SIGNED:
            key = config.github_secret or secret(config.github_secret_file)
            wanted = "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
            return bool(key) and _same(headers.get(_SIGNATURE, ""), wanted)
        token = config.token or secret(config.token_file)
        return not token or _same(headers.get("authorization", ""), f"Bearer {token}")


def _same(given: str, wanted: str) -> bool:
    """Without telling by time how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


class _Handler(BaseHTTPRequestHandler):
    source: ClassVar[WebhookSource]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200 if self._path() == "/ready" else 404)

    def do_POST(self) -> None:
        path, length = self._path(), self.headers.get("Content-Length") or ""
        if path not in KINDS:
            self.close_connection = True
            self._answer(404)
        elif not length.isdecimal():
            self.close_connection = True
            self._answer(411)
        elif int(length) > self.source.max_bytes:
            self.close_connection = True
            self._answer(413)
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(self.source.receive(path, headers, self.rfile.read(int(length))))

    def _path(self) -> str:
        path, prefix = self.path.split("?")[0], self.source.prefix
        return path.removeprefix(prefix) if path.startswith(prefix) else ""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""
