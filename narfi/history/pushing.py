"""How does a page get to the target? In bodies of bounded size, until all is taken or refused.

204 alone means that a push is there. 400 means that some of it was refused and the rest is there:
the push is halved until the refused entries stand alone, which pushes others again and changes
nothing. 429 and 5xx are waited out; what asks for another address, tenant or token ends the import.
"""

from collections.abc import Callable, Collection, Iterator

from narfi.core.wire.push_encode import encode_push_request
from narfi.history.errors import TargetError
from narfi.history.pace import Pace
from narfi.history.page import Cursor, Refused, Streams, entry_bytes
from narfi.history.patience import Patience
from promtail_agent.client.transport import TOO_MANY, Answer, Transport

TAKEN = (204,)
SPLIT_AFTER = 3
"""Times that a push is answered 429 before it is halved: one above the burst is never taken."""
_FRAME_BYTES = 32
"""Of an entry's time and frame in a push, about."""
_REFUSALS = (400, 413, 422)


def push_request(streams: Streams) -> bytes:
    """As Loki's push API has it, not compressed."""
    return encode_push_request(streams.items())


class Pusher:
    """Pushes for one import; used by one thread."""

    def __init__(
        self,
        transport: Transport,
        patience: Patience,
        pace: Pace,
        *,
        body_bytes: int,
        most_refused: int,
        encode: Callable[[Streams], bytes] = push_request,
        taken: Collection[int] = TAKEN,
        cursors: Callable[[], dict[str, Cursor]] = dict,
    ) -> None:
        self._encode, self._taken = encode, taken
        self.cursors = cursors
        """What is to be noted with the pages: what is durable now."""
        self._transport, self._patience, self._pace = transport, patience, pace
        self._body_bytes, self._most_refused = body_bytes, most_refused
        self.refused = 0
        """So far, by this process."""

    def push(self, tenant: str, streams: Streams) -> list[Refused]:
        """Push all entries; those that the target refuses. Raises `TargetError`."""
        refused: list[Refused] = []
        for body, size in bodies(streams, self._body_bytes):
            self._pace.take(size)
            refused += self._settle(tenant, body)
        return refused

    def _settle(self, tenant: str, streams: Streams) -> list[Refused]:
        body = self._encode(streams)
        busy = 0
        single = sum(map(len, streams.values())) == 1
        while True:
            answer = self._transport.push(tenant, body)
            if answer.status in self._taken:
                self._patience.went_well()
                return []
            if answer.status in _REFUSALS:
                self._patience.went_well()
                if single:
                    return [self._refuse(tenant, streams, answer)]
                return self._halves(tenant, streams)
            self._raise_hopeless(tenant, answer)
            busy += answer.status == TOO_MANY
            if busy == SPLIT_AFTER and not single:
                return self._halves(tenant, streams)
            text = answer.text or f"the target answered {answer.status}"
            if not self._patience.wait(f"target: {text}", answer.retry_after_s):
                raise TargetError(f"the target does not take pushes, the last answer was: {text}")

    def _halves(self, tenant: str, streams: Streams) -> list[Refused]:
        first, second = halves(streams)
        self._pace.take(sum(entry_bytes(e) for entries in streams.values() for e in entries))
        return self._settle(tenant, first) + self._settle(tenant, second)

    def _refuse(self, tenant: str, streams: Streams, answer: Answer) -> Refused:
        self.refused += 1
        if self._most_refused and self.refused > self._most_refused:
            raise TargetError(
                f"the target refused more than {self._most_refused} entries, the last one with: "
                f"{answer.text}; change its limits, or let more be refused (--max-refused)"
            )
        ((labels, (entry,)),) = streams.items()
        return Refused(tenant=tenant, labels=labels, entry=entry, reason=answer.text)

    @staticmethod
    def _raise_hopeless(tenant: str, answer: Answer) -> None:
        status = answer.status
        whose = f"tenant {tenant!r}" if tenant else "no tenant"
        if status in (401, 403):
            raise TargetError(
                f"the target does not let us push ({whose}): {answer.text}; its token needs the "
                "scope to push for this tenant"
            )
        if status in (404, 405):
            raise TargetError(f"{answer.text}: is this the address of a server that takes pushes?")
        if 200 <= status < 400:
            raise TargetError(
                f"the target answered {status} to a push, not 204, so nobody knows whether it "
                "is there: is this its address, and may this tenant push now?"
            )


def bodies(streams: Streams, most_bytes: int) -> Iterator[tuple[Streams, int]]:
    """The entries in their order, in parts of at most so many bytes, or of one entry; their bytes.

    Frames of entries count for the size of a part, not for its bytes.
    """
    part: Streams = {}
    size = count = 0
    for labels, entries in streams.items():
        begin = 0
        for number, entry in enumerate(entries):
            more = entry_bytes(entry) + _FRAME_BYTES
            if size and size + more > most_bytes:
                if number > begin:
                    part[labels] = entries[begin:number]
                yield part, size - count * _FRAME_BYTES
                part, size, count, begin = {}, 0, 0, number
            size += more
            count += 1
        if begin < len(entries):
            part[labels] = entries[begin:]
    if part:
        yield part, size - count * _FRAME_BYTES


def halves(streams: Streams) -> tuple[Streams, Streams]:
    """Two parts of at least two entries."""
    half = sum(map(len, streams.values())) // 2
    first: Streams = {}
    second: Streams = {}
    for labels, entries in streams.items():
        if half:
            first[labels] = entries[:half]
        if len(entries) > half:
            second[labels] = entries[half:]
        half = max(0, half - len(entries))
    return first, second


Told = Callable[[str], None]
"""Shows a line that may be written over."""
