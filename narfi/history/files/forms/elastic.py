"""How is an export of Elasticsearch or OpenSearch read? Bulk bodies, or elasticdump's objects.

A bulk body has a line that says what to do before each document; elasticdump writes the document
inside of it as `_source`. Index and id become metadata. Deletions are left out, and told.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from narfi.history.files.forms.jsonl import JsonLines
from narfi.history.files.forms.single import SingleLines
from narfi.history.files.records import Found, Names, NotUnderstood, Place, Record

_ACTIONS = ("index", "create", "update", "delete")
_ABOUT = (("index", "_index"), ("id", "_id"))


class ElasticLines(SingleLines):
    """Documents with `@timestamp`, unless another member is named."""

    def __init__(self, names: Names, labels: Mapping[str, str]) -> None:
        time = names.time or "@timestamp"
        self._documents = JsonLines(
            Names(labels=names.labels, metadata=names.metadata, time=time, line=names.line), labels
        )
        self._action: tuple[Place, str, dict[str, Any]] | None = None

    def take(self, line: bytes, place: Place) -> Iterator[Found]:
        """A record of a document; lines that say what to do are held until it comes."""
        if not line.strip():
            return
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            self._action = None
            yield NotUnderstood(place, line, f"no JSON: {error}")
            return
        if not isinstance(value, dict):
            yield NotUnderstood(place, line, "no JSON object")
            return
        action, self._action = self._action, None
        if action is not None:
            first, name, about = action
            if name == "update":
                value = value.get("doc", value)
            yield self._document(value, about, first)
        elif isinstance(value.get("_source"), dict):
            yield self._document(value["_source"], value, place)
        elif (named := _action_of(value)) is not None:
            if named[0] == "delete":
                yield NotUnderstood(place, line, "it deletes a document")
            else:
                self._action = (place, *named)
        else:
            yield self._documents.record(value, line, place)

    def _document(self, value: Any, about: Mapping[str, Any], place: Place) -> Found:
        raw = orjson.dumps(value)
        if not isinstance(value, dict):
            return NotUnderstood(place, raw, "the document is no object")
        found = self._documents.record(value, raw, place)
        if not isinstance(found, Record):
            return found
        more = tuple((name, about[key]) for name, key in _ABOUT if isinstance(about.get(key), str))
        return Record(
            place=place,
            ts_ns=found.ts_ns,
            digits=found.digits,
            labels=found.labels,
            line=found.line,
            metadata=(*found.metadata, *more),
        )

    def held_from(self) -> Place | None:
        """The line that says what to do with the next one."""
        return self._action[0] if self._action is not None else None

    def end(self) -> Iterator[Found]:
        """An action without its document."""
        if self._action is not None:
            place, name, about = self._action
            yield NotUnderstood(place, orjson.dumps({name: about}), "its document is missing")
            self._action = None


def _action_of(value: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """What a line of a bulk body says to do, and to what."""
    if len(value) != 1:
        return None
    ((name, about),) = value.items()
    return (name, about) if name in _ACTIONS and isinstance(about, dict) else None
