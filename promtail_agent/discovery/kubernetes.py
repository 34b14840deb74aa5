"""`kubernetes_sd_configs`: the pods of this node, by list and watch (reference/agent.md §8.1).

Listed once in pages, then watched from the list's resource version; bookmarks move it on. A broken
connection goes on from the last version, 410 Gone lists anew. Targets of the last good state stay
while the API cannot be reached.
"""

import logging
import os
import random
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import httpx
from pydantic import field_validator

from promtail_agent.config_base import Section
from promtail_agent.discovery.base import Target
from promtail_agent.discovery.kubernetes_access import Access, find_access
from promtail_agent.discovery.kubernetes_pods import pod_targets
from promtail_agent.discovery.kubernetes_watch import TIMEOUT_S, Gone, ListWatch
from promtail_agent.http_settings import HttpSettings

_log = logging.getLogger(__name__)

MIN_BACKOFF_S, MAX_BACKOFF_S = 0.5, 30.0


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


class KubernetesDiscovery:
    """A thread a namespace, or one for all."""

    def __init__(
        self, config: KubernetesSdConfig, jitter: Callable[[], float] = random.random
    ) -> None:
        access = find_access(config.api_server, config.kubeconfig_file, config)
        self._api = ListWatch(access)
        self._jitter = jitter
        self._query = _selectors(config.selectors)
        self._closing = self._api.closing
        self._lock = threading.Lock()
        self._pods: dict[str, dict[str, list[Target]]] = {}  # by path, then by uid
        self._targets: Sequence[Target] = ()
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
        self._api.end()
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        self._api.close()

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
        pods, version = self._api.items(path, self._query)
        with self._lock:
            self._pods[path] = {pod["metadata"]["uid"]: pod_targets(pod) for pod in pods}
            self._publish()
        return version

    def _watch(self, path: str, version: str) -> None:
        """Follow changes until the version is gone; raises when the server refuses."""
        while not self._closing.is_set():
            try:
                for event in self._api.events(path, self._query, version):
                    version = self._take(path, event) or version
            except httpx.TransportError as error:
                _log.info("watch ended, going on path=%s version=%s error=%s", path, version, error)
            self._closing.wait(MIN_BACKOFF_S * self._jitter())

    def _take(self, path: str, event: Mapping[str, Any]) -> str | None:
        """Apply one event; the version that it brings."""
        pod = event["object"]
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
