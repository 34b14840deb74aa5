"""What is in an answer of a log query? Entries by stream, as pushes have them, checked."""

from collections.abc import Mapping
from typing import Any

from narfi.core.labels import labels_text
from narfi.core.wire.push_encode import PushEntry
from narfi.history.errors import SourceError
from narfi.history.page import Streams

CATEGORIZE = "categorize-labels"


class LabelTexts:
    """Selector texts of label sets; a steady set of streams is written once."""

    _MOST = 20_000

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, str], ...], str] = {}

    def of(self, labels: Mapping[str, str]) -> str:
        """`{a="1", b="2"}`, sorted."""
        key = tuple(labels.items())
        text = self._known.get(key)
        if text is None:
            if len(self._known) >= self._MOST:
                self._known.clear()
            text = self._known[key] = labels_text(sorted(key))
        return text


def entries_of(data: Any, texts: LabelTexts) -> tuple[Streams, bool]:
    """Entries by stream, in the order of the answer; whether metadata is apart from labels.

    Raises `SourceError` where it is no answer of a log query.
    """
    try:
        if data["resultType"] != "streams":
            raise SourceError(f"the source answered with a {data['resultType']}, not with logs")
        apart = CATEGORIZE in data.get("encodingFlags", ())
        streams: Streams = {}
        for stream in data["result"]:
            found = [_entry(value) for value in stream["values"]]
            if found:
                streams.setdefault(texts.of(stream["stream"]), []).extend(found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise SourceError(f"the source's answer is not as Loki's are: {error!r}") from error
    return streams, apart


def _entry(value: Any) -> PushEntry:
    if len(value) > 2 and value[2]:
        metadata = value[2].get("structuredMetadata")
        if metadata:
            return int(value[0]), value[1].encode(), tuple(metadata.items())
    return int(value[0]), value[1].encode(), ()
