"""How are objects of a Kubernetes API followed? Listed in pages, then watched from that version.

`close` ends a watch that waits. A version that the server does not know any more is `Gone`: then
only a new list helps.
"""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import httpx

from promtail_agent.discovery.kubernetes_access import Access
from promtail_agent.http_settings import http_client

PAGE = 500
WATCH_S = 240
"""How long the server is asked to keep a watch open."""
TIMEOUT_S = 15.0
_GONE = 410

Json = Mapping[str, Any]


class Gone(Exception):
    """The server does not know the resource version any more."""


class ListWatch:
    """A client of one API; used by several threads, closed once."""

    def __init__(self, access: Access) -> None:
        self._http = http_client(access.settings, {"Accept": "application/json"}, TIMEOUT_S)
        self._server = access.server
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[httpx.Response] = set()

    def items(self, path: str, query: Mapping[str, str]) -> tuple[list[Json], str]:
        """All objects, and the version to watch from; raises `Gone` and what httpx raises."""
        found: list[Json] = []
        asked = {**query, "limit": str(PAGE)}
        while True:
            answer = self._http.get(self._server + path, params=asked)
            if answer.status_code == _GONE:
                raise Gone
            answer.raise_for_status()
            document = answer.json()
            found += document.get("items") or []
            about = document["metadata"]
            if not about.get("continue"):
                return found, str(about["resourceVersion"])
            asked["continue"] = about["continue"]

    def events(self, path: str, query: Mapping[str, str], version: str) -> Iterator[Json]:
        """What changes after a version, until the connection ends; raises `Gone`, `ValueError`.

        Bookmarks are among them.
        """
        asked = {
            **query,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_S),
        }
        for event in self._lines(path, asked):
            if event["type"] == "ERROR":
                about = event["object"]
                if about.get("code") == _GONE:
                    raise Gone
                raise ValueError(f"watch error {about.get('code')}: {about.get('message')}")
            yield event

    def _lines(self, path: str, query: Mapping[str, str]) -> Iterator[Json]:
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
                if self.closing.is_set():  # `end` may have looked before this one was there
                    return
                for line in response.iter_lines():
                    if line:
                        yield json.loads(line)
            finally:
                with self._lock:
                    self._open.discard(response)

    def end(self) -> None:
        """End all watches; `closing` is set."""
        self.closing.set()
        with self._lock:
            for response in self._open:
                stream = response.extensions.get("network_stream")
                connection = None if stream is None else stream.get_extra_info("socket")
                if connection is not None:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of connections, once nobody uses them."""
        self._http.close()
