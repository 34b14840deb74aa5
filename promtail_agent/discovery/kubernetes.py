"""`kubernetes_sd_configs`: the pods of this node, by list and watch (reference/agent.md §8.1).

Listed once in pages, then watched from the list's resource version; bookmarks move it on. A broken
connection goes on from the last version, 410 Gone lists anew. Targets of the last good state stay
while the API cannot be reached.
"""

import json
import logging
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import httpx
from pydantic import field_validator

from promtail_agent.config_base import Section
from promtail_agent.discovery.base import Target
from promtail_agent.discovery.kubernetes_access import Access, find_access
from promtail_agent.discovery.kubernetes_pods import pod_targets
from promtail_agent.http_settings import HttpSettings, http_client

_log = logging.getLogger(__name__)

PAGE = 500
WATCH_S = 240
"""How long the server is asked to keep a watch open."""
MIN_BACKOFF_S, MAX_BACKOFF_S = 0.5, 30.0
TIMEOUT_S = 15.0
_GONE = 410


class Namespaces(Section):
    """Whose pods; all where nothing is said."""

    own_namespace: bool = False
    names: tuple[str, ...] = ()


class Selector(Section):
    """Which pods."""

    role: str
    label: str = ""
    field: str = ""


class KubernetesSdConfig(HttpSettings):
    """Where the API is and which pods are wanted."""

    role: Literal["pod"]
    api_server: str = ""
    kubeconfig_file: str = ""
    namespaces: Namespaces = Namespaces()
    selectors: tuple[Selector, ...] = ()

    @field_validator("role", mode="before")
    @classmethod
    def _pods_only(cls, value: object) -> object:
        if value in ("node", "service", "endpoints", "endpointslice", "ingress"):
            raise ValueError(f"role {value} is not supported: log files belong to pods, use pod")
        return value

    @field_validator("selectors")
    @classmethod
    def _of_pods(cls, value: tuple[Selector, ...]) -> tuple[Selector, ...]:
        if any(selector.role != "pod" for selector in value):
            raise ValueError("role pod takes only selectors of role pod")
        return value


class Gone(Exception):
    """The server does not know the resource version any more."""


class KubernetesDiscovery:
    """A thread a namespace, or one for all."""

    def __init__(
        self, config: KubernetesSdConfig, jitter: Callable[[], float] = random.random
    ) -> None:
        access = find_access(config.api_server, config.kubeconfig_file, config)
        self._http = http_client(access.settings, {"Accept": "application/json"}, TIMEOUT_S)
        self._jitter = jitter
        self._query = _selectors(config.selectors)
        self._server = access.server
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pods: dict[str, dict[str, list[Target]]] = {}  # by path, then by uid
        self._targets: Sequence[Target] = ()
        self._open: set[httpx.Response] = set()
        self._threads = [
            threading.Thread(target=self._run, args=(path,), name="kubernetes", daemon=True)
            for path in _paths(config.namespaces, access)
        ]

    def start(self) -> None:
        """Begin to list and watch."""
        for thread in self._threads:
            thread.start()

    def targets(self) -> Sequence[Target]:
        """Containers of all pods known now."""
        return self._targets

    def close(self) -> None:
        """End the watches."""
        self._closing.set()
        with self._lock:
            for response in self._open:
                stream = response.extensions.get("network_stream")
                connection = None if stream is None else stream.get_extra_info("socket")
                if connection is not None:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        self._http.close()

    def _run(self, path: str) -> None:
        wait_s = MIN_BACKOFF_S
        while not self._closing.is_set():
            try:
                version = self._list(path)
                wait_s = MIN_BACKOFF_S
                self._watch(path, version)
            except Gone:
                _log.info("watched version is gone, listing anew path=%s", path)
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                if not self._closing.is_set():
                    _log.warning("kubernetes API failed, will retry path=%s error=%s", path, error)
            self._closing.wait(wait_s * (0.5 + self._jitter() / 2))
            wait_s = min(wait_s * 2, MAX_BACKOFF_S)

    def _list(self, path: str) -> str:
        """Take over all pods; the version to watch from."""
        found: dict[str, list[Target]] = {}
        query = {**self._query, "limit": str(PAGE)}
        while True:
            answer = self._http.get(self._server + path, params=query)
            if answer.status_code == _GONE:
                raise Gone
            answer.raise_for_status()
            document = answer.json()
            for pod in document.get("items") or []:
                found[pod["metadata"]["uid"]] = pod_targets(pod)
            about = document["metadata"]
            if not about.get("continue"):
                break
            query["continue"] = about["continue"]
        with self._lock:
            self._pods[path] = found
            self._publish()
        return str(about["resourceVersion"])

    def _watch(self, path: str, version: str) -> None:
        """Follow changes until the version is gone; raises when the server refuses."""
        while not self._closing.is_set():
            query = {
                **self._query,
                "watch": "1",
                "allowWatchBookmarks": "true",
                "resourceVersion": version,
                "timeoutSeconds": str(WATCH_S),
            }
            try:
                for event in self._events(path, query):
                    version = self._take(path, event) or version
            except httpx.TransportError as error:
                _log.info("watch ended, going on path=%s version=%s error=%s", path, version, error)
            self._closing.wait(MIN_BACKOFF_S * self._jitter())

    def _events(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        timeout = httpx.Timeout(TIMEOUT_S, read=WATCH_S + TIMEOUT_S)
        with self._http.stream(
            "GET", self._server + path, params=query, timeout=timeout
        ) as response:
            if response.status_code == _GONE:
                raise Gone
            response.raise_for_status()
            with self._lock:
                self._open.add(response)
            try:
                if self._closing.is_set():  # `close` may have looked before this one was there
                    return
                for line in response.iter_lines():
                    if line:
                        yield json.loads(line)
            finally:
                with self._lock:
                    self._open.discard(response)

    def _take(self, path: str, event: Mapping[str, Any]) -> str | None:
        """Apply one event; the version that it brings."""
        pod = event["object"]
        if event["type"] == "ERROR":
            if pod.get("code") == _GONE:
                raise Gone
            raise ValueError(f"watch error {pod.get('code')}: {pod.get('message')}")
        about = pod["metadata"]
        if event["type"] == "BOOKMARK":
            return str(about["resourceVersion"])
        targets = [] if event["type"] == "DELETED" else pod_targets(pod)
        with self._lock:
            pods = self._pods[path]
            if targets != pods.get(about["uid"], []):
                pods[about["uid"]] = targets
                self._publish()
            if event["type"] == "DELETED":
                pods.pop(about["uid"], None)
        return str(about["resourceVersion"])

    def _publish(self) -> None:
        self._targets = [t for pods in self._pods.values() for pod in pods.values() for t in pod]


def _paths(namespaces: Namespaces, access: Access) -> list[str]:
    names = list(namespaces.names)
    if namespaces.own_namespace and access.namespace:
        names.append(access.namespace)
    if not names:
        return ["/api/v1/pods"]
    return [f"/api/v1/namespaces/{name}/pods" for name in sorted(set(names))]


def _selectors(selectors: Sequence[Selector]) -> dict[str, str]:
    """Query parameters; only pods of this node, whatever else is asked."""
    node = os.environ.get("HOSTNAME") or socket.gethostname()
    fields = [f"spec.nodeName={node}"] + [s.field for s in selectors if s.field]
    labels = [s.label for s in selectors if s.label]
    found = {"fieldSelector": ",".join(fields)}
    if labels:
        found["labelSelector"] = ",".join(labels)
    return found
