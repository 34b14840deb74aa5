"""How does a batch get delivered? One thread a client: in order, again and again until it is.

Retried: no connection, a time-out, 429, 5xx. Any other refusal drops the batch, counted, since the
server would refuse it for ever. Invariant: batch n+1 is not sent before n is settled.
Source: reference/agent.md §4.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from promtail_agent.client.batch import Batch
from promtail_agent.client.batch_queue import BatchQueue
from promtail_agent.client.config import ClientConfig
from promtail_agent.client.sealed import TenantBody
from promtail_agent.client.transport import TOO_MANY, Answer, open_transport
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Mark

_log = logging.getLogger(__name__)

_WAKE_S = 0.1
_PARTLY = 400
"""The server answers so, too, where it has stored the entries that it could take."""
_LOST = "its entries are lost"

Deliver = Callable[[Mapping[str, Mark]], None]


class BatchSink(Protocol):
    """Where batches of one client go."""

    failure: BaseException | None

    def start(self) -> None:
        """Begin to deliver."""
        ...

    def put(self, batch: Batch, stop: threading.Event) -> bool:
        """Take a batch over; False when it was not taken because of `stop`."""
        ...

    def finish(self, within_s: float) -> None:
        """Deliver what waits, for so long at most."""
        ...


class Sender:
    """Takes batches of one client; `deliver` is called with the marks of each settled batch."""

    def __init__(
        self,
        *,
        config: ClientConfig,
        metrics: AgentMetrics,
        waiting: BatchQueue,
        deliver: Deliver,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config, self._metrics, self._queue = config, metrics, waiting
        self._deliver, self._jitter = deliver, jitter
        self._finishing, self._abort = threading.Event(), threading.Event()
        self._stuck = threading.Event()
        self._refusing = False
        self._interrupted = False  # a batch was in hand when the agent had to stop
        self.failure: BaseException | None = None
        self._transport = open_transport(config)
        self._host = self._transport.host
        self._thread = threading.Thread(target=self._run, name=f"send-{self._host}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def put(self, batch: Batch, stop: threading.Event) -> bool:
        """Queue a batch, waiting for room; False when `stop` was set before there was any.

        After one was refused all are: marks of a later batch would cover the lost one.
        """
        if not self._refusing:
            self._refusing = not self._queue.put(batch, _Either(stop, self._stuck))
        return not self._refusing

    def finish(self, within_s: float) -> None:
        """Send what waits, for so long at most; what is not delivered by then is not marked."""
        self._finishing.set()
        self._thread.join(within_s)
        self._abort.set()
        self._thread.join(self._config.timeout)
        if self._interrupted or not self._queue.is_empty():
            self._tell_what_waits()
        self._queue.close()
        self._transport.close()

    def _tell_what_waits(self) -> None:
        if self._queue.outlives_process:
            text = "stopped before all was delivered, the spool has the rest client=%s"
        else:
            text = (
                "stopped before all was delivered: lines of files are read again at the next start,"
                " what was received is lost client=%s"
            )
        _log.warning(text, self._host)

    def _run(self) -> None:
        try:
            self._send_until_told()
        except BaseException as error:  # noqa: BLE001  handed to the threads that wait
            _log.exception("sending failed")
            self.failure = error
            self._stuck.set()

    def _send_until_told(self) -> None:
        while not self._abort.is_set():
            batch = self._queue.take(_WAKE_S)
            if batch is None:
                if self._finishing.is_set() and self._queue.is_empty():
                    return
                continue
            if all([self._settle(tenant) for tenant in batch.tenants]):  # noqa: C419  every tenant is sent
                self._queue.done(batch)
                self._deliver(batch.marks)
            else:
                self._interrupted = True

    def _settle(self, tenant: TenantBody) -> bool:
        """Send until delivered or given up; False only when the agent stops before that."""
        if not _fits_header(tenant.tenant):
            answer = Answer(400, f"{tenant.tenant!r} cannot be a tenant id")
            self._give_up(tenant, answer, f"not sent, {_LOST}")
            return True
        metrics, size = self._metrics, len(tenant.body)
        metrics.encoded_bytes[self._host] += size
        wait_s, attempt = self._config.backoff_config.min_period, 0
        while not self._abort.is_set():
            begin_s = time.monotonic()
            answer = self._transport.push(tenant.tenant, tenant.body)
            metrics.request_seconds.observe(
                {"status_code": str(answer.status), "host": self._host},
                time.monotonic() - begin_s,
            )
            if answer.is_good:
                metrics.sent_entries[self._host] += tenant.entries
                metrics.sent_bytes[self._host] += size
                return True
            attempt += 1
            why = self._ends(answer.status, attempt)
            if why:
                self._give_up(tenant, answer, why)
                return True
            metrics.batch_retries[self._host, tenant.tenant] += 1
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

    def _ends(self, status: int, attempt: int) -> str:
        """Why a batch is not sent again; "" where it is."""
        if status == TOO_MANY and self._config.drop_rate_limited_batches:
            return f"dropped as configured when the server limits the rate, {_LOST}"
        if status == _PARTLY:
            return "refused by the server in part or as a whole, not sent again"
        if status not in (0, TOO_MANY) and status < 500:
            return f"refused by the server, not sent again, {_LOST}"
        limit = self._config.backoff_config.max_retries
        return f"not delivered in {attempt} attempts, given up" if 0 < limit <= attempt else ""

    def _give_up(self, tenant: TenantBody, answer: Answer, why: str) -> None:
        reason = "rate_limited" if answer.status == TOO_MANY else "ingester_error"
        self._metrics.drop(self._host, tenant.tenant, reason, tenant.entries, tenant.line_bytes)
        _log.error(
            "final error sending batch, %s entries=%d status=%d error=%s",
            why,
            tenant.entries,
            answer.status,
            answer.text,
        )


def _fits_header(tenant: str) -> bool:
    """Stages make tenants of what lines say: anything else would end the sending, or block it."""
    return tenant.isascii() and tenant.isprintable() and tenant == tenant.strip()


class _Either(threading.Event):
    """Set when one of two is."""

    def __init__(self, one: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._one, self._other = one, other

    def is_set(self) -> bool:
        return self._one.is_set() or self._other.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return self._other.is_set() or self._one.wait(timeout)
