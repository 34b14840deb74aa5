"""A Docker API on a Unix socket: containers, networks, logs that are followed.

Logs come as Docker sends them: frames with an 8 byte header, each payload behind an RFC 3339 time;
without frames where the container has a terminal. `since` is in seconds and includes its second.
"""

import json
import socketserver
import struct
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Frame = tuple[int, int, bytes]  # stream (1 stdout, 2 stderr), ns, text


def stamp(ts_ns: int) -> bytes:
    """A time as Docker writes it."""
    moment = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ts_ns % 10**9:09d}Z ".encode()


@dataclass(kw_only=True)
class Container:
    """One container."""

    key: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    tty: bool = False
    running: bool = True
    frames: list[Frame] = field(default_factory=list)

    def listed(self) -> dict[str, Any]:
        """As `/containers/json` shows it."""
        return {
            "Id": self.key,
            "Names": [f"/{self.name}"],
            "Labels": self.labels,
            "HostConfig": {"NetworkMode": "bridge"},
            "NetworkSettings": {
                "Networks": {"bridge": {"NetworkID": "net1", "IPAddress": "172.17.0.2"}}
            },
            "Ports": [{"PrivatePort": 80, "PublicPort": 8080, "IP": "127.0.0.1"}],
        }


class DockerApi:
    """Answers like Docker, on a socket in a folder."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "docker.sock"
        self.containers: dict[str, Container] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._changed = threading.Condition()
        self._cut = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.serve(self)

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_args: object) -> None:
                """Stay silent."""

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self._server = Server(str(self.socket), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def write(self, key: str, *frames: Frame) -> None:
        """A container logs."""
        with self._changed:
            self.containers[key].frames.extend(frames)
            self._changed.notify_all()

    def end(self, key: str) -> None:
        """A container ends; its log does too."""
        with self._changed:
            self.containers[key].running = False
            self._changed.notify_all()

    def cut(self) -> None:
        """Break all logs that are followed."""
        with self._changed:
            self._cut += 1
            self._changed.notify_all()

    def follows(self, key: str) -> list[str]:
        """From which second each log was asked for."""
        return [q["since"] for path, q in self.asked if path == f"/containers/{key}/logs"]

    def close(self) -> None:
        """Stop."""
        self.cut()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        address = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        self.asked.append((address.path, query))
        parts = address.path.strip("/").split("/")
        if parts == ["networks"]:
            about = {"Id": "net1", "Name": "bridge", "Scope": "local", "Labels": {"n.x": "y"}}
            self._answer(handler, 200, [about])
        elif parts == ["containers", "json"]:
            wanted = json.loads(query.get("filters", "{}")).get("name", [])
            found = [c for c in self.containers.values() if c.running]
            self._answer(
                handler, 200, [c.listed() for c in found if not wanted or c.name in wanted]
            )
        elif parts[1] not in self.containers:
            self._answer(handler, 404, {"message": "No such container"})
        elif parts[2] == "json":
            one = self.containers[parts[1]]
            about2 = {"Config": {"Tty": one.tty}, "State": {"Running": one.running}}
            self._answer(handler, 200, about2)
        else:
            self._logs(handler, self.containers[parts[1]], int(query["since"]))

    def _answer(self, handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _logs(self, handler: BaseHTTPRequestHandler, one: Container, since: int) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        sent, cut = 0, self._cut
        while True:
            with self._changed:
                while sent == len(one.frames) and one.running and self._cut == cut:
                    self._changed.wait(1)
                new, ended = one.frames[sent:], not one.running
                if self._cut != cut:
                    handler.close_connection = True
                    return
            sent += len(new)
            for kind, ts_ns, text in new:
                if ts_ns // 10**9 >= since:
                    payload = stamp(ts_ns) + text
                    head = b"" if one.tty else struct.pack(">B3xI", kind, len(payload))
                    self._chunk(handler, head + payload)
            if ended:
                self._chunk(handler, b"")
                return

    @staticmethod
    def _chunk(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        try:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            handler.wfile.flush()
        except OSError:
            handler.close_connection = True
