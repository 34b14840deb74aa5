"""`kubernetes_events`: what happens in a cluster, each event once (`kubernetes_events` of a job).

Listed once, then watched; where to go on is remembered as a resource version. An event's line and
time depend on nothing but the event, so one that is read twice, after `410 Gone` or a kill, is the
entry that the server has. What repeats (`count` grows) is a new line each time.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
import orjson
from pydantic import Field

from narfi.core.relabel import RelabelRule
from promtail_agent.config_base import Labels
from promtail_agent.discovery.kubernetes_access import find_access
from promtail_agent.discovery.kubernetes_watch import TIMEOUT_S, Gone, Json, ListWatch
from promtail_agent.http_settings import HttpSettings
from promtail_agent.targets.received import Queued, entry_of, public_labels

_log = logging.getLogger(__name__)

MIN_BACKOFF_S, MAX_BACKOFF_S = 0.5, 30.0
_NOISE = ("managedFields",)
"""Of `metadata`: what says nothing of the event."""
_LABELS = {"service_name": "kubernetes", "component": "events"}


class KubernetesEventsConfig(HttpSettings):
    """Where the API is and whose events are wanted."""

    api_server: str = ""
    kubeconfig_file: str = ""
    namespaces: tuple[str, ...] = ()
    """All where none is named."""
    labels: Labels = Field(default_factory=lambda: dict(_LABELS))


class KubernetesEventsSource(Queued):
    """A thread a namespace, or one for all."""

    def __init__(
        self,
        config: KubernetesEventsConfig,
        job: str,
        rules: Sequence[RelabelRule],
        cursor_of: Callable[[str], str],
    ) -> None:
        """`cursor_of` knows where a path was left; raises `ConfigError` without a way to an API."""
        super().__init__()
        self._config, self._rules, self._cursor_of = config, tuple(rules), cursor_of
        self._api = ListWatch(find_access(config.api_server, config.kubeconfig_file, config))
        self._threads = [
            threading.Thread(
                target=self._run, args=(path, f"cursor-{job}-{name or 'all'}"), daemon=True
            )
            for name, path in _paths(config.namespaces).items()
        ]

    def start(self) -> None:
        """Begin to list and watch."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the watches."""
        self._api.end()
        self._queue.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(TIMEOUT_S)
        self._api.close()

    def _run(self, path: str, cursor_path: str) -> None:
        version = self._cursor_of(cursor_path)
        wait_s = MIN_BACKOFF_S
        while not self._api.closing.is_set():
            try:
                if not version:
                    version = self._list(path, cursor_path, "")
                    wait_s = MIN_BACKOFF_S
                version = self._watch(path, cursor_path, version)
                wait_s = MIN_BACKOFF_S
            except Gone:
                _log.info("watched version is gone, listing anew path=%s", path)
                version = self._again(path, cursor_path, version)
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                if not self._api.closing.is_set():
                    _log.warning("kubernetes API failed, will retry path=%s error=%s", path, error)
                self._api.closing.wait(wait_s * (0.5 + random.random() / 2))
                wait_s = min(wait_s * 2, MAX_BACKOFF_S)

    def _again(self, path: str, cursor_path: str, version: str) -> str:
        """List what came since a version that is gone; the same version where that fails."""
        try:
            return self._list(path, cursor_path, version)
        except (Gone, httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            _log.warning("kubernetes API failed, will retry path=%s error=%s", path, error)
            self._api.closing.wait(MIN_BACKOFF_S)
            return version

    def _list(self, path: str, cursor_path: str, behind: str) -> str:
        """Take all events that are newer than a version; the version to watch from."""
        events, version = self._api.items(path, {})
        known = _number(behind)
        if known > _number(version):
            known = 0  # another cluster of the same name: its versions begin anew
        for event in sorted(events, key=_version_of):
            if _version_of(event) > known or not known:
                self._put(event, cursor_path)
        return version

    def _watch(self, path: str, cursor_path: str, version: str) -> str:
        """Follow changes until the connection ends; the version to go on from."""
        try:
            for found in self._api.events(path, {}, version):
                event = found["object"]
                if found["type"] in ("ADDED", "MODIFIED"):
                    self._put(event, cursor_path)
                version = str(event["metadata"]["resourceVersion"])
        except httpx.TransportError as error:
            _log.info("watch ended, going on path=%s version=%s error=%s", path, version, error)
            self._api.closing.wait(MIN_BACKOFF_S * random.random())
        return version

    def _put(self, event: Json, cursor_path: str) -> None:
        labels = public_labels({**_meta(event), **self._config.labels}, self._rules)
        if labels is not None:
            entry = entry_of(labels, _time_ns(event), _line(event))
            self._queue.put(entry, cursor_path, str(event["metadata"]["resourceVersion"]))


def _paths(namespaces: Sequence[str]) -> Mapping[str, str]:
    if not namespaces:
        return {"": "/api/v1/events"}
    return {name: f"/api/v1/namespaces/{name}/events" for name in sorted(set(namespaces))}


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0


def _version_of(event: Json) -> int:
    return _number(str(event["metadata"].get("resourceVersion", "")))


def _line(event: Json) -> bytes:
    """The event as JSON, without what is no news; the kind of the list's items is left out."""
    about = {n: v for n, v in event["metadata"].items() if n not in _NOISE}
    rest = {n: v for n, v in event.items() if n not in ("metadata", "kind", "apiVersion")}
    return orjson.dumps({"metadata": about, **rest})


def _time_ns(event: Json) -> int:
    """When it last happened; now where it does not say."""
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
        event["metadata"].get("creationTimestamp"),
    )
    for text in times:
        if isinstance(text, str) and (found := _parsed(text)) is not None:
            return found
    return time.time_ns()


def _parsed(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def _meta(event: Json) -> dict[str, str]:
    """Labels for relabelling."""
    about: Mapping[str, Any] = event.get("involvedObject") or {}
    found = {
        "namespace": about.get("namespace", ""),
        "kind": about.get("kind", ""),
        "name": about.get("name", ""),
        "reason": event.get("reason", ""),
        "type": event.get("type", ""),
    }
    return {f"__meta_kubernetes_event_{n}": str(v or "") for n, v in found.items()}
