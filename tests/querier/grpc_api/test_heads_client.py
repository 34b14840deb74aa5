"""Does a process get what another one's head has of a question, or hear that it does not?"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from ingester.flush import Flusher
from ingester.followers import Followers
from ingester.grpc_api.heads import HeadService, heads_handler
from ingester.head import Heads
from narfi.core.clock import ManualClock
from narfi.core.errors import AppError
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from narfi.core.tls_settings import ServerTlsSettings
from narfi.server.grpc_errors import status_of
from narfi.server.tls import Certificates
from querier.grpc_api.heads_client import HeadsClient, NoAnswerError
from storage.catalog.leases import JournalRow, JournalState
from storage.head_exchange import HeadQuestion, Meant, decode_question, encode_question
from tests.servers.certificates import make_certificates
from tests.storage.batches import Entry, batch_of, entries_of

TENANT = TenantId("t")
ID = "0b1d2f3a-0000-4000-8000-000000000001"
MINE = Meant(ID, "h")
PUSHES: list[list[Entry]] = [
    [("a", 10, b"first", {"k": "v"}), ("b", 11, b"second", {}), ("a", 12, b"\xff\x00", {})],
    [("a", 10, b"first", {"k": "v"}), ("c", 30, b"", {"x": "y"})],
]


def question(op: MatchOp, value: str, start: int, end: int) -> HeadQuestion:
    """Of the label app."""
    return HeadQuestion(
        tenant=TENANT, matchers=(Matcher("app", op, value),), start_ns=start, end_ns=end
    )


@pytest.fixture
def heads() -> Heads:
    """With two pushes."""
    found = Heads(clock=ManualClock(0), part_bytes=1 << 20, watch=lambda *_: None)
    for position, push in enumerate(PUSHES, 1):
        found.take(TENANT, batch_of(push), position)
    return found


class Asleep(HeadService):
    """Answers the first calls late."""

    late = 0
    flushed = 0

    def scan(self, message: bytes) -> Iterator[bytes]:
        """After a while."""
        self.late -= 1
        if self.late >= 0:
            time.sleep(3.0)
        return super().scan(message)

    def flush(self, message: bytes) -> None:
        """Count it."""
        assert decode_question(message)[0] == MINE
        self.flushed += 1
        if self.flushed > 1:
            raise AppError("no")


@contextmanager
def listening(service: HeadService, credentials: Any = None) -> Iterator[str]:
    """The address of a server in a thread."""
    loop = asyncio.new_event_loop()
    address: list[str] = []
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((heads_handler(service, status_of),))
        own = "127.0.0.1:0"
        port = (
            server.add_insecure_port(own)
            if credentials is None
            else server.add_secure_port(own, credentials)
        )
        address.append(f"127.0.0.1:{port}")
        await server.start()
        ready.set()
        await over.wait()
        await server.stop(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    yield address[0]
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


def row(address: str, journal_id: str = ID) -> JournalRow:
    """A live journal."""
    return JournalRow(
        journal_id=journal_id,
        holder="h",
        address=address,
        epoch=1,
        state=JournalState.LIVE,
        forgotten=0,
        expired=False,
    )


class Fenced:
    """May be set."""

    now = False

    def __call__(self) -> bool:
        """Whether the journal was taken over."""
        return self.now


@pytest.fixture
def service(heads: Heads) -> Asleep:
    """What answers."""
    return service_of(heads, Fenced())


def service_of(heads: Heads, fenced: Fenced) -> Asleep:
    """What answers for them."""
    flusher, pool = Flusher.__new__(Flusher), ThreadPoolExecutor(4)
    return Asleep(MINE, heads, flusher, followers=Followers(), is_fenced=fenced, pool=pool)


@pytest.fixture
def asked(service: Asleep) -> Iterator[Callable[[HeadQuestion], list[Entry]]]:
    """Asks over the network."""
    client = HeadsClient()
    with listening(service) as address:

        def ask(wanted: HeadQuestion) -> list[Entry]:
            runs = client.scan(row(address), wanted)
            return sorted((e for run in runs for e in entries_of(run.batch)), key=repr)

        yield ask
        client.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (question(MatchOp.RE, ".+", 0, 100), [*PUSHES[0], PUSHES[1][1]]),
        (question(MatchOp.EQ, "a", 0, 100), [PUSHES[0][0], PUSHES[0][2]]),
        (question(MatchOp.NE, "a", 11, 30), [PUSHES[0][1]]),
        (question(MatchOp.EQ, "a", 11, 12), []),
        (question(MatchOp.EQ, "\udcff", 0, 100), []),
    ],
)
def test_the_rows_of_a_question_come(
    asked: Callable[[HeadQuestion], list[Entry]], wanted: HeadQuestion, found: list[Entry]
) -> None:
    assert asked(wanted) == sorted(found, key=repr)


def test_a_querier_of_an_older_version_names_no_needles() -> None:
    wanted = replace(question(MatchOp.RE, ".+", 0, 100), needles=(b"\xff",))
    sent = orjson.loads(encode_question(MINE, wanted))
    assert decode_question(orjson.dumps(sent)) == (MINE, wanted)
    del sent["needles"]
    assert decode_question(orjson.dumps(sent)) == (MINE, replace(wanted, needles=()))


def test_lines_without_a_needle_stay_there(heads: Heads) -> None:
    more: list[Entry] = [("a", 40 + k, b"needle %d" % k, {}) for k in range(12)]
    heads.take(TENANT, batch_of([*more, ("d", 50, b"hay", {})]), 3)
    client, wanted = HeadsClient(), question(MatchOp.RE, ".+", 0, 100)
    with listening(service_of(heads, Fenced())) as address:

        def found(*needles: bytes) -> list[bytes]:
            runs = client.scan(row(address), replace(wanted, needles=needles))
            return sorted(line for run in runs for _, _, line, _ in entries_of(run.batch))

        assert found(b"needle") == sorted(line for _, _, line, _ in more)
        assert found(b"need", b"le 1") == [b"needle 1", b"needle 10", b"needle 11"]
        assert found(b"needle 10", b"hay") == []
        assert b"hay" in found(b"")
        assert len(found()) == len(found(b"")) > 13
    client.close()


def test_who_wants_streams_alone_gets_their_first_and_last_entries(heads: Heads) -> None:
    more: list[Entry] = [("a", ts, b"x" * 100, {}) for ts in range(40, 60)]
    heads.take(TENANT, batch_of([*more, ("d", 50, b"alone", {})]), 3)
    client, wanted = HeadsClient(), question(MatchOp.RE, "a|d", 41, 100)
    with listening(service_of(heads, Fenced())) as address:
        runs = client.scan(row(address), replace(wanted, streams_only=True))
    found = {(app, ts) for run in runs for app, ts, _, _ in entries_of(run.batch)}
    assert found == {("a", 41), ("a", 59), ("d", 50)}
    client.close()


def test_runs_say_of_which_part_they_are(heads: Heads, service: Asleep) -> None:
    client, wanted = HeadsClient(), question(MatchOp.RE, ".+", 0, 100)
    cuts = {source.cut_id for source in heads.sources(TENANT, 0, 100)}
    with listening(service) as address:
        assert {run.cut_id for run in client.scan(row(address), wanted)} == cuts
        other = HeadQuestion(tenant=TenantId("u"), matchers=(), start_ns=0, end_ns=100)
        assert client.scan(row(address), other) == []
    client.close()


def test_who_has_another_journal_or_is_fenced_says_so(heads: Heads) -> None:
    fenced, wanted = Fenced(), question(MatchOp.RE, ".+", 0, 100)
    client = HeadsClient()
    with listening(service_of(heads, fenced)) as address:
        with pytest.raises(NoAnswerError, match="is not here"):
            client.scan(row(address, "another"), wanted)
        with pytest.raises(NoAnswerError, match="is not here"):
            client.scan(replace(row(address), holder="somebody else"), wanted)
        with pytest.raises(NoAnswerError, match="is not here"):
            client.scan(replace(row(address), holder="é"), wanted)
        fenced.now = True
        with pytest.raises(NoAnswerError, match="is not here"):
            client.scan(row(address), wanted)
    client.close()


def test_a_slow_answer_is_asked_for_once_more_and_then_given_up(service: Asleep) -> None:
    wanted = question(MatchOp.RE, ".+", 0, 100)
    with listening(service) as address:
        client = HeadsClient(deadline_s=2.5, hedge_s=0.2)
        service.late = 1
        assert len(client.scan(row(address), wanted)) > 0, "the second call was answered"
        client.close()
        client = HeadsClient(deadline_s=0.4, hedge_s=0.2)
        service.late = 2
        with pytest.raises(NoAnswerError, match="DEADLINE_EXCEEDED"):
            client.scan(row(address), wanted)
        client.close()


def test_nobody_there(service: Asleep) -> None:
    client = HeadsClient()
    with listening(service) as address:
        pass
    with pytest.raises(NoAnswerError, match="UNAVAILABLE"):
        client.scan(row(address), question(MatchOp.RE, ".+", 0, 100))
    client.close()


def test_flush(service: Asleep) -> None:
    client = HeadsClient()
    with listening(service) as address:
        client.flush(row(address))
        assert service.flushed == 1
        with pytest.raises(NoAnswerError, match="did not flush"):
            client.flush(row(address))
    client.close()


def test_what_comes_in_is_followed_until_the_call_is_cancelled(service: Asleep) -> None:
    client = HeadsClient()
    with listening(service) as address:
        call = client.follow(row(address), TENANT)
        messages = iter(call)
        assert next(messages) is None, "it has joined"
        service.followers.offer(TENANT, batch_of(PUSHES[0]))
        service.followers.offer(TenantId("u"), batch_of(PUSHES[1]))
        found = next(message for message in messages if message is not None)
        assert entries_of(found) == PUSHES[0]
        call.cancel()
        with pytest.raises(NoAnswerError):
            list(messages)
        while service.followers.count():
            time.sleep(0.01)
        with pytest.raises(NoAnswerError, match="is not here"):
            list(client.follow(row(address, "another"), TENANT))
    client.close()


def test_processes_speak_tls_to_each_other(service: Asleep, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    files, others = make_certificates(tmp_path), make_certificates(tmp_path / "other")

    def of(trusted: Path) -> Certificates:
        return Certificates(
            ServerTlsSettings(
                cert_file=files.cert,
                key_file=files.key,
                client_ca_file=files.authority,
                peer_ca_file=trusted,
            )
        )

    def mine() -> Any:
        return of(files.authority).peer_credentials()

    wanted = question(MatchOp.RE, ".+", 0, 100)
    with listening(service, of(files.authority).grpc_credentials()) as address:
        for client, is_answered in (
            (HeadsClient(20.0, 10.0, credentials=mine()), True),
            (HeadsClient(credentials=of(others.authority).peer_credentials()), False),
            (HeadsClient(20.0, 10.0, credentials=mine(), peer_name="localhost"), True),
            (HeadsClient(credentials=mine(), peer_name="elsewhere"), False),
            (HeadsClient(), False),
        ):
            try:
                assert (len(client.scan(row(address), wanted)) > 0) is is_answered
            except NoAnswerError:
                assert not is_answered
            client.close()
