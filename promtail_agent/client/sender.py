"""How does a batch get delivered? One thread a client: in order, again and again until it is.

Retried: no connection, a time-out, 429, 5xx. Any other refusal drops the batch, counted, since the
server would refuse it for ever. Invariant: batch n+1 is not sent before n is settled.
Source: reference/agent.md §4.
"""

import logging
import queue
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from narfi.core.wire.push_encode import encode_push
from promtail_agent.client.batch import Batch, TenantStreams
from promtail_agent.config import ClientConfig
from promtail_agent.errors import ConfigError
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Mark

_log = logging.getLogger(__name__)

MAX_WAITING_BATCHES = 4
"""Batches that wait for their turn; when all are taken the files wait. Bounds the memory."""
USER_AGENT = "narfi-agent/0.1"
_ERROR_BODY_BYTES = 1024
_WAKE_S = 0.1
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of one attempt; `status` 0 means that no answer came."""

    status: int
    text: str
    retry_after_s: float = 0.0


class Sender:
    """Takes batches of one client; `deliver` is called with the marks of each settled batch."""

    def __init__(
        self,
        config: ClientConfig,
        metrics: AgentMetrics,
        deliver: Callable[[dict[str, Mark]], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._deliver = deliver
        self._jitter = jitter
        self._queue: queue.Queue[Batch | None] = queue.Queue(MAX_WAITING_BATCHES)
        self._abort = threading.Event()
        self._refusing = False
        self.failure: BaseException | None = None
        self._http = http_client(config)
        try:
            self._host = httpx.URL(config.url).host
        except httpx.InvalidURL as error:
            raise ConfigError(f'url "{config.url}" of a client: {error}') from error
        self._thread = threading.Thread(target=self._run, name=f"send-{self._host}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def put(self, batch: Batch, stop: threading.Event) -> bool:
        """Queue a batch, waiting for room; False when `stop` was set before there was any.

        After one was refused all are: marks of a later batch would cover the lost one.
        """
        while not self._refusing:
            try:
                self._queue.put(batch, timeout=_WAKE_S)
            except queue.Full:
                self._refusing = stop.is_set() or self.failure is not None
            else:
                return True
        return False

    def finish(self, within_s: float) -> None:
        """Send what waits, for so long at most; what is not delivered by then is not marked."""
        until_s = time.monotonic() + within_s
        try:
            self._queue.put(None, timeout=within_s)
            self._thread.join(max(0.0, until_s - time.monotonic()))
        except queue.Full:
            pass
        self._abort.set()
        self._thread.join(self._config.timeout)
        self._http.close()

    def _run(self) -> None:
        try:
            self._send_until_told()
        except BaseException as error:  # noqa: BLE001  handed to the threads that wait
            _log.exception("sending failed")
            self.failure = error

    def _send_until_told(self) -> None:
        while not self._abort.is_set():
            batch = self._queue.get()
            if batch is None:
                return
            if all([self._settle(tenant, body) for tenant, body in batch.tenants.items()]):  # noqa: C419  every tenant is sent
                self._deliver(batch.marks)

    def _settle(self, tenant: str, streams: TenantStreams) -> bool:
        """Send until delivered or given up; False only when the agent stops before that."""
        body = encode_push(streams.streams.items())
        self._metrics.encoded_bytes[self._host] += len(body)
        wait_s, attempt = self._config.backoff_config.min_period, 0
        while not self._abort.is_set():
            answer = self._post(tenant, body)
            if 200 <= answer.status < 300:
                self._metrics.sent_entries[self._host] += streams.entries
                self._metrics.sent_bytes[self._host] += len(body)
                return True
            attempt += 1
            if not self._retries(answer.status, attempt):
                self._give_up(streams, answer)
                return True
            self._metrics.batch_retries[self._host] += 1
            pause_s = max(wait_s * (0.5 + self._jitter() / 2), answer.retry_after_s)
            _log.warning(
                "error sending batch, will retry status=%d error=%s in_s=%.2f",
                answer.status,
                answer.text,
                pause_s,
            )
            self._abort.wait(min(pause_s, self._config.backoff_config.max_period))
            wait_s = min(wait_s * 2, self._config.backoff_config.max_period)
        return False

    def _retries(self, status: int, attempt: int) -> bool:
        limit = self._config.backoff_config.max_retries
        if limit and attempt >= limit:
            return False
        if status == _TOO_MANY:
            return not self._config.drop_rate_limited_batches
        return status == 0 or status >= 500

    def _give_up(self, streams: TenantStreams, answer: _Answer) -> None:
        reason = "rate_limited" if answer.status == _TOO_MANY else "ingester_error"
        self._metrics.dropped_entries[reason] += streams.entries
        self._metrics.dropped_bytes[reason] += streams.line_bytes
        _log.error(
            "final error sending batch, entries lost entries=%d status=%d error=%s",
            streams.entries,
            answer.status,
            answer.text,
        )

    def _post(self, tenant: str, body: bytes) -> _Answer:
        headers = {"X-Scope-OrgID": tenant} if tenant else {}
        try:
            response = self._http.post(self._config.url, content=body, headers=headers)
        except (httpx.HTTPError, ssl.SSLError) as error:
            return _Answer(0, f"{type(error).__name__}: {error}")
        if response.is_success:
            return _Answer(response.status_code, "")
        first = response.content[:_ERROR_BODY_BYTES].decode("utf-8", "replace").split("\n", 1)[0]
        text = f"server returned HTTP status {response.status_code}: {first}"
        return _Answer(response.status_code, text, _retry_after_s(response))


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def http_client(config: ClientConfig) -> httpx.Client:
    """A client with the settings' headers, credentials and TLS; raises `ConfigError`."""
    headers = dict(config.headers)
    headers["Content-Type"] = "application/x-protobuf"
    headers["Content-Encoding"] = "snappy"
    headers["User-Agent"] = USER_AGENT
    token = config.bearer_token or _secret(config.bearer_token_file)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    auth = None
    if config.basic_auth is not None:
        password = config.basic_auth.password or _secret(config.basic_auth.password_file)
        auth = httpx.BasicAuth(config.basic_auth.username, password)
    return httpx.Client(
        headers=headers,
        auth=auth,
        timeout=config.timeout,
        verify=_tls_context(config) if config.url.startswith("https://") else False,
        follow_redirects=True,
    )


def _secret(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"file of a client's secret cannot be read: {error}") from error


def _tls_context(config: ClientConfig) -> ssl.SSLContext:
    tls = config.tls_config
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file or None)
    except OSError as error:
        raise ConfigError(f"tls_config cannot be used: {error}") from error
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
