"""Is an answer whole while ingesters and queriers of two versions work side by side?

As in an upgrade, pod by pod: over real connections, with what versions say to each other. The one
before knows no needles; the next one may say what this one does not understand, and then journals
are read. Processes of two checkouts: `python -m tests.servers.mixed_versions FOLDER`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import product

import orjson
import pytest

from ingester.flush import Flusher
from ingester.followers import Followers
from ingester.grpc_api.heads import HeadService
from ingester.head import Heads
from narfi.core.clock import ManualClock
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.grpc_api.heads_client import HeadsClient
from querier.reading.other_heads import JournalEntries, OtherFound, OtherHeads
from storage.catalog.leases import JournalRow
from storage.head_exchange import VERSION, HeadQuestion, HeadRun, Meant
from tests.querier.grpc_api.test_heads_client import listening, row
from tests.storage.batches import Entry, batch_of, entries_of

TENANT = TenantId("t")
NEEDLE = b"wanted"
ID = "0b1d2f3a-0000-4000-8000-00000000000"
BEFORE, THIS, NEXT = VERSION - 1, VERSION, VERSION + 1
"""Of a process: the one before spoke version 1 of questions too, without needles."""


def pushed(number: int) -> list[Entry]:
    """What the ingester of that number took: every second line has the needle."""
    return [
        ("a", 10 * k + number, b"%d %s" % (k, NEEDLE if k % 2 else b"other"), {"by": f"{number}"})
        for k in range(20)
    ]


def spoken(message: bytes, version: int) -> bytes:
    """A question as a process of that version would send it."""
    question = orjson.loads(message)
    if version == BEFORE:
        del question["needles"]
    if version == NEXT:
        question |= {"version": NEXT, "what": "nobody knows here"}
    return orjson.dumps(question)


class Ingester(HeadService):
    """Of a version: one before does not look at needles, the next one takes its own alone."""

    version = THIS

    def scan(self, message: bytes) -> Iterator[bytes]:
        """As it understands the question."""
        question = orjson.loads(message)
        if self.version == BEFORE:
            question.pop("needles", None)
        if self.version == NEXT:
            question["version"] = VERSION if question["version"] == NEXT else 0
        return super().scan(orjson.dumps(question))


class Querier:
    """Of a version; it asks ingesters, and reads the journals of those that do not understand."""

    def __init__(self, version: int, rows: Sequence[JournalRow]) -> None:
        self._version, self._client = version, HeadsClient()
        self.read: list[str] = []
        self._others = OtherHeads(
            journals=lambda: rows, ask=self._ask, read=self._journal, is_mine=lambda _: False
        )

    def _ask(self, journal: JournalRow, question: HeadQuestion) -> Sequence[HeadRun]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self._client, "_channel", lambda address: Spoken(self, address))
            return self._client.scan(journal, question)

    def channel(self, address: str, message: bytes) -> tuple[object, bytes]:
        """The real one, and the question in its words."""
        return HeadsClient._channel(self._client, address), spoken(message, self._version)

    def _journal(self, journal_id: str, tenant: TenantId) -> JournalEntries:
        assert tenant == TENANT
        self.read.append(journal_id)
        return JournalEntries([batch_of(pushed(int(journal_id[-1])))])

    def found(self) -> list[Entry]:
        """Lines with the needle, which the query itself looks for once more."""
        matchers = (Matcher("app", MatchOp.EQ, "a"),)
        question = HeadQuestion(
            tenant=TENANT, matchers=matchers, start_ns=0, end_ns=10_000, needles=(NEEDLE,)
        )
        found: OtherFound = self._others.found(question, Budget())
        assert not found.missing
        entries = [e for source in found.sources for e in entries_of(source.batch)]  # type: ignore[attr-defined]
        return sorted((e for e in entries if NEEDLE in e[2]), key=repr)

    def close(self) -> None:
        """End all calls."""
        self._others.close()
        self._client.close()


@dataclass(frozen=True)
class Spoken:
    """A channel on which questions are said as the version of the querier says them."""

    querier: Querier
    address: str

    def unary_stream(self, path: str) -> object:
        """As that of gRPC."""

        def call(message: bytes, timeout: float) -> object:
            channel, words = self.querier.channel(self.address, message)
            return channel.unary_stream(path)(words, timeout=timeout)  # type: ignore[attr-defined]

        return call


@contextmanager
def serving(versions: Sequence[int]) -> Iterator[list[JournalRow]]:
    """An ingester for each, with what it took in its head."""
    with ExitStack() as stack:
        rows = []
        for number, version in enumerate(versions):
            heads = Heads(clock=ManualClock(0), part_bytes=1 << 20, watch=lambda *_: None)
            heads.take(TENANT, batch_of(pushed(number)), 1)
            pool = stack.enter_context(ThreadPoolExecutor(2))
            service = Ingester(
                Meant(f"{ID}{number}", "h"),
                heads,
                Flusher.__new__(Flusher),
                followers=Followers(),
                is_fenced=lambda: False,
                pool=pool,
            )
            service.version = version
            rows.append(
                replace(row(stack.enter_context(listening(service))), journal_id=f"{ID}{number}")
            )
        yield rows


@pytest.mark.parametrize("now", [(BEFORE, THIS), (THIS, NEXT)], ids=["to this", "to the next"])
def test_each_step_of_an_upgrade_answers_whole(now: tuple[int, int]) -> None:
    """Three ingesters are replaced one by one; a querier of each version asks at each step."""
    old, new = now
    expected = sorted((e for n in range(3) for e in pushed(n) if NEEDLE in e[2]), key=repr)
    for replaced, asks in product(range(4), now):
        versions = [new] * replaced + [old] * (3 - replaced)
        with serving(versions) as rows:
            querier = Querier(asks, rows)
            assert querier.found() == expected, (versions, asks)
            strange = [
                f"{ID}{number}"
                for number, version in enumerate(versions)
                if NEXT in (version, asks) and version != asks
            ]
            assert sorted(querier.read) == strange, "only these journals are read"
            querier.close()
