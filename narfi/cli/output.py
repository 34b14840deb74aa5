"""How are answers shown? default, raw and jsonl, as logcli; data on stdout, the rest on stderr."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import IO, Any

from narfi.core.labels import labels_text

Labels = Mapping[str, str]


class Mode(StrEnum):
    """Forms of output."""

    DEFAULT = "default"
    RAW = "raw"
    JSONL = "jsonl"


class Zone(StrEnum):
    """Whose time is shown."""

    LOCAL = "Local"
    UTC = "UTC"


class TimeFormat(StrEnum):
    """Forms of times; Go's names."""

    RFC3339 = "rfc3339"
    RFC3339NANO = "rfc3339nano"
    RFC822Z = "rfc822z"
    RFC1123Z = "rfc1123z"
    STAMPMICRO = "stampmicro"
    STAMPMILLI = "stampmilli"
    STAMPNANO = "stampnano"
    UNIXDATE = "unixdate"


_LAYOUTS = {
    TimeFormat.RFC822Z: "%d %b %y %H:%M %z",
    TimeFormat.RFC1123Z: "%a, %d %b %Y %H:%M:%S %z",
    TimeFormat.UNIXDATE: "%a %b %e %H:%M:%S %Z %Y",
}
_STAMPS = {TimeFormat.STAMPMILLI: 3, TimeFormat.STAMPMICRO: 6, TimeFormat.STAMPNANO: 9}


def print_warnings(texts: Iterable[str]) -> None:
    """What an answer lacks; on stderr, also where only data is wanted."""
    for text in texts:
        print(f"warning: {text}", file=sys.stderr)


def shown_time(ts_ns: int, *, utc: bool, form: TimeFormat = TimeFormat.RFC3339) -> str:
    """A time in the wanted form, local unless told otherwise."""
    moment = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    moment = moment if utc else moment.astimezone()
    nanos = f"{ts_ns % 10**9:09d}"
    if form in _LAYOUTS:
        return moment.strftime(_LAYOUTS[form])
    if form in _STAMPS:
        return moment.strftime("%b %e %H:%M:%S") + "." + nanos[: _STAMPS[form]]
    zone = moment.isoformat()[19:].replace("+00:00", "Z")
    fraction = "." + nanos.rstrip("0") if form is TimeFormat.RFC3339NANO else ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction.rstrip(".") + zone


def text_of(labels: Labels) -> str:
    """`{a="b"}`."""
    return labels_text(sorted(labels.items()))


def common_labels(streams: Iterable[Labels]) -> dict[str, str]:
    """Labels that every stream has alike."""
    common: dict[str, str] | None = None
    for labels in streams:
        if common is None:
            common = dict(labels)
        else:
            common = {n: v for n, v in common.items() if labels.get(n) == v}
    return common or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFormat:
    """How an entry is printed."""

    mode: Mode = Mode.DEFAULT
    utc: bool = False
    times: TimeFormat = TimeFormat.RFC3339
    no_labels: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    include_common: bool = False
    width: int = 0
    colored: bool = False


@dataclass(slots=True, kw_only=True)
class EntryPrinter:
    """Prints log entries to one file."""

    form: EntryFormat
    quiet: bool
    out: IO[str] = field(default_factory=lambda: sys.stdout)
    _common: dict[str, str] = field(default_factory=dict)
    _width: int = 0

    def announce(self, streams: Sequence[Labels]) -> None:
        """Tell the common labels, which are then left out of each line."""
        form = self.form
        self._common = {} if form.include_common else common_labels(streams)
        self._width = max([form.width, *(len(text_of(self._shown(s))) for s in streams)])
        if self.quiet:
            return
        if self._common:
            print(f"Common labels: {text_of(self._common)}", file=sys.stderr)
        if form.exclude:
            print(f"Ignoring labels key: {','.join(form.exclude)}", file=sys.stderr)
        if form.include:
            print(f"Print only labels key: {','.join(form.include)}", file=sys.stderr)

    def _shown(self, labels: Labels) -> dict[str, str]:
        found = {n: v for n, v in labels.items() if self._common.get(n) != v}
        if self.form.include:
            found = {n: v for n, v in found.items() if n in self.form.include}
        return {n: v for n, v in found.items() if n not in self.form.exclude}

    def entry(self, ts_ns: int, labels: Labels, line: str) -> None:
        """Print one entry."""
        form = self.form
        if form.mode is Mode.RAW:
            print(line.removesuffix("\n"), file=self.out)
        elif form.mode is Mode.JSONL:
            time = shown_time(ts_ns, utc=form.utc, form=TimeFormat.RFC3339NANO)
            content: dict[str, Any] = {"labels": self._shown(labels), "line": line}
            if form.no_labels:
                del content["labels"]
            content["timestamp"] = time
            print(_compact(content), file=self.out)
        else:
            time = self._paint(shown_time(ts_ns, utc=form.utc, form=form.times), 34)
            if form.no_labels:
                print(f"{time} {line.strip()}", file=self.out)
                return
            text = text_of(self._shown(labels))
            color = _color_of(text) if form.colored else 31
            padded = self._paint(text.ljust(self._width), color)
            print(f"{time} {padded} {line.strip()}", file=self.out)

    def _paint(self, text: str, color: int) -> str:
        if not self.out.isatty() or os.environ.get("NO_COLOR"):
            return text
        return f"\033[{color}m{text}\033[0m"


_COLORS = (31, 32, 33, 34, 35, 36, 91, 92, 93, 94)


def _color_of(text: str) -> int:
    """One of ten colours, by the FNV-1 of the text."""
    found = 0x811C9DC5
    for byte in text.encode():
        found = (found * 0x01000193 & 0xFFFFFFFF) ^ byte
    return _COLORS[found % len(_COLORS)]


_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def _compact(content: dict[str, Any]) -> str:
    """JSON as logcli's: no blanks, label names in order, `<`, `>`, `&` and U+2028/9 escaped."""
    if "labels" in content:
        content = {**content, "labels": dict(sorted(content["labels"].items()))}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def print_json(value: Any) -> None:
    """Metric answers, readable; as logcli's without a line end, but on a terminal."""
    text = json.dumps(value, indent=2, ensure_ascii=False).translate(_ESCAPES)
    print(text, end="\n" if sys.stdout.isatty() else "")


def print_lines(values: Iterable[str]) -> None:
    """One value a line."""
    for value in values:
        print(value)
