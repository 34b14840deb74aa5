"""Is what is stored what was expected? Entry by entry, with nothing left over on either side.

Order is no matter: entries without a time of their own are of the time when they were read. Equal
entries are as many as there should be.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from narfi.core.clock import NS_PER_S
from narfi.packs.samples import Expected, Sample
from querier.result import StreamsResult

GIVEN = frozenset(("app", "component", "service_name", "filename", "job", "namespace"))
"""Labels that jobs and the server set."""
LEVELS = frozenset(("level", "detected_level"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An entry as the server gives it."""

    labels: Mapping[str, str]
    ts_ns: int
    line: bytes
    metadata: Mapping[str, str]

    @property
    def level(self) -> str:
        """What the server says of its level."""
        return self.metadata.get("detected_level", "")

    @property
    def fields(self) -> dict[str, str]:
        """Metadata besides levels."""
        return {n: v for n, v in self.metadata.items() if n not in LEVELS}

    @property
    def time(self) -> str:
        """RFC 3339 with nine digits."""
        stamp = datetime.fromtimestamp(self.ts_ns // NS_PER_S, UTC)
        return f"{stamp:%Y-%m-%dT%H:%M:%S}.{self.ts_ns % NS_PER_S:09d}Z"


def stored_of(result: StreamsResult) -> list[Stored]:
    """Entries of a categorised answer."""
    return [
        Stored(
            labels=dict(stream.labels),
            ts_ns=entry.ts_ns,
            line=entry.line,
            metadata=dict(entry.metadata),
        )
        for stream in result.streams
        for entry in stream.entries
    ]


def differences(sample: Sample, found: Sequence[Stored]) -> Iterator[str]:
    """One text for each entry that is missing, different or too much."""
    left = list(found)
    wanted: list[Expected] = []
    for expected in sample.entries:
        fit = next((one for one in left if not _faults(expected, one)), None)
        if fit is None:
            wanted.append(expected)
        else:
            left.remove(fit)
    for expected in wanted:
        where = f"{sample.file.name}:{expected.first}"
        if not left:
            yield f"{where}: no entry came of it: {_short(expected.line)}"
            continue
        distances = [_distance(expected, one) for one in left]
        near = left[distances.index(min(distances))]
        left.remove(near)
        for fault in _faults(expected, near):
            yield f"{where}: {fault}"
    for one in left:
        yield f"{sample.file.name}: an entry too much: {dict(one.labels)} {_short(one.line)}"


def _distance(expected: Expected, one: Stored) -> tuple[bool, int]:
    return expected.line != one.line, len(_faults(expected, one))


def _faults(expected: Expected, one: Stored) -> list[str]:
    labels = {n: v for n, v in one.labels.items() if n not in GIVEN}
    given = {n: one.labels.get(n, "") for n in expected.labels if n in GIVEN}
    found: list[str] = []
    if expected.line != one.line:
        found.append(f"line is {_short(one.line)}, not {_short(expected.line)}")
    if expected.time is not None and expected.time != one.time:
        found.append(f"time is {one.time}, not {expected.time}")
    if expected.level is not None and expected.level != one.level:
        found.append(f"level is {one.level or 'none'}, not {expected.level}")
    if labels | given != dict(expected.labels):
        found.append(f"labels are {labels | given}, not {dict(expected.labels)}")
    fields = one.fields
    for name in sorted(fields.keys() | expected.fields.keys()):
        if fields.get(name) != expected.fields.get(name):
            is_, wanted = fields.get(name), expected.fields.get(name)
            found.append(f"field {name} is {is_!r}, not {wanted!r}")
    return found


def _short(line: bytes) -> str:
    text = repr(line.decode("utf-8", "replace"))
    return text if len(text) < 160 else text[:150] + "…"
