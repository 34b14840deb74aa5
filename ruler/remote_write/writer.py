"""How do samples get to a receiver? A thread that sends what waits, tenant by tenant.

A request that fails is tried again with pauses that double, with the same samples first, so that
each series arrives in order; only what the receiver calls wrong is given up. Tenants wait apart:
one that is refused holds up no other.
"""

import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from urllib.parse import quote, unquote

import httpx
import structlog

from narfi.core.clock import Clock
from narfi.core.relabel import relabel
from narfi.core.tenant import TenantId
from narfi.core.threads import SYSTEM_THREADS, Thread, Threads
from ruler import metrics
from ruler.remote_write.request import HEADERS, body_of, series_field
from ruler.remote_write.spool import Frame, Place, Spool, SpoolError
from ruler.remote_write.target import Target
from ruler.series import WrittenSample

log = structlog.get_logger(__name__)

_TOO_MANY = 429
MAX_RETRY_AFTER_S = 600.0
LOOK_S = 1.0
"""The longest sleep: a clock that was put back is noticed."""


@dataclass(slots=True)
class _Waiting:
    """The queue of a tenant."""

    spool: Spool
    due_s: float  # monotonic: not before
    failures: int = field(default=0)  # since the last success


class Writer:
    """Writes to one receiver."""

    def __init__(
        self, target: Target, folder: Path, clock: Clock, threads: Threads = SYSTEM_THREADS
    ) -> None:
        """Samples wait below `folder`."""
        self._target, self._folder, self._clock, self._seam = target, folder, clock, threads
        self._changed = threads.condition()
        self._tenants: dict[TenantId, _Waiting] = {}
        self._stopping = False
        self._thread: Thread | None = None
        self.last_error = ""
        self._http = httpx.Client(
            verify=target.tls if target.tls is not None else True,
            timeout=target.timeout_s,
            trust_env=False,
        )

    @property
    def name(self) -> str:
        """Of the receiver."""
        return self._target.name

    @property
    def url(self) -> str:
        """Of the receiver."""
        return self._target.url

    @property
    def waiting(self) -> int:
        """How many samples wait."""
        with self._changed:
            return sum(one.spool.samples for one in self._tenants.values())

    def start(self) -> None:
        """Begin, with what waited before; or `NoThreadError`."""
        for folder in sorted(self._folder.glob("*")):
            try:
                if folder.is_dir():
                    self._queue_of(TenantId(unquote(folder.name)))
            except SpoolError as error:
                self._told(TenantId(unquote(folder.name)), error.message)
        self._thread = self._seam.start("remote write", self._loop)

    def write(self, tenant: TenantId, samples: Iterable[WrittenSample], ts_ms: int) -> None:
        """Keep samples of one time, to be sent; what cannot be kept is counted and logged."""
        target = self._target
        if target.tenants and tenant not in target.tenants:
            return
        rest = iter(self._relabelled(samples))
        while some := list(islice(rest, target.max_samples)):
            self._keep(tenant, [series_field(sample, ts_ms) for sample in some], ts_ms)

    def _keep(self, tenant: TenantId, fields: Sequence[bytes], ts_ms: int) -> None:
        """What one request can take."""
        target = self._target
        try:
            with self._changed:
                waiting = self._queue_of(tenant)
                if waiting.spool.is_empty and not waiting.failures:
                    waiting.due_s = time.monotonic() + target.deadline_s
                waiting.spool.append(Frame(b"".join(fields), len(fields), ts_ms))
                if waiting.spool.samples >= target.max_samples and not waiting.failures:
                    waiting.due_s = 0.0
                self._show(tenant, waiting)
                self._changed.notify_all()
        except SpoolError as error:
            metrics.WRITE_DROPPED.labels(tenant, target.name).inc(len(fields))
            self._told(tenant, error.message)

    def ask_to_stop(self) -> None:
        """Begin no other request."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Wait for the request under way, as long as it may take."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(self._target.timeout_s)
        self._http.close()

    def _relabelled(self, samples: Iterable[WrittenSample]) -> Iterable[WrittenSample]:
        rules = self._target.relabel
        if not rules:
            yield from samples
            return
        for sample in samples:
            labels = relabel(dict(sample.labels), rules)
            if labels:
                yield WrittenSample(tuple(sorted(labels.items())), sample.value)

    def _queue_of(self, tenant: TenantId) -> _Waiting:
        found = self._tenants.get(tenant)
        if found is None:
            dropped = metrics.WRITE_DROPPED.labels(tenant, self._target.name)
            folder = self._folder / quote(tenant, safe="")
            spool = Spool(folder, self._target.queue_bytes, dropped.inc)
            found = self._tenants[tenant] = _Waiting(spool, 0.0)
        return found

    def _show(self, tenant: TenantId, waiting: _Waiting) -> None:
        metrics.WRITE_PENDING.labels(tenant, self._target.name).set(waiting.spool.samples)

    def _loop(self) -> None:
        while True:
            with self._changed:
                tenant = self._next()
                while tenant is None and not self._stopping:
                    self._changed.wait(self._sleep_s())
                    tenant = self._next()
                if self._stopping or tenant is None:
                    return
                waiting = self._tenants[tenant]
            try:
                self._send(tenant, waiting)
            except Exception as error:  # noqa: BLE001 - told and tried again: the thread goes on
                self._failed(tenant, waiting, repr(error), None)

    def _next(self) -> TenantId | None:
        """Whose turn it is: who waits longest of those that are due."""
        now = time.monotonic()
        due = [(w.due_s, t) for t, w in self._tenants.items() if not w.spool.is_empty]
        due_s, tenant = min(due, default=(0.0, None))
        return tenant if due_s <= now else None

    def _sleep_s(self) -> float:
        due = [w.due_s for w in self._tenants.values() if not w.spool.is_empty]
        return min([LOOK_S, *(max(at - time.monotonic(), 0.001) for at in due)])

    def _send(self, tenant: TenantId, waiting: _Waiting) -> None:
        with self._changed:
            frames, place = waiting.spool.next(self._target.max_samples)
        fresh = self._fresh(tenant, frames)
        if not fresh:
            self._done(tenant, waiting, place)
            return
        count = sum(frame.samples for frame in fresh)
        try:
            answer = self._post(tenant, fresh, waiting.failures)
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            self._failed(tenant, waiting, f"{type(error).__name__}: {error}", None)
            metrics.WRITE_RETRIED.labels(tenant, self._target.name).inc(count)
            return
        if answer.is_success:
            metrics.WRITTEN.labels(tenant, self._target.name).inc(count)
            self.last_error = ""
            self._done(tenant, waiting, place)
            return
        text = f"HTTP status {answer.status_code}: {answer.text[:500]}"
        if self._is_final(answer.status_code):
            metrics.WRITE_FAILED.labels(tenant, self._target.name).inc(count)
            self._told(tenant, f"{count} samples are given up: {text}")
            self._done(tenant, waiting, place)
            return
        metrics.WRITE_RETRIED.labels(tenant, self._target.name).inc(count)
        self._failed(tenant, waiting, text, self._retry_after_s(answer.headers.get("retry-after")))

    def _fresh(self, tenant: TenantId, frames: Sequence[Frame]) -> Sequence[Frame]:
        limit_s = self._target.age_limit_s
        if not limit_s:
            return frames
        oldest_ms = self._clock.now_ns() // 10**6 - int(limit_s * 1000)
        fresh = [frame for frame in frames if frame.newest_ms >= oldest_ms]
        old = sum(frame.samples for frame in frames) - sum(frame.samples for frame in fresh)
        metrics.WRITE_DROPPED.labels(tenant, self._target.name).inc(old)
        return fresh

    def _is_final(self, status: int) -> bool:
        if status == _TOO_MANY:
            return not self._target.retry_429
        return 400 <= status < 500

    def _post(self, tenant: TenantId, frames: Sequence[Frame], attempt: int) -> httpx.Response:
        target = self._target
        headers = {**HEADERS, **target.headers}
        if target.with_tenant:
            headers["X-Scope-OrgID"] = tenant
        if attempt:
            headers["Retry-Attempt"] = str(attempt)
        if target.authorization is not None:
            headers["Authorization"] = target.authorization()
        return self._http.post(
            target.url,
            content=body_of(frame.data for frame in frames),
            headers=headers,
            auth=httpx.USE_CLIENT_DEFAULT if target.auth is None else target.auth(),
            extensions={"sni_hostname": target.server_name} if target.server_name else {},
        )

    def _done(self, tenant: TenantId, waiting: _Waiting, place: Place) -> None:
        """The samples before the place are settled."""
        with self._changed:
            waiting.failures = 0
            waiting.due_s = 0.0
            try:
                waiting.spool.sent(place)
            except SpoolError as error:  # after a restart they are sent again
                self._told(tenant, error.message)
            self._show(tenant, waiting)

    def _failed(
        self, tenant: TenantId, waiting: _Waiting, error: str, after_s: float | None
    ) -> None:
        self._told(tenant, error)
        target = self._target
        pause_s = min(target.min_backoff_s * 2.0 ** min(waiting.failures, 60), target.max_backoff_s)
        with self._changed:
            waiting.failures += 1
            waiting.due_s = time.monotonic() + (pause_s if after_s is None else after_s)

    def _told(self, tenant: TenantId, error: str) -> None:
        if error != self.last_error:
            log.error("series cannot be written", receiver=self.name, tenant=tenant, error=error)
        self.last_error = error

    def _retry_after_s(self, text: str | None) -> float | None:
        """Seconds, or the time until a date; None where it cannot be read."""
        if not text:
            return None
        try:
            found = float(text)
        except ValueError:
            try:
                found = parsedate_to_datetime(text).timestamp() - self._clock.now_ns() / 1e9
            except ValueError:
                return None
        return min(max(found, 0.0), MAX_RETRY_AFTER_S)
