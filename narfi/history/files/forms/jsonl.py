"""How are objects, one a line, read? By names of their members, or as logcli writes them.

Without a name for the line, the whole object is the line: nothing of it is lost.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from logql.parser import parse_selector
from narfi.core.errors import AppError
from narfi.history.files.forms.single import SingleLines
from narfi.history.files.moments import Moment, moment_of
from narfi.history.files.records import Found, Names, NotUnderstood, Place, Record, at_path, text_of

TIMES = ("timestamp", "@timestamp", "time", "ts", "date", "datetime", "t")
"""Members that are looked for where no name is given."""


def fields_of(value: Any, names: Names, labels: Mapping[str, str]) -> dict[str, str]:
    """The fixed labels and those of members; without those that are empty."""
    found = {name: text_of(at_path(value, path)) for name, path in names.labels}
    return {**labels, **{name: text for name, text in found.items() if text}}


def metadata_of(value: Any, names: Names) -> tuple[tuple[str, str], ...]:
    """Metadata of members; without what is empty."""
    found = ((name, text_of(at_path(value, path))) for name, path in names.metadata)
    return tuple((name, text) for name, text in found if text)


def time_in(value: Any, names: Names) -> Moment | None:
    """The time of an object."""
    if names.time:
        return moment_of(at_path(value, names.time))
    for name in TIMES:
        if name in value:
            return moment_of(value[name])
    return None


class JsonLines(SingleLines):
    """Objects of any program."""

    def __init__(self, names: Names, labels: Mapping[str, str]) -> None:
        self._names, self._labels = names, labels

    def take(self, line: bytes, place: Place) -> Iterator[Found]:
        """A record, unless it is no object or has no time."""
        if not line.strip():
            return
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield NotUnderstood(place, line, f"no JSON: {error}")
            return
        if isinstance(value, dict):
            yield self.record(value, line, place)
        else:
            yield NotUnderstood(place, line, "no JSON object")

    def record(self, value: dict[str, Any], raw: bytes, place: Place) -> Found:
        """A record of an object; `raw` is its text."""
        names = self._names
        moment = time_in(value, names)
        if moment is None:
            return NotUnderstood(place, raw, f"no time in {names.time or ', '.join(TIMES)}")
        line = raw
        if names.line:
            found = at_path(value, names.line)
            if found is None:
                return NotUnderstood(place, raw, f"no line in {names.line}")
            line = found.encode() if isinstance(found, str) else orjson.dumps(found)
        return Record(
            place=place,
            ts_ns=moment.ts_ns,
            digits=moment.digits,
            labels=fields_of(value, names, self._labels),
            line=line,
            metadata=metadata_of(value, names),
        )


class LogcliLines(SingleLines):
    """What logcli and `narfi` print: `-o jsonl`, or the default form with times and labels."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._parsed: dict[str, dict[str, str]] = {}

    def take(self, line: bytes, place: Place) -> Iterator[Found]:
        """A record of an object, or of a time, labels and a line."""
        if not line.strip():
            return
        if line.startswith(b"{"):
            yield from self._object(line, place)
            return
        time, _, rest = line.partition(b" ")
        moment = moment_of(time.decode("utf-8", "replace"))
        if moment is None:
            yield NotUnderstood(place, line, "no time at its beginning")
            return
        text, _, content = _selector_of(rest)
        labels = self._labels_of(text) if text else {}
        if labels is None:
            yield NotUnderstood(place, line, "its labels are no selector")
            return
        yield self._record(moment, {**self._labels, **labels}, content, place)

    def _object(self, line: bytes, place: Place) -> Iterator[Found]:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield NotUnderstood(place, line, f"no JSON: {error}")
            return
        if "narfi" in value and "line" not in value:  # the end of an export
            return
        moment = moment_of(value.get("timestamp", value.get("ts")))
        content = value.get("line")
        if moment is None or not isinstance(content, str):
            yield NotUnderstood(place, line, "no timestamp and line, as logcli's jsonl has")
            return
        given = value.get("labels") or {}
        labels = self._labels_of(given) if isinstance(given, str) else given
        if labels is None:
            yield NotUnderstood(place, line, "its labels are no selector")
            return
        metadata = value.get("metadata") or value.get("structuredMetadata") or {}
        pairs = tuple((str(name), text_of(one)) for name, one in metadata.items())
        yield self._record(moment, {**self._labels, **labels}, content.encode(), place, pairs)

    @staticmethod
    def _record(
        moment: Moment,
        labels: Mapping[str, str],
        content: bytes,
        place: Place,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> Record:
        # Times of a server are exact, however few digits they are printed with.
        digits = 9
        return Record(
            place=place,
            ts_ns=moment.ts_ns,
            digits=digits,
            labels=labels,
            line=content,
            metadata=metadata,
        )

    def _labels_of(self, text: str) -> dict[str, str] | None:
        known = self._parsed.get(text)
        if known is None:
            try:
                matchers = parse_selector(text, allow_empty_matchers=True).matchers
            except AppError:
                return None
            known = {one.name: one.value for one in matchers}
            if len(self._parsed) < 10_000:
                self._parsed[text] = known
        return known


def _selector_of(rest: bytes) -> tuple[str, bytes, bytes]:
    """`{a="b"}  line` in parts; the text is empty where no labels stand there."""
    rest = rest.lstrip(b" ") if rest.lstrip(b" ").startswith(b"{") else rest
    if not rest.startswith(b"{"):
        return "", b"", rest
    quoted = escaped = False
    for at, byte in enumerate(rest):
        if escaped:
            escaped = False
        elif quoted and byte == 0x5C:
            escaped = True
        elif byte == 0x22:
            quoted = not quoted
        elif byte == 0x7D and not quoted:
            return rest[: at + 1].decode("utf-8", "replace"), b" ", rest[at + 1 :].lstrip(b" ")
    return "", b"", rest
