"""Which stream does a label text name? Parsed, completed and checked once per text, remembered.

Completion: empty values are left out, `service_name` is added (reference/ingest-rules.md §2, §3.1).
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from ingester.label_text import LabelPairs, parse_label_text
from narfi.core.labels import Labels, labels_text
from narfi.core.limits import Limits

CACHED_TEXTS = 100_000
SERVICE_NAME = "service_name"
UNKNOWN_SERVICE = "unknown_service"
RESERVED = frozenset(("__backfill__", "__backfill_shard__"))
"""Labels that only the server sets, for pushes with the header `X-Loki-Backfill-Shard`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedStream:
    """The stream of a label text; `refusal` is Loki's text when its labels break a limit."""

    labels: Labels
    text: str
    refusal: str | None
    reason: str = ""
    level: str | None = None  # what a label of the list of level fields says, as it stands there
    reserved: bool = False  # has a label that clients may not set


class StreamResolver:
    """Label texts to streams, with a bounded memory; thread-safe."""

    def __init__(self, max_texts: int = CACHED_TEXTS) -> None:
        self._max_texts = max_texts
        self._known: OrderedDict[tuple[bytes, int], ResolvedStream] = OrderedDict()
        self._last: tuple[Limits, int] | None = None  # whose hash was asked for last, and it
        self._lock = threading.Lock()

    def resolve(self, texts: Sequence[bytes], limits: Limits) -> tuple[ResolvedStream, ...]:
        """The stream of each text, or `LabelTextError` (which refuses the whole request)."""
        owner, known = self._owner(limits), self._known.get
        return tuple(known((text, owner)) or self._parsed((text, owner), limits) for text in texts)

    def _owner(self, limits: Limits) -> int:
        """A number of the limits: hashing them takes as long as looking up twenty streams."""
        last = self._last
        if last is None or last[0] is not limits:
            last = self._last = limits, hash(limits)
        return last[1]

    def _parsed(self, key: tuple[bytes, int], limits: Limits) -> ResolvedStream:
        found = resolve(parse_label_text(key[0].decode("utf-8", "replace")), limits)
        with self._lock:
            self._known[key] = found
            if len(self._known) > self._max_texts:
                self._known.popitem(last=False)
        return found


def resolve(pairs: LabelPairs, limits: Limits) -> ResolvedStream:
    """Complete and check parsed labels."""
    kept = sorted((n, v) for n, v in pairs if v != "" and n != "__name__")
    names = [name for name, _ in kept]
    added = 0
    if limits.discover_service_name and SERVICE_NAME not in names:
        kept = sorted([*kept, (SERVICE_NAME, _service_name(dict(kept), limits))])
        added = 1
    text = labels_text(kept)
    refusal, reason = _refusal(kept, len(kept) - added, text, limits)
    labels = Labels(tuple(kept)) if refusal is None else Labels.of(dict(kept))
    level = next((labels.get(n) for n in limits.log_level_fields if labels.get(n)), None)
    reserved = not RESERVED.isdisjoint(names)
    return ResolvedStream(
        labels=labels,
        text=text,
        refusal=refusal,
        reason=reason,
        level=level,
        reserved=reserved,
    )


def _service_name(labels: dict[str, str], limits: Limits) -> str:
    for name in limits.discover_service_name:
        if labels.get(name):
            return labels[name]
    return UNKNOWN_SERVICE


def _refusal(
    pairs: list[tuple[str, str]], counted: int, text: str, limits: Limits
) -> tuple[str | None, str]:
    if not pairs:
        return "error at least one label pair is required per stream", "missing_labels"
    most = limits.max_label_names_per_series
    if counted > most:
        message = f"entry for stream '{text}' has {counted} label names; limit {most}"
        return message, "max_label_names_per_series"
    before = ""
    for name, value in pairs:
        if len(name.encode()) > limits.max_label_name_length:
            message = f"stream '{text}' has label name too long: '{name}'"
            return message, "label_name_too_long"
        if len(value.encode("utf-8", "surrogateescape")) > limits.max_label_value_length:
            message = f"stream '{text}' has label value too long: '{value}'"
            return message, "label_value_too_long"
        if name == before:
            message = f"stream '{text}' has duplicate label name: '{name}'"
            return message, "duplicate_label_names"
        before = name
    return None, ""
