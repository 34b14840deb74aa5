"""How is another process asked for its head? One call, and one more when it is slow.

Both calls end at one deadline, whatever the other process does: whoever waits has the journal to
read instead. Messages are those of `storage/head_exchange.py`.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import grpc

from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId
from narfi.core.threads import started_pool
from storage.batch import LogBatch
from storage.catalog.leases import JournalRow
from storage.head_exchange import (
    SERVICE,
    HeadQuestion,
    HeadRun,
    Meant,
    decode_followed,
    decode_run,
    encode_question,
)

DEADLINE_S = 2.0
HEDGE_S = 1.0
"""Then a second call is made: the first one may have met a lost packet or a pause."""
FLUSH_S = 300.0
NOTHING = HeadQuestion(tenant=TenantId(""), matchers=(), start_ns=0, end_ns=0)
AT_ONCE = 32
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),  # of our own ingesters, in pieces
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),  # processes of one cluster
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class NoAnswerError(AppError):
    """A process did not answer for its head."""

    kind = ErrorKind.UNAVAILABLE


class HeadsClient:
    """Calls to all ingesters; thread-safe. Close it.

    `credentials`: how they are trusted over TLS; none: they speak none. `peer_name`: the name in
    their certificates, where it is not their address, as of pods.
    """

    def __init__(
        self,
        deadline_s: float = DEADLINE_S,
        hedge_s: float = HEDGE_S,
        credentials: grpc.ChannelCredentials | None = None,
        peer_name: str = "",
    ) -> None:
        self._deadline_s, self._hedge_s, self._credentials = deadline_s, hedge_s, credentials
        named = [("grpc.ssl_target_name_override", peer_name)] if peer_name else []
        self._options = [*_OPTIONS, *named]
        self._channels: dict[str, grpc.Channel] = {}
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor = started_pool(AT_ONCE, "head call")

    def scan(self, journal: JournalRow, question: HeadQuestion) -> Sequence[HeadRun]:
        """What the ingester holds; raises `NoAnswerError`."""
        message = encode_question(_meant(journal), question)
        call = self._channel(journal.address).unary_stream(f"/{SERVICE}/Scan")
        calls: list[Any] = []

        def one(timeout_s: float) -> list[HeadRun]:
            answer = call(message, timeout=timeout_s)
            calls.append(answer)
            return [decode_run(run) for run in answer]

        return self._first(one, calls)

    def _first(self, one: Callable[[float], list[HeadRun]], calls: list[Any]) -> list[HeadRun]:
        """The answer of the first call that has one; a second one is made when it is slow."""
        pending: set[Future[list[HeadRun]]] = {self._pool.submit(one, self._deadline_s)}
        done, pending = wait(pending, self._hedge_s, FIRST_COMPLETED)
        if not done:
            left = self._deadline_s - self._hedge_s
            pending = {*pending, self._pool.submit(one, left)}
        error: grpc.RpcError | None = None
        try:
            while True:
                for future in done:
                    try:
                        return future.result()
                    except grpc.RpcError as failure:
                        error = failure
                if not pending:
                    raise NoAnswerError(_told(error)) from error
                done, pending = wait(pending, None, FIRST_COMPLETED)
        finally:
            for call in list(calls):
                call.cancel()

    def flush(self, journal: JournalRow) -> None:
        """Return when what it acknowledged is in blocks; raises `NoAnswerError`."""
        call = self._channel(journal.address).unary_unary(f"/{SERVICE}/Flush")
        try:
            call(encode_question(_meant(journal), NOTHING), timeout=FLUSH_S)
        except grpc.RpcError as error:
            message = f"the ingester at {journal.address} did not flush: {_told(error)}"
            raise NoAnswerError(message) from error

    def follow(self, journal: JournalRow, tenant: TenantId) -> "FollowedHead":
        """What comes in there for a tenant, from now on."""
        question = HeadQuestion(tenant=tenant, matchers=(), start_ns=0, end_ns=0)
        call = self._channel(journal.address).unary_stream(f"/{SERVICE}/Follow")
        return FollowedHead(call(encode_question(_meant(journal), question)))

    def _channel(self, address: str) -> grpc.Channel:
        with self._lock:
            channel = self._channels.get(address)
            if channel is None:
                channel = self._opened(address)
                self._channels[address] = channel
            return channel

    def _opened(self, address: str) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(address, options=_OPTIONS)
        return grpc.secure_channel(address, self._credentials, options=self._options)

    def close(self) -> None:
        """End all calls."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)


class FollowedHead:
    """A call that brings batches until it is cancelled."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __iter__(self) -> Iterator[LogBatch | None]:
        """Batches; None: the ingester is there. Raises `NoAnswerError` at the end."""
        try:
            for message in self._call:
                yield decode_followed(message)
        except grpc.RpcError as error:
            raise NoAnswerError(_told(error)) from error

    def cancel(self) -> None:
        """End it."""
        self._call.cancel()


def _meant(journal: JournalRow) -> Meant:
    return Meant(journal.journal_id, journal.holder)


def _told(error: grpc.RpcError | None) -> str:
    code = getattr(error, "code", lambda: None)()
    details = getattr(error, "details", lambda: "")()
    return f"{getattr(code, 'name', error)} {details}".strip()
