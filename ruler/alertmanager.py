"""How do notices get to Alertmanagers? A bounded queue and a thread for each; version 2 of its API.

Of an alert only the newest notice waits, so what is late is never told after what is true now. A
request that fails is tried again with pauses that grow, unless the receiver says that it is wrong;
one Alertmanager that is away holds up no other. Nothing of this is kept over a restart: what fires
is told again then, and so is what has ended lately.
"""

import json
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import structlog

from narfi.core.clock import Clock
from narfi.core.tenant import TenantId
from narfi.core.threads import SYSTEM_THREADS, Threads
from ruler import metrics
from ruler.alerts import Key
from ruler.courier import Courier
from ruler.notices import Notice

log = structlog.get_logger(__name__)

MAX_BATCH = 256
PATH = "/api/v2/alerts"
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0
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
    capacity: int = 10_000


class WaitingNotices:
    """The notices that wait for one Alertmanager; the caller holds its lock."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._notices: OrderedDict[tuple[TenantId, Key], Notice] = OrderedDict()

    def __len__(self) -> int:
        return len(self._notices)

    def offer(self, tenant: TenantId, notices: Iterable[Notice]) -> list[TenantId]:
        """Add; the newest of an alert takes the place of the one before. Whose were dropped."""
        for notice in notices:
            self._notices[tenant, notice.labels] = notice
        dropped = []
        while len(self._notices) > self._capacity:
            (owner, _), _ = self._notices.popitem(last=False)
            dropped.append(owner)
        return dropped

    def take(self) -> "Batch":
        """A batch of the tenant that waits longest, out of the queue."""
        tenant = next(iter(self._notices))[0]
        keys = [key for key in self._notices if key[0] == tenant][:MAX_BATCH]
        return tenant, [self._notices.pop(key) for key in keys]

    def give_back(self, tenant: TenantId, notices: Sequence[Notice]) -> None:
        """A batch that was not told; what is newer stays."""
        for notice in reversed(notices):
            key = (tenant, notice.labels)
            if key not in self._notices:
                self._notices[key] = notice
                self._notices.move_to_end(key, last=False)


Batch = tuple[TenantId, list[Notice]]


class Sender:
    """Tells one Alertmanager; what a `Courier` delivers."""

    def __init__(self, receiver: Receiver, clock: Clock, threads: Threads = SYSTEM_THREADS) -> None:
        self._receiver, self._clock = receiver, clock
        self._courier: Courier[Batch] = Courier("alertmanager", threads, self)
        self._changed = self._courier.changed
        self._waiting = WaitingNotices(receiver.capacity)
        self._pause_s = FIRST_PAUSE_S
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
        for owner in dropped:
            metrics.NOTIFY_DROPPED.labels(owner, self.url).inc()

    def ask_to_stop(self) -> None:
        """Begin no other request."""
        self._courier.ask_to_stop()

    def stop(self) -> None:
        """Wait for the request under way, as long as it may take."""
        self._courier.stop(self._receiver.timeout_s)
        self._http.close()

    def _show(self) -> None:
        metrics.NOTIFY_WAITING.labels(self.url).set(len(self._waiting))

    def take(self) -> Batch | None:
        """The batch that waits longest."""
        return self._waiting.take() if self._waiting else None

    def sleep_s(self) -> None:
        """Until there is something."""

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
            return
        try:
            answer = self._post(tenant, body_of(valid))
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            self._failed(tenant, valid, f"{type(error).__name__}: {error}", again=True)
            return
        if answer.is_success:
            metrics.NOTIFIED.labels(tenant, self.url).inc(len(valid))
            self._pause_s, self.last_error = FIRST_PAUSE_S, ""
            with self._changed:
                self._show()
            return
        wrong = 400 <= answer.status_code < 500 and answer.status_code != _TOO_MANY
        text = f"HTTP status {answer.status_code}: {answer.text[:500]}"
        self._failed(tenant, valid, text, again=not wrong)

    def _post(self, tenant: TenantId, body: bytes) -> httpx.Response:
        receiver = self._receiver
        headers = {"Content-Type": "application/json", "User-Agent": "narfi"}
        headers["X-Scope-OrgID"] = tenant
        if receiver.authorization is not None:
            headers["Authorization"] = receiver.authorization()
        extensions = {"sni_hostname": receiver.server_name} if receiver.server_name else {}
        url = receiver.url.rstrip("/") + PATH
        return self._http.post(url, content=body, headers=headers, extensions=extensions)

    def _failed(
        self, tenant: TenantId, notices: Sequence[Notice], error: str, *, again: bool
    ) -> None:
        metrics.NOTIFY_ERRORS.labels(tenant, self.url).inc(len(notices))
        if error != self.last_error:
            log.error("alerts cannot be told", alertmanager=self.url, error=error)
        self.last_error = error
        if not again:
            metrics.NOTIFY_DROPPED.labels(tenant, self.url).inc(len(notices))
            return
        with self._changed:
            self._waiting.give_back(tenant, notices)
            self._show()
            self._pause()

    def _pause(self) -> None:
        """Longer each time; new notices do not shorten it. The caller holds the lock."""
        until = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LAST_PAUSE_S)
        while not self._courier.is_stopping and (left_s := until - time.monotonic()) > 0:
            self._changed.wait(left_s)


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
