"""A Kubernetes API for pods: list in pages, watch from a version, bookmarks, 410, broken lines.

It keeps the rules that clients rely on: versions only grow, a watch gives what came after its
version, versions from before a compaction are gone, selectors hold for lists and for watches.
"""

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]


def pod(name: str, uid: str = "", node: str = "node-1", **more: Any) -> Json:
    """A pod with one container that has no ports."""
    labels = more.pop("labels", {"app": name})
    return {
        "metadata": {
            "name": name,
            "namespace": more.pop("namespace", "shop"),
            "uid": uid or f"uid-{name}",
            "labels": labels,
            "annotations": more.pop("annotations", {}),
            "ownerReferences": more.pop("owners", []),
        },
        "spec": {
            "nodeName": node,
            "containers": more.pop("containers", [{"name": "main", "image": "img:1"}]),
            "initContainers": more.pop("init", []),
        },
        "status": {
            "podIP": more.pop("ip", "10.0.0.7"),
            "hostIP": "192.168.0.1",
            "phase": "Running",
            "conditions": more.pop("conditions", [{"type": "Ready", "status": "True"}]),
            "containerStatuses": [{"name": "main", "containerID": "containerd://abc"}],
        },
    }


class KubernetesApi:
    """One API server; `token` is asked for when it is set."""

    def __init__(self) -> None:
        self.token = ""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.page = 0  # items in a page, whatever was asked; 0: as asked
        self.refuse_lists = 0  # this many lists answer 500
        self.refuse_watches = 0  # this many watches answer 410 at once
        self._pods: dict[str, Json] = {}
        self._version, self._oldest = 100, 0
        self._events: list[tuple[int, str, Json]] = []
        self._changed = threading.Condition()
        self._cut = 0  # grows when all watches shall be cut
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.serve(self)

            def log_message(self, *_args: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    # What tests do to it

    def put(self, made: Json) -> None:
        """Add or change a pod."""
        with self._changed:
            key = made["metadata"]["uid"]
            self._event("MODIFIED" if key in self._pods else "ADDED", made)
            self._pods[key] = made

    def delete(self, uid: str) -> None:
        """Remove a pod."""
        with self._changed:
            self._event("DELETED", self._pods.pop(uid))

    def bookmark(self) -> None:
        """Tell watchers of a version without any change."""
        with self._changed:
            self._version += 10
            self._events.append((self._version, "BOOKMARK", {}))
            self._changed.notify_all()

    def fail_watches(self, code: int) -> None:
        """An ERROR event to all watchers."""
        with self._changed:
            self._version += 1
            self._events.append((self._version, "ERROR", {"code": code, "message": "for a test"}))
            self._changed.notify_all()

    def compact(self) -> None:
        """Forget all events: versions up to now are gone for watches that begin later."""
        with self._changed:
            self._version += 1
            self._events.clear()
            self._oldest = self._version

    def cut_watches(self) -> None:
        """Break all open watches in the middle of a line."""
        with self._changed:
            self._cut += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Stop."""
        self.cut_watches()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def watches(self) -> list[str]:
        """From which versions watches were asked for."""
        return [query["resourceVersion"] for _, query in self.asked if "watch" in query]

    @property
    def lists(self) -> int:
        """How often a list was begun."""
        return sum("watch" not in q and "continue" not in q for _, q in self.asked)

    def _event(self, kind: str, made: Json) -> None:
        self._version += 1
        made["metadata"]["resourceVersion"] = str(self._version)
        self._events.append((self._version, kind, json.loads(json.dumps(made))))
        self._changed.notify_all()

    # What it answers

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        address = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        self.asked.append((address.path, query))
        if self.token and handler.headers["Authorization"] != f"Bearer {self.token}":
            self._answer(handler, 401, {"kind": "Status", "code": 401})
        elif "watch" in query:
            self._watch(handler, address.path, query)
        else:
            self._list(handler, address.path, query)

    def _wanted(self, made: Json, path: str, query: Mapping[str, str]) -> bool:
        parts = path.split("/")
        if "namespaces" in parts and made["metadata"]["namespace"] != parts[4]:
            return False
        fields = dict(pair.split("=") for pair in query.get("fieldSelector", "").split(",") if pair)
        facts = {"spec.nodeName": made.get("spec", {}).get("nodeName"), "status.phase": "Running"}
        if any(facts.get(name) != value for name, value in fields.items()):
            return False
        labels = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)
        return all(made["metadata"].get("labels", {}).get(n) == v for n, v in labels.items())

    def _list(self, handler: BaseHTTPRequestHandler, path: str, query: Mapping[str, str]) -> None:
        with self._changed:
            if self.refuse_lists:
                self.refuse_lists -= 1
                return self._answer(handler, 500, {"kind": "Status", "code": 500})
            found = [made for made in self._pods.values() if self._wanted(made, path, query)]
            at = int(query.get("continue", "0"))
            size = self.page or int(query.get("limit", "500"))
            about: Json = {"resourceVersion": str(self._version)}
            if at + size < len(found):
                about["continue"] = str(at + size)
            body = {"kind": "PodList", "metadata": about, "items": found[at : at + size]}
        return self._answer(handler, 200, body)

    def _answer(self, handler: BaseHTTPRequestHandler, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _watch(self, handler: BaseHTTPRequestHandler, path: str, query: Mapping[str, str]) -> None:
        version = int(query["resourceVersion"])
        with self._changed:
            cut, gone = self._cut, version < self._oldest
            if self.refuse_watches:
                self.refuse_watches -= 1
                gone = True
        if gone:
            self._answer(handler, 410, {"kind": "Status", "code": 410, "reason": "Expired"})
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            with self._changed:
                until_s = time.monotonic() + 10
                while self._cut == cut and not self._news(version):
                    if not self._changed.wait(until_s - time.monotonic()):
                        break
                news = self._news(version)
                if self._cut != cut:
                    break
            for number, kind, made in news:
                version = number
                if kind not in ("BOOKMARK", "ERROR") and not self._wanted(made, path, query):
                    continue
                if kind == "BOOKMARK":
                    made = {"kind": "Pod", "metadata": {"resourceVersion": str(number)}}
                self._chunk(handler, json.dumps({"type": kind, "object": made}) + "\n")
        self._chunk(handler, '{"type":"MODIF')
        handler.close_connection = True

    def _news(self, version: int) -> list[tuple[int, str, Json]]:
        return [event for event in self._events if event[0] > version]

    @staticmethod
    def _chunk(handler: BaseHTTPRequestHandler, text: str) -> None:
        try:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))
            handler.wfile.flush()
        except OSError:
            handler.close_connection = True
