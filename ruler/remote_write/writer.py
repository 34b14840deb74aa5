"""How do samples get to a receiver? A thread that sends what waits, tenant by tenant.

A request that fails is tried again with pauses that double, with the same samples first, so that
each series arrives in order; only what the receiver calls wrong is given up. Tenants wait apart:
one that is refused holds up no other.
"""

import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
from narfi.core.threads import SYSTEM_THREADS, Threads
from ruler import metrics
from ruler.courier import STOP_S, Courier
from ruler.posting import Posted, post
from ruler.remote_write.request import HEADERS, body_of, series_field
from ruler.remote_write.spool import Frame, Place, Spool, SpoolError
from ruler.remote_write.target import Target
from ruler.series import WrittenSample

log = structlog.get_logger(__name__)

_TOO_MANY = 429
MAX_RETRY_AFTER_S = 600.0
KEPT_TENANTS = 1000
"""Whose queues are kept in memory while they are empty."""
LOOK_S = 1.0
"""The longest sleep: a clock that was put back is noticed."""


@dataclass(slots=True)
class _Waiting:
    """The queue of a tenant."""

    spool: Spool
    due_s: float  # monotonic: not before
    failures: int = field(default=0)  # since the last success


_Job = tuple[TenantId, _Waiting]


class Writer:
    """Writes to one receiver; what a `Courier` delivers."""

    def __init__(
        self, target: Target, folder: Path, clock: Clock, threads: Threads = SYSTEM_THREADS
    ) -> None:
        """Samples wait below `folder`."""
        self._target, self._folder, self._clock = target, folder, clock
        self._courier: Courier[_Job] = Courier("remote write", threads, self)
        self._changed = self._courier.changed
        self._tenants: dict[TenantId, _Waiting] = {}
        self._bytes = 0  # of all queues
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
        with self._changed:
            self._keep_within()
        self._courier.start()

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
                with self._sized(waiting):
                    waiting.spool.append(Frame(b"".join(fields), len(fields), ts_ms))
                metrics.NEWEST.labels(tenant, target.name).set(ts_ms / 1000)
                self._keep_within()
                if waiting.spool.samples >= target.max_samples and not waiting.failures:
                    waiting.due_s = 0.0
                self._show(tenant, waiting)
                self._changed.notify_all()
        except SpoolError as error:
            metrics.WRITE_DROPPED.labels(tenant, target.name).inc(len(fields))
            self._told(tenant, error.message)

    def ask_to_stop(self) -> None:
        """Begin no other request."""
        self._courier.ask_to_stop()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Wait so long for the request under way."""
        self._courier.stop(timeout_s)
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
            self._bytes += spool.size
        return found

    @contextmanager
    def _sized(self, waiting: _Waiting) -> Iterator[None]:
        """Something is done to a queue: what all of them hold is known afterwards."""
        before = waiting.spool.size
        try:
            yield
        finally:
            self._bytes += waiting.spool.size - before

    def _keep_within(self) -> None:
        """The largest queues lose their oldest samples first; the caller holds the lock."""
        while self._bytes > self._target.total_bytes:
            tenant = max(self._tenants, key=lambda one: self._tenants[one].spool.size)
            waiting = self._tenants[tenant]
            if not waiting.spool.size:
                return
            with self._sized(waiting):
                waiting.spool.drop_oldest()
            self._show(tenant, waiting)

    def _show(self, tenant: TenantId, waiting: _Waiting) -> None:
        metrics.WRITE_PENDING.labels(tenant, self._target.name).set(waiting.spool.samples)

    def take(self) -> _Job | None:
        """Whose turn it is: who waits longest of those that are due."""
        now = time.monotonic()
        due = [(w.due_s, t) for t, w in self._tenants.items() if not w.spool.is_empty]
        due_s, tenant = min(due, default=(0.0, None))
        return None if tenant is None or due_s > now else (tenant, self._tenants[tenant])

    def sleep_s(self) -> float:
        """Until the next one is due; not too long, since a clock may be put back."""
        due = [w.due_s for w in self._tenants.values() if not w.spool.is_empty]
        return min([LOOK_S, *(max(at - time.monotonic(), 0.001) for at in due)])

    def broke(self, job: _Job, error: str) -> None:
        """Tried again later."""
        self._failed(*job, error, None)

    def deliver(self, job: _Job) -> None:
        """Send the oldest samples of a tenant."""
        tenant, waiting = job
        with self._changed:
            if waiting.spool.is_empty:
                return  # they were dropped meanwhile
            frames, place = waiting.spool.next(self._target.max_samples)
        fresh = self._fresh(tenant, frames)
        if not fresh:
            self._done(tenant, waiting, place)
            return
        count = sum(frame.samples for frame in fresh)
        body = body_of(frame.data for frame in fresh)
        labels = tenant, self._target.name
        try:
            answer = self._post(tenant, body, waiting.failures)
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            self._failed(tenant, waiting, f"{type(error).__name__}: {error}", None)
            metrics.WRITE_RETRIED.labels(*labels).inc(count)
            return
        if answer.is_success:
            metrics.WRITTEN.labels(*labels).inc(count)
            metrics.WRITTEN_BYTES.labels(*labels).inc(len(body))
            newest_ms = max(frame.newest_ms for frame in fresh)
            metrics.NEWEST_WRITTEN.labels(*labels).set(newest_ms / 1000)
            self.last_error = ""
            self._done(tenant, waiting, place)
            return
        if self._is_final(answer.status):
            metrics.WRITE_FAILED.labels(*labels).inc(count)
            self._told(tenant, f"{count} samples are given up: {answer.error()}")
            self._done(tenant, waiting, place)
            return
        metrics.WRITE_RETRIED.labels(*labels).inc(count)
        self._failed(tenant, waiting, answer.error(), self._retry_after_s(answer.retry_after))

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

    def _post(self, tenant: TenantId, body: bytes, attempt: int) -> Posted:
        target = self._target
        headers = {**HEADERS, **target.headers}
        if target.with_tenant:
            headers["X-Scope-OrgID"] = tenant
        if attempt:
            headers["Retry-Attempt"] = str(attempt)
        if target.authorization is not None:
            headers["Authorization"] = target.authorization()
        return post(
            self._http,
            target.url,
            target.timeout_s,
            headers,
            content=body,
            auth=httpx.USE_CLIENT_DEFAULT if target.auth is None else target.auth(),
            extensions={"sni_hostname": target.server_name} if target.server_name else {},
        )

    def _done(self, tenant: TenantId, waiting: _Waiting, place: Place) -> None:
        """The samples before the place are settled."""
        with self._changed:
            waiting.failures = 0
            waiting.due_s = 0.0
            try:
                with self._sized(waiting):
                    waiting.spool.sent(place)
            except SpoolError as error:  # after a restart they are sent again
                self._told(tenant, error.message)
            self._show(tenant, waiting)
            if waiting.spool.is_empty and len(self._tenants) > KEPT_TENANTS:
                self._bytes -= waiting.spool.size
                del self._tenants[tenant]  # what is on the disk is read again when it is wanted

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
