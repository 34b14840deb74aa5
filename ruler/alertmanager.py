"""How do notices get to Alertmanagers? Bounded queues and a thread for each; version 2 of its API.

Of an alert only the newest notice waits, so what is late is never told after what is true now. A
request that fails is tried again with pauses that grow, unless the receiver says that it is wrong;
one Alertmanager that is away holds up no other, and one tenant that it does not take no other
tenant. Nothing of this is kept over a restart: what fires is told again then, and so is what has
ended lately.
"""

import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import structlog

from narfi.core.clock import Clock
from narfi.core.tenant import TenantId
from narfi.core.threads import SYSTEM_THREADS, Threads
from ruler import metrics
from ruler.courier import STOP_S, Courier
from ruler.notices import Notice
from ruler.posting import Posted, post
from ruler.waiting_notices import Batch, WaitingNotices

log = structlog.get_logger(__name__)

PATH = "/api/v2/alerts"
_TOO_MANY = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """One Alertmanager, and how to speak to it."""

    url: str  # without user and password
    auth: tuple[str, str] | None = None
    authorization: Callable[[], str] | None = None  # a header's value, read at each request
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    timeout_s: float = 10.0
    capacity: int = 10_000  # alerts of a tenant that wait


class Sender:
    """Tells one Alertmanager; what a `Courier` delivers."""

    def __init__(self, receiver: Receiver, clock: Clock, threads: Threads = SYSTEM_THREADS) -> None:
        self._receiver, self._clock = receiver, clock
        self._courier: Courier[Batch] = Courier("alertmanager", threads, self)
        self._changed = self._courier.changed
        self._waiting = WaitingNotices(receiver.capacity)
        self.last_error = ""
        self._http = httpx.Client(
            auth=receiver.auth,
            verify=receiver.tls if receiver.tls is not None else True,
            timeout=receiver.timeout_s,
            trust_env=False,
        )

    @property
    def url(self) -> str:
        """Of the Alertmanager."""
        return self._receiver.url

    @property
    def waiting(self) -> int:
        """How many alerts wait."""
        with self._changed:
            return len(self._waiting)

    def start(self) -> None:
        """Begin, or `NoThreadError`."""
        metrics.NOTIFY_WAITING.labels(self.url).set(0)
        self._courier.start()

    def tell(self, tenant: TenantId, notices: Sequence[Notice]) -> None:
        """Queue notices; never blocks on the network."""
        with self._changed:
            dropped = self._waiting.offer(tenant, notices)
            self._show()
            self._changed.notify_all()
        metrics.NOTIFY_DROPPED.labels(tenant, self.url).inc(dropped)

    def ask_to_stop(self) -> None:
        """Begin no other request."""
        self._courier.ask_to_stop()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Wait so long for the request under way."""
        self._courier.stop(timeout_s)
        self._http.close()

    def _show(self) -> None:
        metrics.NOTIFY_WAITING.labels(self.url).set(len(self._waiting))

    def take(self) -> Batch | None:
        """The next batch."""
        return self._waiting.take()

    def sleep_s(self) -> float | None:
        """Until there is something."""
        return self._waiting.due_in_s()

    def broke(self, job: Batch, error: str) -> None:
        """Tried again later."""
        self._failed(*job, error, again=True)

    def deliver(self, job: Batch) -> None:
        """Tell the notices of a tenant that are still true."""
        tenant, notices = job
        now = self._clock.now_ns()
        valid = [notice for notice in notices if notice.is_over or notice.ends_ns > now]
        if len(valid) < len(notices):
            metrics.NOTIFY_DROPPED.labels(tenant, self.url).inc(len(notices) - len(valid))
        if not valid:
            self._done(tenant)
            return
        try:
            answer = self._post(tenant, body_of(valid))
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            self._failed(tenant, valid, f"{type(error).__name__}: {error}", again=True)
            return
        if answer.is_success:
            metrics.NOTIFIED.labels(tenant, self.url).inc(len(valid))
            self.last_error = ""
            self._done(tenant)
            return
        wrong = 400 <= answer.status < 500 and answer.status != _TOO_MANY
        self._failed(tenant, valid, answer.error(), again=not wrong)

    def _done(self, tenant: TenantId) -> None:
        with self._changed:
            self._waiting.done(tenant)
            self._show()

    def _post(self, tenant: TenantId, body: bytes) -> Posted:
        receiver = self._receiver
        headers = {"Content-Type": "application/json", "User-Agent": "narfi"}
        headers["X-Scope-OrgID"] = tenant
        if receiver.authorization is not None:
            headers["Authorization"] = receiver.authorization()
        extensions = {"sni_hostname": receiver.server_name} if receiver.server_name else {}
        url = receiver.url.rstrip("/") + PATH
        with metrics.NOTIFY_SECONDS.labels(tenant, self.url).time():
            return post(
                self._http, url, receiver.timeout_s, headers, content=body, extensions=extensions
            )

    def _failed(
        self, tenant: TenantId, notices: Sequence[Notice], error: str, *, again: bool
    ) -> None:
        metrics.NOTIFY_ERRORS.labels(tenant, self.url).inc(len(notices))
        if error != self.last_error:
            log.error("alerts cannot be told", alertmanager=self.url, error=error)
        self.last_error = error
        if not again:
            metrics.NOTIFY_DROPPED.labels(tenant, self.url).inc(len(notices))
            self._done(tenant)
            return
        with self._changed:
            self._waiting.give_back(tenant, notices)
            self._show()


def body_of(notices: Sequence[Notice]) -> bytes:
    """The request's body; annotations that are not there are left out."""
    found = []
    for notice in notices:
        alert: dict[str, object] = {
            "endsAt": _time(notice.ends_ns),
            "startsAt": _time(notice.starts_ns),
            "generatorURL": notice.url,
            "labels": dict(notice.labels),
        }
        if notice.annotations:
            alert["annotations"] = dict(notice.annotations)
        found.append(alert)
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")


def _time(ts_ns: int) -> str:
    """UTC with milliseconds."""
    millis = ts_ns // 10**6
    whole = datetime.fromtimestamp(millis // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z"
